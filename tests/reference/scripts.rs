//! `docs/scripts.md`: kinds of failures, and limits.

use gantry::domain::job::MAX_ARTIFACT_BYTES;
use gantry::domain::limits::{
    Limits, MAX_DISK_BYTES, MAX_FILE_COUNT, MAX_MEMORY_BYTES, MAX_NANO_CPUS, MAX_OUTPUT_BYTES,
    MAX_PIDS, MIN_DISK_BYTES, MIN_MEMORY_BYTES, MIN_OUTPUT_BYTES, MIN_PIDS, MIN_SCRATCH_BYTES,
    Timeout,
};
use gantry::domain::outcome::ErrorKind;
use gantry::domain::quantities::{MIN_NANO_CPUS, NANO_CPUS_PER_CPU, show_bytes, show_duration};
use gantry::domain::script_type::ScriptType;

use crate::page::{assert_part, read};

const PAGE: &str = "docs/scripts.md";

#[test]
fn every_kind_of_failure_is_explained() {
    let page = read(PAGE);
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let explained: Vec<_> = rows.map(|(name, _)| name).collect();
    for kind in ErrorKind::ALL {
        let count = explained.iter().filter(|name| **name == kind.name()).count();
        assert_eq!(count, 1, "{PAGE} has {count} rows that begin with `{}`", kind.name());
    }
    let section = page.split("## When a script fails").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    for (name, _) in rows {
        assert!(ErrorKind::from_name(name).is_some(), "{PAGE}: there is no kind {name:?}");
    }
}

#[test]
fn every_script_type_is_explained() {
    let page = read(PAGE);
    let section = page.split("## Types").nth(1).expect("the section");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let explained: Vec<_> = rows.map(|(name, _)| name).collect();
    assert_eq!(explained, ScriptType::ALL.map(ScriptType::name), "{PAGE}, \"Types\"");
}

fn cpus(nano: u64) -> String {
    let hundredths = nano / (NANO_CPUS_PER_CPU / 100);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Name, default, range and meaning of each limit.
fn limits() -> Vec<(&'static str, String, String, &'static str)> {
    let default = Limits::default();
    let time = |timeout| show_duration(timeout);
    vec![
        (
            "`limits.cpus`, `--cpus`",
            cpus(default.nano_cpus),
            format!(
                "{} to {}, and no more than the machine has",
                cpus(MIN_NANO_CPUS),
                cpus(MAX_NANO_CPUS)
            ),
            "CPU time per time",
        ),
        (
            "`limits.memory_bytes`, `--memory`",
            show_bytes(default.memory_bytes),
            format!(
                "{} to {}, and no more than scripts may have of the machine's",
                show_bytes(MIN_MEMORY_BYTES),
                show_bytes(MAX_MEMORY_BYTES)
            ),
            "memory, with the script itself and all files in `/work`, `/tmp` and `/dev/shm`; there is no swap",
        ),
        (
            "`limits.pids`",
            default.pids.to_string(),
            format!("{MIN_PIDS} to {MAX_PIDS}"),
            "processes and threads at once, PID 1 included",
        ),
        (
            "`limits.scratch_bytes`",
            format!(
                "a quarter of the memory, at least {}, at most half of the memory",
                show_bytes(default.scratch_bytes)
            ),
            format!("{} to half of the memory", show_bytes(MIN_SCRATCH_BYTES)),
            "room in `/work` in memory",
        ),
        (
            "`limits.disk_bytes`, `--disk`",
            "0".to_owned(),
            format!("0, or {} to {}", show_bytes(MIN_DISK_BYTES), show_bytes(MAX_DISK_BYTES)),
            "room in `/work` on the server's disk; with 0 it is in memory",
        ),
        (
            "`limits.file_count`",
            default.file_count.to_string(),
            format!("1 to {MAX_FILE_COUNT}"),
            "files that are kept of `/work/out`",
        ),
        (
            "`limits.output_bytes`",
            show_bytes(default.output_bytes),
            format!("{} to {}", show_bytes(MIN_OUTPUT_BYTES), show_bytes(MAX_OUTPUT_BYTES)),
            "what is kept of stdout, and as much of stderr; the rest is counted and dropped",
        ),
        (
            "`timeout_secs`, `--timeout`",
            time(Timeout::default().duration()),
            format!("{} to {}", time(Timeout::MIN), time(Timeout::MAX)),
            "time from the script's start; then every process of it is killed",
        ),
        (
            "artifacts of scratch in memory",
            format!("{} in all", show_bytes(MAX_ARTIFACT_BYTES)),
            "fixed".to_owned(),
            "bytes of the files that are kept of `/work/out`; on disk they may be as many as `limits.disk_bytes`",
        ),
    ]
}

#[test]
fn limits_are_listed_as_they_are() {
    let rows = limits().into_iter().map(|(name, default, range, meaning)| {
        format!("| {name} | {default} | {range} | {meaning} |")
    });
    let rows: Vec<_> = rows.collect();
    let table =
        format!("| limit | default | may be | meaning |\n|---|---|---|---|\n{}", rows.join("\n"));
    assert_part(PAGE, "limits", &table);
}

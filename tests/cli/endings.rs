//! `gantry run`: how scripts end, by themselves, by a signal, by their limits.

use crate::testkit::ended::Ended;
use crate::testkit::run::{python, shell};
use serde_json::{Value, json};

/// Status, kind of error, exit code and signal of an execution.
fn outcome(ended: &Ended) -> Value {
    let execution = ended.json();
    json!([
        execution["status"],
        execution["error_kind"],
        execution["exit_code"],
        execution["signal"]
    ])
}

#[test]
fn the_exit_code_is_the_scripts() {
    for code in [1, 2, 124, 125, 126, 127, 254, 255] {
        let ended = shell(&format!("exit {code}")).end_with_json();
        assert_eq!(ended.code, code, "{ended:?}");
        assert_eq!(outcome(&ended), json!(["failed", "exit_nonzero", code, null]));
    }
}

#[test]
fn a_script_that_says_why_it_failed_is_not_talked_over() {
    let ended = shell("echo no such file >&2; exit 1").end();
    assert_eq!((ended.code, ended.stderr.as_str()), (1, "no such file\n"));
}

#[test]
fn a_signal_is_128_and_its_number() {
    for (signal, name) in [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (6, "SIGABRT"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (13, "SIGPIPE"),
        (15, "SIGTERM"),
        (34, ""),
        (64, ""),
    ] {
        let ended = shell(&format!("kill -{signal} $$; sleep 9")).end_with_json();
        assert_eq!(outcome(&ended), json!(["failed", "killed_by_signal", -1, signal]));
        ended.with(128 + signal, &[&format!("ended by signal {signal}"), name]);
    }
}

#[test]
fn a_crash_leaves_no_core() {
    let ended = python("import ctypes; ctypes.string_at(0)").end();
    ended.with(139, &["signal 11 (SIGSEGV)"]);
}

#[test]
fn a_script_whose_time_is_up_is_asked_to_end() {
    let source = "trap 'echo asked; exit 0' TERM; echo began; sleep 600 & wait";
    let ended = shell(source).args(["--timeout", "1s"]).end();
    assert_eq!(ended.text(), "began\nasked\n");
    ended.with(124, &["the time limit was reached", "hint: the limit was 1 s", "--timeout"]);
}

/// Ends within the deadline and two seconds, by the script's own time.
#[track_caller]
fn is_stopped_in_time(source: &str) {
    let ended = shell(source).args(["--timeout", "1s"]).end_with_json();
    assert_eq!(ended.json()["status"], "timeout", "{ended:?}");
    let duration = ended.json()["duration_ms"].as_f64().unwrap();
    assert!((1000.0..3000.0).contains(&duration), "{ended:?}");
    ended.with(124, &["every process of the script was killed"]);
}

#[test]
fn a_script_that_ignores_term_is_killed() {
    is_stopped_in_time("trap '' TERM; while :; do sleep 0.05; done");
}

#[test]
fn a_script_that_only_burns_time_is_killed() {
    is_stopped_in_time("trap '' TERM; while :; do :; done");
}

#[test]
fn a_script_that_stopped_itself_is_killed() {
    is_stopped_in_time("kill -STOP $$");
}

#[test]
fn a_script_that_floods_while_it_ignores_term_is_killed() {
    is_stopped_in_time("trap '' TERM; yes & yes >&2 & while :; do wait; done");
}

#[test]
fn children_that_ignore_term_are_killed_too() {
    is_stopped_in_time("(trap '' TERM; sleep 600) & setsid bash -c \"trap '' TERM; sleep 600\"");
}

#[test]
fn a_script_that_eats_all_memory_is_killed_and_it_is_said_why() {
    let source = "x = []\nwhile True: x.append(bytearray(1 << 20))";
    let ended = python(source).args(["--memory", "48MiB"]).end_with_json();
    assert_eq!(outcome(&ended), json!(["failed", "out_of_memory", -1, 9]), "{ended:?}");
    ended.with(137, &["its memory limit was reached", "hint: the limit was 48 MiB", "--memory"]);
}

/// Needs 200 MB, in a process of its own.
const HUNGRY_CHILD: &str = "head -c 200M /dev/zero | tail -n 1 > /dev/null";

#[test]
fn a_script_may_survive_a_child_that_ate_all_memory() {
    let run = shell(&format!("{HUNGRY_CHILD}; echo survived")).args(["--memory", "32MiB"]);
    let ended = run.end_with_json();
    assert_eq!(outcome(&ended), json!(["completed", null, 0, null]), "{ended:?}");
    assert_eq!(ended.json()["stdout_log"], "survived\n");
    ended.with(0, &["note: a process of the script was killed: the memory limit was reached"]);
}

#[test]
fn a_script_that_fails_with_its_child_ran_out_of_memory() {
    let run = shell(&format!("{HUNGRY_CHILD}; exit 3")).args(["--memory", "32MiB"]);
    let ended = run.end_with_json();
    assert_eq!(outcome(&ended), json!(["failed", "out_of_memory", 3, null]), "{ended:?}");
    ended.with(3, &["a process of it was killed", "hint: the limit was 32 MiB"]);
}

#[test]
fn files_count_as_memory_and_have_a_limit() {
    for (memory, room) in [("64MiB", 32 << 20), ("512MiB", 128 << 20)] {
        let source = "head -c 1G /dev/zero > fill; stat -c %s fill";
        let ended = shell(source).args(["--memory", memory]).end();
        assert_eq!(ended.text(), format!("{room}\n"), "{ended:?}");
        ended.with(0, &["No space left on device"]);
    }
}

#[test]
fn many_small_files_have_a_limit() {
    let source = "mkdir d; for ((i = 0; i < 70000; i++)); do : > d/$i || break; done; echo $i";
    let ended = shell(source).end();
    let files: u32 = ended.text().trim().parse().unwrap();
    assert!((60_000..66_000).contains(&files), "{ended:?}");
    ended.with(0, &["No space left on device"]);
}

#[test]
fn half_a_cpu_is_half_a_cpu() {
    let source = "end=$((SECONDS + 2)); while ((SECONDS < end)); do :; done";
    let execution = shell(source).args(["--cpus", "0.2"]).end_with_json().with_success().json();
    let cpu = execution["usage"]["cpu_ms"].as_f64().unwrap();
    let share = cpu / execution["duration_ms"].as_f64().unwrap();
    assert!(share < 0.4, "{share} of a CPU: {execution}");
}

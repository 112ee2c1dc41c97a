//! Resource usage of an execution against its limits, and its exit.

use maud::{Markup, html};

use crate::domain::execution::{ExecutionSnapshot, ExecutionSummary};
use crate::domain::output_log::OutputLog;
use crate::domain::quantities::{NANO_CPUS_PER_CPU, show_duration};
use crate::ui::components::value::{bytes, count, counted, milliseconds};

/// Renders known figures against their limits.
pub(super) fn card(
    summary: &ExecutionSummary,
    log: &OutputLog,
    snapshot: Option<&ExecutionSnapshot>,
) -> Markup {
    html! {
        section.card {
            h2 { @if summary.status.has_ended() { "Usage" } @else { "Limits" } }
            dl.facts {
                (end(summary))
                (time(summary, snapshot))
                (memory(summary, snapshot))
                (disk(summary, snapshot))
                @if summary.status.has_ended() && summary.sandbox.is_some() {
                    dt { "stdout" }
                    dd { (output(summary.stdout_bytes, summary.stdout_truncated, log.stdout())) }
                    dt { "stderr" }
                    dd { (output(summary.stderr_bytes, summary.stderr_truncated, log.stderr())) }
                }
                @if summary.attempt > 1 {
                    dt { "Attempt" }
                    dd { (summary.attempt) ": the engine failed before its script had started" }
                }
            }
        }
    }
}

fn end(summary: &ExecutionSummary) -> Markup {
    html! {
        @if let Some(signal) = summary.signal {
            dt { "Ended by" }
            dd { "signal " (signal) }
        } @else if let Some(code) = summary.exit_code {
            dt { "Exit code" }
            dd { (code) }
        }
    }
}

fn time(summary: &ExecutionSummary, snapshot: Option<&ExecutionSnapshot>) -> Markup {
    let limit = snapshot.map(|it| it.timeout_secs.duration());
    let (used, cpus) = (summary.duration_ms, snapshot.map(|it| cpus(it.limits.nano_cpus)));
    let run = used.filter(|run| *run > 0.0);
    let average = summary.usage.zip(run).map(|(usage, run)| usage.cpu_ms / run);
    html! {
        dt { "Time" }
        dd {
            (used_of(used.map(milliseconds), limit.map(show_duration)))
            @if let (Some(used), Some(limit)) = (used, limit) {
                (meter("Time", &used.to_string(), &(limit.as_secs_f64() * 1e3).to_string()))
            }
        }
        dt { "CPU" }
        dd {
            @match (summary.usage, cpus) {
                (Some(usage), cpus) => {
                    (milliseconds(usage.cpu_ms))
                    @if let Some(average) = average {
                        ", " (format!("{average:.2}")) " CPUs on average"
                    }
                    @if let Some(cpus) = cpus { " of " (cpus) }
                }
                (None, Some(cpus)) => { "at most " (cpus) }
                (None, None) => { (used_of(None, None)) }
            }
        }
    }
}

fn memory(summary: &ExecutionSummary, snapshot: Option<&ExecutionSnapshot>) -> Markup {
    let limit = snapshot.map(|it| it.limits.memory_bytes);
    let used = summary.usage.map(|it| it.peak_memory_bytes);
    let kills = summary.usage.map_or(0, |it| it.oom_kills);
    html! {
        dt { "Memory" }
        dd {
            (used_of(used.map(bytes), limit.map(bytes)))
            @if let (Some(used), Some(limit)) = (used, limit) {
                (meter("Memory", &used.to_string(), &limit.to_string()))
            }
            @if kills > 0 {
                p.wrong {
                    "Out of memory: "
                    (counted(kills, "process was killed", "processes were killed"))
                }
            }
        }
    }
}

/// Disk of a script whose `/work` is there.
fn disk(summary: &ExecutionSummary, snapshot: Option<&ExecutionSnapshot>) -> Markup {
    let limit = snapshot.map(|it| it.limits.disk_bytes).filter(|it| *it > 0);
    let used = summary.usage.and_then(|it| it.peak_disk_bytes);
    html! {
        @if used.is_some() || limit.is_some() {
            dt { "Disk" }
            dd {
                (used_of(used.map(bytes), limit.map(bytes)))
                @if let (Some(used), Some(limit)) = (used, limit) {
                    (meter("Disk", &used.to_string(), &limit.to_string()))
                }
            }
        }
    }
}

fn output(written: u64, is_truncated: bool, kept: &[u8]) -> Markup {
    let kept = kept.len() as u64;
    html! {
        (bytes(written))
        @if written > kept {
            ", cut: the first " (bytes(kept)) " were kept"
        } @else if is_truncated {
            ", and maybe more: its end was not seen"
        }
    }
}

fn used_of(used: Option<String>, limit: Option<String>) -> Markup {
    html! {
        @match (used, limit) {
            (Some(used), Some(limit)) => { (used) " of " (limit) },
            (Some(used), None) => { (used) },
            (None, Some(limit)) => { "at most " (limit) },
            (None, None) => span.muted { "–" },
        }
    }
}

fn meter(label: &str, used: &str, limit: &str) -> Markup {
    html! { meter aria-label=(label) min="0" max=(limit) value=(used) {} }
}

/// Number of CPUs in words.
pub(super) fn cpus(nano_cpus: u64) -> String {
    let (whole, rest) = (nano_cpus / NANO_CPUS_PER_CPU, nano_cpus % NANO_CPUS_PER_CPU);
    let rest = format!("{:03}", rest / (NANO_CPUS_PER_CPU / 1_000));
    match rest.trim_end_matches('0') {
        "" => counted(whole, "CPU", "CPUs"),
        rest => format!("{}.{rest} CPUs", count(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_told_without_zeroes() {
        assert_eq!(cpus(NANO_CPUS_PER_CPU), "1 CPU");
        assert_eq!(cpus(2 * NANO_CPUS_PER_CPU), "2 CPUs");
        assert_eq!(cpus(NANO_CPUS_PER_CPU / 2), "0.5 CPUs");
        assert_eq!(cpus(NANO_CPUS_PER_CPU / 100), "0.01 CPUs");
    }
}

//! The table of all that was measured.

use super::idle::Idle;
use super::results::{Entry, Load, Results};
use super::way::Way;
use crate::harness::report::Report;

/// What ways are compared with.
const REFERENCES: [Way; 3] = [Way::DockerRun, Way::ForkExec, Way::Floor];

/// What the columns mean.
const LEGEND: &str = "The last columns say how often an execution's time is that of the way named: \
     below 1 it takes less. One after the other and at once it is the median, in flight the time for \
     each of all executions. One after the other, an execution begins when nothing of the one before \
     is left and, warm, when a sandbox waits for it; with several in flight, the time ends when the \
     last container is gone. Gantry's other times end with the answer, because containers are \
     removed behind it; those of the engine and of `docker run` end when theirs are removed. Through \
     HTTP everything is stored in SQLite before the answer.";

pub(crate) fn write(results: &Results, report: &mut Report) {
    if !results.entries.is_empty() {
        let names: Vec<_> = REFERENCES.iter().map(|it| format!("× {}", it.label())).collect();
        let columns = format!("| | median | p95 | per second | {} | n | warm |", names.join(" | "));
        report.head("All of it: `{\"a\":1}` in, `{\"a\":1}` out", &columns);
        for (load, workload) in results.groups() {
            let title = format!("{}, {}", workload.title, load.title());
            report.rows(vec![format!("| **{title}** | | | | | | | | |")]);
            let rows = results.entries.iter().filter(|it| is_of(it, load, workload.name));
            report.rows(rows.map(|it| row(it, results)).collect());
        }
        report.paragraph(LEGEND);
    }
    if let Some(events) = &results.events {
        report.plain_times("Events", [events.clone()]);
    }
    if let Some(idle) = &results.idle {
        report.paragraph(&nobody_calls(idle));
    }
    for obstacle in &results.obstacles {
        report.paragraph(&format!("Not measured: {obstacle}"));
    }
}

fn is_of(entry: &Entry, load: Load, workload: &str) -> bool {
    entry.load == load && entry.workload.name == workload
}

fn row(entry: &Entry, results: &Results) -> String {
    let Entry { times, per_second, executions, warm, failed, .. } = entry;
    let ratios = REFERENCES.map(|way| match results.ratio(entry, way) {
        Some(ratio) if ratio < 0.095 => format!("{ratio:.3}"),
        Some(ratio) => format!("{ratio:.2}"),
        None => String::new(),
    });
    let n = match failed {
        0 => executions.to_string(),
        failed => format!("{executions}, {failed} failed"),
    };
    let warm = if entry.way.has_pool() { warm.to_string() } else { String::new() };
    let (median, p95) = (times.median(), times.p95());
    format!(
        "| {} | {median:.2} ms | {p95:.2} ms | {per_second:.1} | {} | {n} | {warm} |",
        entry.way.label(),
        ratios.join(" | "),
    )
}

fn nobody_calls(idle: &Idle) -> String {
    format!(
        "**Nobody calls**, {:.0} s, {} containers wait: the server takes {:.2} % of a CPU, the \
         containers {:.2} % and their shims {:.2} % together. A container that waits takes {:.0} KiB \
         (its cgroup), and its shim {:.0} KiB (resident).",
        idle.seconds,
        idle.containers,
        idle.server_percent,
        idle.containers_percent,
        idle.shims_percent,
        idle.container_kib,
        idle.shim_kib,
    )
}

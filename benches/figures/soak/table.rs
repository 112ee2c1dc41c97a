//! The soak as tables.

use super::findings::Soak;
use super::mix;
use super::sample::Sample;
use super::{IN_FLIGHT, SAMPLES};
use crate::harness::goal::{self, Goal};
use crate::harness::report::Report;

/// In percent, behind the warm-up.
const MOST_GROWTH: f64 = 5.0;

/// Samples that are shown, and faults.
const SHOWN: usize = 10;

pub(super) fn write(soak: &Soak, report: &mut Report) {
    report.paragraph(&format!(
        "**Soak**: {} of {} executions, {IN_FLIGHT} in flight, on one server with a pool of 8 and \
         SQLite. Of a hundred: {}.",
        soak.done,
        soak.wanted,
        mix::in_words(),
    ));
    if let Some(why) = &soak.broken_off {
        report.paragraph(&format!("**It did not come to its end**: {why}."));
    }
    goal::write(&goals(soak), report);
    for fault in soak.wrong.iter().chain(&soak.left).take(SHOWN) {
        report.paragraph(&format!("Fault: {fault}"));
    }
    held(soak, report);
    times(soak, report);
    samples(soak, report);
}

fn goals(soak: &Soak) -> Vec<Goal> {
    let mut goals = Vec::new();
    goals.extend(soak.growth().map(|(percent, _)| Goal {
        what: format!("growth of resident memory after the first {}", soak.warm_up()),
        goal: format!("≤ {MOST_GROWTH} %"),
        measured: format!("{percent:+.1} %"),
        factor: percent / MOST_GROWTH,
    }));
    let wrong = "executions that did not end as they must".to_owned();
    goals.push(Goal::none(wrong, soak.wrong.len()));
    if let Some(after) = soak.after {
        let more = |now: usize, then: usize| now.saturating_sub(then);
        let before = soak.before;
        goals.extend([
            Goal::none("containers left".to_owned(), after.containers),
            Goal::none(
                "descriptors more than before, at rest".to_owned(),
                more(after.descriptors, before.descriptors),
            ),
            Goal::none(
                "threads more than before, at rest".to_owned(),
                more(after.threads, before.threads),
            ),
        ]);
    }
    goals
}

/// What the server has, at five moments.
fn held(soak: &Soak, report: &mut Report) {
    let last = soak.samples.len().saturating_sub(1);
    let moments = [("first sample", 0), ("in the middle", last / 2), ("last sample", last)];
    let row = |name: &str, [descriptors, threads, containers]: [usize; 3]| {
        format!("| {name} | {descriptors} | {threads} | {containers} |")
    };
    let mut rows = vec![row("at rest, before", soak.before.numbers())];
    let samples = moments.iter().filter_map(|(name, at)| Some((name, soak.samples.get(*at)?)));
    rows.extend(samples.map(|(name, it)| row(name, [it.descriptors, it.threads, it.containers])));
    rows.extend(soak.after.map(|it| row("at rest, after", it.numbers())));
    report.head("The server's", "| | descriptors | threads | containers |");
    report.rows(rows);
    report.paragraph(
        "At rest no script is enabled: nothing runs, and nothing waits in the pool. A sample is \
         taken while executions run.",
    );
}

fn times(soak: &Soak, report: &mut Report) {
    let [first, last] = soak.tenths();
    report.head("Until the answer, all kinds together", "| | median | p95 | n |");
    let row = |name: &str, it: &crate::harness::series::Series| {
        format!("| {name} | {:.1} ms | {:.1} ms | {} |", it.median(), it.p95(), it.count())
    };
    report.rows(vec![
        row("the first tenth", &first),
        row("the last tenth", &last),
        format!(
            "| the last to the first | {:.2} | {:.2} | |",
            last.median() / first.median(),
            last.p95() / first.p95()
        ),
    ]);
    if let (Some((_, [then, now])), Some(end)) = (soak.growth(), soak.samples.last()) {
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let each = |mib: f64| mib * 1024.0 / end.done as f64;
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let per_second = end.done as f64 / end.seconds;
        report.paragraph(&format!(
            "{per_second:.1} executions a second. Resident memory: {then:.1} MiB behind the first \
             {}, {now:.1} MiB at the end (medians of as many). The history grows with what is in \
             it: {:.2} KiB of database and {:.2} KiB of other files, most of it artifacts, for each \
             execution.",
            soak.warm_up(),
            each(end.database),
            each(end.others),
        ));
    }
}

fn samples(soak: &Soak, report: &mut Report) {
    report.head(
        &format!("Some of {SAMPLES} samples"),
        "| executions | resident | descriptors | threads | containers | database | other files | \
         median | p95 |",
    );
    let step = (soak.samples.len() / SHOWN).max(1);
    let is_shown = |at: &usize| *at == 0 || (at + 1).is_multiple_of(step);
    let shown = soak.samples.iter().enumerate().filter(|(at, _)| is_shown(at));
    report.rows(shown.map(|(_, sample)| row(sample)).collect());
    report.paragraph("![All samples](soak.svg)");
}

fn row(sample: &Sample) -> String {
    format!(
        "| {} | {:.1} MiB | {} | {} | {} | {:.1} MiB | {:.1} MiB | {:.1} ms | {:.1} ms |",
        sample.done,
        sample.rss,
        sample.descriptors,
        sample.threads,
        sample.containers,
        sample.database,
        sample.others,
        sample.times.median(),
        sample.times.p95(),
    )
}

//! Nothing is lost and nothing is left, whatever dies. A pipeline has hundreds of
//! scripts run while the server, its engine, its database and its disk break, in
//! an order that a seed decides. `CHAOS_SEEDS` and `CHAOS_EXECUTIONS` make it
//! longer (`make chaos`).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "part of tests")]

#[path = "../testkit/mod.rs"]
mod testkit;

mod beats;
mod disk;
mod fault_injector;
mod faults;
mod leftovers;
mod oracle;
mod pipeline;
mod plan;
mod proxy;
mod recovery;
mod report;
mod run;
mod scripts;
mod served;
mod world;

use std::io::Write;
use std::ops::RangeInclusive;

/// What is tried with every change: SQLite, and containers that outlive dockerd.
const SEEDS: RangeInclusive<u64> = 2..=2;

/// Executions of one run, when nothing else is said.
const EXECUTIONS: usize = 80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_left_whatever_dies() {
    let seeds = std::env::var("CHAOS_SEEDS").map_or(SEEDS, |text| parse_seeds(&text));
    let executions = std::env::var("CHAOS_EXECUTIONS")
        .map_or(EXECUTIONS, |text| text.parse().expect("CHAOS_EXECUTIONS is a number"));
    let mut reports = Vec::new();
    for seed in seeds {
        let Some(report) = run::run(plan::Plan::new(seed, executions)).await else { return };
        // Past the test harness: a person waits for it.
        let _ = writeln!(std::io::stderr(), "{report}");
        reports.push(report);
    }
    let _ = write!(std::io::stderr(), "{}", report::Total(&reports));
    let failed: Vec<_> = reports.iter().filter_map(report::Report::failure).collect();
    assert!(failed.is_empty(), "violations, by seed: {failed:?}");
}

/// `7`, or `1..20` with both.
fn parse_seeds(text: &str) -> RangeInclusive<u64> {
    let number = |text: &str| text.parse().expect("CHAOS_SEEDS is a number, or two with ..");
    match text.split_once("..") {
        Some((first, last)) => number(first)..=number(last.trim_start_matches('=')),
        None => number(text)..=number(text),
    }
}

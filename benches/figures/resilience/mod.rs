//! What becomes of good executions beside bad ones, of running ones when the server is
//! killed, and of scripts that will not end. It is measured when it is named.
//!
//! - `GANTRY_BENCH_NEIGHBOURS`: warm executions alone, and as many beside others (60
//!   unless it is set); there are a third as many cold ones
//! - `GANTRY_BENCH_KILLS`: how often the server is killed (20)
//! - `GANTRY_BENCH_OVERDUE`: scripts that will not end (30)

mod follower;
mod neighbours;
mod overdue;
mod recovery;

use crate::harness::goal;
use crate::harness::report::Report;
use crate::{Failure, Wanted};

/// What can be measured by itself.
pub(crate) const PARTS: [&str; 3] = ["neighbours", "recovery", "timeouts"];

pub(crate) async fn measure(machine: &str, wanted: &Wanted, is_whole: bool) -> Result<(), Failure> {
    let mut goals = Vec::new();
    // The goals stand before the tables that they are taken from.
    let mut tables = Report::new(String::new());
    for part in PARTS.into_iter().filter(|part| wanted.has(part)) {
        eprintln!("resilience: {part}");
        goals.extend(match part {
            "neighbours" => neighbours::measure(&mut tables).await?,
            "recovery" => recovery::measure(&mut tables).await?,
            _ => overdue::measure(&mut tables).await?,
        });
    }
    let mut report = Report::new(machine.to_owned());
    goal::write(&goals, &mut report);
    report.append(tables);
    report.publish(is_whole.then_some("resilience.md"))
}

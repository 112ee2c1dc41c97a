//! The console: how long the server takes for each page with a long past, and how soon
//! a real browser shows them. It is measured when it is named.
//!
//! - `GANTRY_BENCH_EXECUTIONS`: executions in the table (1,000,000 unless it is set)
//! - `GANTRY_BENCH_PAGES`: requests of each page (100)
//! - `GANTRY_SCREENSHOTS`: a folder for pictures of the pages; none is kept unless it is
//!   set

#[path = "../../../tests/testkit/browser.rs"]
#[allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "shared with tests")]
mod browser;
mod pages;
mod screen;

use crate::harness::goal;
use crate::harness::report::Report;
use crate::{Failure, Wanted};

/// What can be measured by itself.
pub(crate) const PARTS: [&str; 2] = ["pages", "screen"];

pub(crate) async fn measure(machine: &str, wanted: &Wanted, is_whole: bool) -> Result<(), Failure> {
    let mut goals = Vec::new();
    // The goals stand before the tables that they are taken from.
    let mut tables = Report::new(String::new());
    for part in PARTS.into_iter().filter(|part| wanted.has(part)) {
        eprintln!("console: {part}");
        goals.extend(match part {
            "pages" => pages::measure(&mut tables).await?,
            _ => screen::measure(&mut tables).await?,
        });
    }
    let mut report = Report::new(machine.to_owned());
    goal::write(&goals, &mut report);
    report.append(tables);
    report.publish(is_whole.then_some("console.md"))
}

//! The server, on SQLite and on PostgreSQL: what it adds to an execution, how
//! fast it accepts, how fast it answers with a million executions, and how much
//! memory it takes.
//!
//! Everything goes over loopback to processes of `gantry serve` as it is shipped.
//! PostgreSQL runs in a container, with its data on the disk and `fsync` on.
//!
//! - `GANTRY_BENCH_SERVER_RUNS`: executions of each kind (100 unless it is set)
//! - `GANTRY_BENCH_SECONDS`: how long submissions are accepted (10)
//! - `GANTRY_BENCH_EXECUTIONS`: executions in the table (1,000,000)
//! - `GANTRY_TEST_POSTGRES_URL`: a PostgreSQL to use instead, as in the tests

mod accepting;
pub(crate) mod generator;
mod history;
mod memory;
mod queued;
mod round_trip;
pub(crate) mod seed;
mod warm;

use crate::harness::report::Report;
use crate::harness::subject::Subject;
use crate::{Failure, Wanted};

/// What can be measured by itself.
pub(crate) const PARTS: [&str; 5] = ["round_trip", "warm", "accepting", "history", "memory"];

pub(crate) async fn measure(
    subject: &Subject,
    wanted: &Wanted,
    report: &mut Report,
) -> Result<(), Failure> {
    for part in PARTS.into_iter().filter(|part| wanted.has(part)) {
        eprintln!("server: {part}");
        match part {
            "round_trip" => round_trip::measure(subject, report).await?,
            "warm" => warm::measure(report).await?,
            "accepting" => accepting::measure(report).await?,
            "history" => history::measure(report).await?,
            _ => memory::measure(report).await?,
        }
    }
    Ok(())
}

//! Files by content: transfers beside nginx, inputs by reference, outputs, a chain of scripts,
//! many small files, and the server's memory meanwhile. It is measured when it is named.
//!
//! - `GANTRY_BENCH_ROUNDS`: rounds of all that takes seconds (10 unless it is set)
//! - `GANTRY_BENCH_FILE_MIB`: size of the large file, in MiB (1024)
//! - `GANTRY_BENCH_OBJECTS`: small files in the store (100,000)
//! - `GANTRY_BENCH_TRANSFERS`: uploads, and as many downloads, at once (50)

mod chain;
mod client;
mod many;
mod memory;
mod nginx;
mod references;
mod transfer;

use crate::harness::goal;
use crate::harness::report::Report;
use crate::{Failure, Wanted, setting};

/// Parts that can be measured alone.
pub(crate) const PARTS: [&str; 5] = ["transfer", "references", "chain", "many", "memory"];

/// Rounds of what takes seconds.
fn rounds() -> u64 {
    setting("GANTRY_BENCH_ROUNDS", 10)
}

/// Size of the large file, in bytes.
fn large() -> u64 {
    setting("GANTRY_BENCH_FILE_MIB", 1024) << 20
}

pub(crate) async fn measure(machine: &str, wanted: &Wanted, is_whole: bool) -> Result<(), Failure> {
    let mut goals = Vec::new();
    // The goals stand before the tables that they are taken from.
    let mut tables = Report::new(String::new());
    for part in PARTS.into_iter().filter(|part| wanted.has(part)) {
        eprintln!("files: {part}");
        goals.extend(match part {
            "transfer" => transfer::measure(&mut tables).await?,
            "references" => references::measure(&mut tables).await?,
            "chain" => chain::measure(&mut tables).await?,
            "many" => many::measure(&mut tables).await?,
            _ => memory::measure(&mut tables).await?,
        });
    }
    let mut report = Report::new(machine.to_owned());
    goal::write(&goals, &mut report);
    report.append(tables);
    report.publish(is_whole.then_some("files.md"))
}

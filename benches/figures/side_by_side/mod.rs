//! Gantry beside hardened `docker run`, the engine's own API and bare `fork` and
//! `exec`, interleaved in one run: what one does to the machine, it does to the
//! others. All figures of it are in one table, and in one chart.
//!
//! - `GANTRY_BENCH_ROUNDS`: executions one after the other in each way that is fast
//!   (100 unless it is set), and `GANTRY_BENCH_SLOW_ROUNDS` in each that is not (30)
//! - `GANTRY_BENCH_SUSTAINED`: executions of the shell script with many in flight
//!   (500), and `GANTRY_BENCH_SUSTAINED_OTHERS` of each other one (64); ways without a
//!   pool have fewer
//! - `GANTRY_BENCH_BURSTS`: bursts (20)
//! - `GANTRY_BENCH_IDLE_SECONDS`: how long a full pool is watched (20)

mod bed;
mod burst;
mod chart;
mod events;
mod goals;
mod idle;
mod in_flight;
mod one_by_one;
mod readme;
mod results;
mod table;
mod way;

use std::time::Instant;

use bed::Bed;
use results::Results;

use crate::harness::goal;
use crate::harness::host::Host;
use crate::harness::report::{Report, folder};
use crate::harness::served::Served;
use crate::harness::server::Database;
use crate::harness::subject::Subject;
use crate::harness::workload::{SHELL, WORKLOADS};
use crate::{Failure, Wanted};

/// Sandboxes that wait, as many as a server has that nobody has told otherwise; and
/// executions of a burst.
const POOL: usize = 8;

/// What can be measured by itself.
pub(crate) const PARTS: [&str; 5] = ["one_by_one", "in_flight", "burst", "events", "idle"];

pub(crate) async fn measure(
    subject: &Subject,
    machine: &str,
    wanted: &Wanted,
    is_whole: bool,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let host = Host::new()?;
    let mut results = Results::default();
    for workload in WORKLOADS {
        let obstacle = host.obstacle(workload);
        results
            .obstacles
            .extend(obstacle.map(|why| format!("{} on the host: {why}", workload.title)));
        let bed = Bed::start(subject, &host, workload).await?;
        let measured = on_bed(&bed, wanted, &mut results).await;
        bed.stop().await?;
        measured?;
    }
    alone(wanted, &mut results).await?;
    let machine = format!("{machine}; on the host Python {}", host.version);
    let mut report = Report::new(machine.clone());
    goal::write(&goals::goals(&results), &mut report);
    table::write(&results, &mut report);
    report.publish(is_whole.then_some("results.md"))?;
    if is_whole {
        std::fs::write(folder().join("results.svg"), chart::chart(&results))?;
        readme::update(&machine, &results)?;
    }
    eprintln!("side by side: all measured in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// What is measured in all ways there are to run a script.
async fn on_bed(bed: &Bed<'_>, wanted: &Wanted, results: &mut Results) -> Result<(), Failure> {
    let name = bed.task.workload.name;
    if wanted.has("one_by_one") {
        eprintln!("side by side: {name}, one after the other");
        one_by_one::measure(bed, results).await?;
    }
    if wanted.has("in_flight") {
        eprintln!("side by side: {name}, many in flight");
        in_flight::measure(bed, results).await?;
    }
    // What a burst costs beside the script itself is the same for all of them.
    if wanted.has("burst") && name == SHELL.name {
        eprintln!("side by side: {name}, {POOL} at once");
        burst::measure(bed, results).await?;
    }
    Ok(())
}

/// What is measured of a server that nothing is compared with.
async fn alone(wanted: &Wanted, results: &mut Results) -> Result<(), Failure> {
    if !wanted.has("events") && !wanted.has("idle") {
        return Ok(());
    }
    let served = Served::start(&Database::Sqlite, &SHELL, POOL, &[]).await?;
    if wanted.has("events") {
        eprintln!("side by side: events");
        results.events = Some(events::measure(&served).await?);
    }
    if wanted.has("idle") {
        eprintln!("side by side: a full pool that nobody calls");
        // Not every engine shows this machine's processes.
        match idle::measure(&served).await {
            Ok(idle) => results.idle = Some(idle),
            Err(error) => results.obstacles.push(format!("a pool that nobody calls: {error}")),
        }
    }
    served.stop().await
}

//! Gantry beside the engine's own floor and hardened `docker run`, interleaved in
//! one run: what one does to the machine, it does to the others. `make bench`
//! prints the table and writes it and a chart to `benches/`.
//!
//! `GANTRY_BENCH_RUNS` is the number of runs of each (30 unless it is set), and
//! `GANTRY_BENCH_ENVIRONMENTS` the number of environment builds (30).

mod docker_cli;
mod environments;
mod floor;
mod report;
mod subject;

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use report::{Report, Series};
use subject::Subject;

/// Executions in the test of throughput.
const EXECUTIONS: usize = 64;

/// Rounds of them.
const ROUNDS: usize = 7;

/// How many of them are in flight at once.
const IN_FLIGHT: usize = 8;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    // `cargo test --benches` and the like only want to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let subject = Subject::new().await?;
    let mut report = Report::new(subject.machine().await?);
    cold_starts(&subject, &mut report).await?;
    throughput(&subject, &mut report).await?;
    environments::measure(&subject, &mut report).await?;
    subject.clean_up().await?;
    report.write()
}

pub(crate) fn runs(variable: &str) -> usize {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(30)
}

/// One script after the other, from the call to the complete result.
async fn cold_starts(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let mut gantry = Series::new("Gantry, engine layer");
    let mut floor = Series::new("engine API alone");
    let mut docker = Series::new("hardened docker run");
    for round in 0..=runs("GANTRY_BENCH_RUNS") {
        let times = [
            timed(subject.execute()).await?,
            timed(floor::execute(subject)).await?,
            timed(docker_cli::execute(subject)).await?,
        ];
        subject.settle().await;
        // The first round warms caches that all three have in common.
        if round > 0 {
            let [gantry_time, floor_time, docker_time] = times;
            gantry.add(gantry_time);
            floor.add(floor_time);
            docker.add(docker_time);
        }
    }
    report.times("Cold start: `cat` on `{\"a\":1}`, sequential", [gantry, floor, docker]);
    Ok(())
}

/// Many at once, until the last container is gone.
async fn throughput(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let mut gantry = Series::new("Gantry, engine layer");
    let mut floor = Series::new("engine API alone");
    let mut docker = Series::new("hardened docker run");
    for _ in 0..ROUNDS {
        let ours = || -> BoxFuture<'_, Result<(), Failure>> { Box::pin(subject.execute()) };
        let begun = Instant::now();
        crowd(ours).await?;
        subject.settle().await;
        gantry.add(begun.elapsed());
        floor.add(timed(crowd(|| Box::pin(floor::execute(subject)))).await?);
        docker.add(timed(crowd(|| Box::pin(docker_cli::execute(subject)))).await?);
    }
    let title = format!("{EXECUTIONS} executions, {IN_FLIGHT} in flight, containers removed");
    report.rates(&title, EXECUTIONS, [gantry, floor, docker]);
    Ok(())
}

async fn crowd<'a>(
    execute: impl Fn() -> BoxFuture<'a, Result<(), Failure>>,
) -> Result<(), Failure> {
    use futures::{StreamExt, TryStreamExt, stream};
    let executions = stream::iter(0..EXECUTIONS).map(|_| execute());
    executions.buffer_unordered(IN_FLIGHT).try_collect().await
}

pub(crate) async fn timed(
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<Duration, Failure> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed())
}

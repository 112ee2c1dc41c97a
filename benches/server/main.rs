//! The server, on SQLite and on PostgreSQL: what it adds to an execution, how
//! fast it accepts, how fast it answers with a million executions, and how much
//! memory it takes. `make bench` prints the tables and writes them to
//! `benches/server.md`.
//!
//! Everything goes over loopback to processes of `gantry serve` as it is shipped.
//! PostgreSQL runs in a container, with its data on the disk and `fsync` on.
//!
//! - `GANTRY_BENCH_SERVER_RUNS`: executions of each kind (100 unless it is set)
//! - `GANTRY_BENCH_SECONDS`: how long submissions are accepted (10)
//! - `GANTRY_BENCH_EXECUTIONS`: executions in the table (1,000,000)
//! - `GANTRY_BENCH_PARTS`: some of `round_trip,warm,accepting,history,memory`; the file
//!   is written only when all are measured
//! - `GANTRY_TEST_POSTGRES_URL`: a PostgreSQL to use instead, as in the tests

mod accepting;
mod api;
mod generator;
mod history;
mod memory;
mod postgres;
mod process;
mod queued;
#[path = "../side_by_side/report.rs"]
#[expect(dead_code, reason = "the other benchmark has more kinds of tables, and a chart")]
mod report;
mod round_trip;
mod seed;
#[path = "../side_by_side/subject.rs"]
#[expect(dead_code, reason = "the other benchmark builds environments, too")]
mod subject;
mod warm;

use postgres::Postgres;
use report::Report;
use subject::Subject;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args();
    if arguments.any(|argument| argument == generator::FLAG) {
        return generator::main(arguments);
    }
    // `cargo test --benches` and the like only want to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let subject = Subject::new().await?;
    let mut report = Report::new(subject.machine().await?);
    let postgres = Postgres::start().await?;
    let measured = measure(&subject, &postgres, &mut report).await;
    // Also after a failure: nothing is left.
    postgres.stop().await?;
    subject.clean_up().await?;
    if measured.is_ok() && std::env::var_os("GANTRY_BENCH_PARTS").is_none() {
        report.write_table("server.md")?;
    } else {
        report.print();
    }
    measured
}

async fn measure(
    subject: &Subject,
    postgres: &Postgres,
    report: &mut Report,
) -> Result<(), Failure> {
    if is_wanted("round_trip") {
        round_trip::measure(subject, postgres, report).await?;
    }
    if is_wanted("warm") {
        warm::measure(postgres, report).await?;
    }
    if is_wanted("accepting") {
        accepting::measure(postgres, report).await?;
    }
    if is_wanted("history") {
        history::measure(postgres, report).await?;
    }
    if is_wanted("memory") {
        memory::measure(postgres, report).await?;
    }
    Ok(())
}

fn is_wanted(part: &str) -> bool {
    std::env::var("GANTRY_BENCH_PARTS").map_or(true, |parts| parts.split(',').any(|it| it == part))
}

/// A number from the environment.
pub(crate) fn setting(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

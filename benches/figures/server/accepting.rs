//! How many submissions a second are accepted and durable, and how long one
//! takes, with as many connections as [`CONNECTIONS`].

use super::generator::{CONNECTIONS, generate};
use super::queued::{self, QUEUED};
use crate::harness::report::Report;
use crate::harness::server::Database;
use crate::{Failure, setting};

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for database in [Database::Sqlite, Database::postgres().await] {
        rows.push(accept(&database).await?);
    }
    let seconds = setting("GANTRY_BENCH_SECONDS", 10);
    let title = format!(
        "Accepting `POST /api/v1/executions`, durable when it answers: {CONNECTIONS} connections \
         for {seconds} s, the only worker busy"
    );
    report.head(&title, "| | per second | median | p95 | max | accepted | generator | server |");
    report.rows(rows);
    Ok(())
}

async fn accept(database: &Database) -> Result<String, Failure> {
    let folder = tempfile::tempdir()?;
    let server = queued::start(database, folder.path()).await?;
    queued::block(&server).await?;
    let seconds = setting("GANTRY_BENCH_SECONDS", 10);
    let before = server.cpu_seconds()?;
    let load = generate(&server.api, QUEUED, seconds, u64::MAX).await?;
    let server_cpu = server.cpu_seconds()? - before;
    // Nothing that was accepted is lost.
    let waiting = server.api.total("/api/v1/executions?status=pending").await?;
    if waiting != load.accepted {
        return Err(format!("{} were accepted, and {waiting} wait", load.accepted).into());
    }
    server.stop().await?;
    Ok(format!(
        "| {} | {:.0} | {:.1} ms | {:.1} ms | {:.1} ms | {} | {:.1} s CPU | {server_cpu:.1} s CPU |",
        database.name(),
        load.per_second,
        load.median_ms,
        load.p95_ms,
        load.max_ms,
        load.accepted,
        load.cpu_seconds,
    ))
}

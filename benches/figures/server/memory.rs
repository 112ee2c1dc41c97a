//! How much memory the server has: after a few requests, and with executions in
//! its queue.

use super::generator::generate;
use super::queued::{self, QUEUED};
use crate::Failure;
use crate::harness::report::Report;
use crate::harness::server::Database;

/// Executions that wait.
const WAITING: u64 = 10_000;

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for database in [Database::Sqlite, Database::postgres().await] {
        rows.push(fill(&database).await?);
    }
    report.head(
        "Resident memory of `gantry serve`",
        &format!("| | idle, after one execution | {WAITING} waiting | most at any time |"),
    );
    report.rows(rows);
    Ok(())
}

async fn fill(database: &Database) -> Result<String, Failure> {
    let folder = tempfile::tempdir()?;
    let server = queued::start(database, folder.path()).await?;
    let idle = server.memory("VmRSS")?;
    queued::block(&server).await?;
    let load = generate(&server.api, QUEUED, 120, WAITING).await?;
    if load.accepted != WAITING {
        return Err(format!("{} of {WAITING} were accepted", load.accepted).into());
    }
    let (full, most) = (server.memory("VmRSS")?, server.memory("VmHWM")?);
    server.stop().await?;
    let name = database.name();
    Ok(format!("| {name} | {idle:.1} MiB | {full:.1} MiB | {most:.1} MiB |"))
}

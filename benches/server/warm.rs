//! Executions in sandboxes that have waited for them: one after the other, each
//! once the pool is full again, and all that the pool has at once.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::postgres::Postgres;
use crate::process::{Database, Server};
use crate::report::{Report, Series};
use crate::round_trip::CAT;
use crate::{Failure, setting};

/// Sandboxes that wait.
const POOL: usize = 8;

/// Bursts, for each of so many executions.
const RUNS_OF_A_BURST: u64 = 5;

const SETTINGS: [(&str, &str); 2] = [("GANTRY_POOL_SIZE", "8"), ("GANTRY_MAX_CONCURRENT", "8")];

#[derive(Deserialize)]
struct Ready {
    pool: Pool,
}

#[derive(Deserialize)]
struct Pool {
    unused: usize,
    starting: usize,
}

pub(crate) async fn measure(postgres: &Postgres, report: &mut Report) -> Result<(), Failure> {
    let mut single = Vec::new();
    let mut bursts = Vec::new();
    for database in [Database::Sqlite, postgres.database("warm").await?] {
        let folder = tempfile::tempdir()?;
        let server = Server::start(&database, folder.path(), &SETTINGS).await?;
        server.api.register_shared("cat", CAT).await?;
        single.push((database.name(), one_by_one(&server).await?));
        bursts.push((database.name(), at_once(&server).await?));
        server.stop().await?;
        postgres.drop(&database).await?;
    }
    report.head(
        "A warm sandbox: `cat` on `{\"a\":1}`, `Prefer: wait`, everything stored",
        "| | median | p95 | min | n |",
    );
    report.rows(single.iter().map(|(name, times)| row(name, times)).collect());
    report.head(
        &format!("{POOL} executions at once, all warm, until the last has its answer"),
        "| | median | p95 | min | n |",
    );
    report.rows(bursts.iter().map(|(name, times)| row(name, times)).collect());
    Ok(())
}

fn row(name: &str, times: &Series) -> String {
    let (median, p95, min) = (times.quantile(0.5), times.quantile(0.95), times.quantile(0.0));
    format!("| {name} | {median:.2} ms | {p95:.2} ms | {min:.2} ms | {} |", times.count())
}

async fn one_by_one(server: &Server) -> Result<Series, Failure> {
    // As many at once as the pool is to have.
    burst(server).await?;
    let mut times = Series::new("");
    for round in 0..=setting("GANTRY_BENCH_SERVER_RUNS", 100) {
        until_full(server).await?;
        let (execution, took) = server.api.execute("cat").await?;
        if !execution.sandbox.is_some_and(|it| it.warm) {
            return Err("a sandbox of a full pool was not warm".into());
        }
        if round > 0 {
            times.add(took);
        }
    }
    Ok(times)
}

async fn at_once(server: &Server) -> Result<Series, Failure> {
    let mut times = Series::new("");
    for _ in 0..(setting("GANTRY_BENCH_SERVER_RUNS", 100) / RUNS_OF_A_BURST).max(1) {
        until_full(server).await?;
        times.add(burst(server).await?);
    }
    Ok(times)
}

async fn burst(server: &Server) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let all = (0..POOL).map(|_| server.api.execute("cat"));
    futures::future::try_join_all(all).await?;
    Ok(begun.elapsed())
}

/// Waits until the pool is full and the engine has nothing to do for it.
async fn until_full(server: &Server) -> Result<(), Failure> {
    loop {
        // Its answer may be two seconds old, but for the pool.
        let (body, _) = server.api.get("/readyz").await?;
        let Ready { pool } = serde_json::from_slice(&body)?;
        if pool.unused == POOL && pool.starting == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

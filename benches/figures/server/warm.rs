//! Executions in sandboxes that have waited for them: one after the other, each
//! once the pool is full again, and all that the pool has at once.

use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::served::{AFTERMATH, Served};
use crate::harness::server::Database;
use crate::harness::workload::SHELL;
use crate::{Failure, setting};

/// Sandboxes that wait.
const POOL: usize = 8;

/// Bursts, for each of so many executions.
const RUNS_OF_A_BURST: u64 = 5;

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let mut single = Vec::new();
    let mut bursts = Vec::new();
    for database in [Database::Sqlite, Database::postgres().await] {
        let served = Served::start(&database, &SHELL, POOL, &[]).await?;
        served.bring_up(POOL).await?;
        single.push((database.name(), one_by_one(&served).await?));
        bursts.push((database.name(), at_once(&served).await?));
        served.stop().await?;
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
    let (median, p95, min) = (times.median(), times.p95(), times.quantile(0.0));
    format!("| {name} | {median:.2} ms | {p95:.2} ms | {min:.2} ms | {} |", times.count())
}

async fn one_by_one(served: &Served) -> Result<Series, Failure> {
    let mut times = Series::new("");
    for round in 0..=setting("GANTRY_BENCH_SERVER_RUNS", 100) {
        served.settle(POOL).await?;
        tokio::time::sleep(AFTERMATH).await;
        let ran = served.execute().await?;
        if !ran.warm {
            return Err("a sandbox of a full pool was not warm".into());
        }
        if round > 0 {
            times.add(ran.took);
        }
    }
    Ok(times)
}

async fn at_once(served: &Served) -> Result<Series, Failure> {
    let mut times = Series::new("");
    for _ in 0..(setting("GANTRY_BENCH_SERVER_RUNS", 100) / RUNS_OF_A_BURST).max(1) {
        served.settle(POOL).await?;
        tokio::time::sleep(AFTERMATH).await;
        times.add(served.burst(POOL).await?.1);
    }
    Ok(times)
}

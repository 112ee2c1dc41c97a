//! How fast the server starts and answers with a million executions in its
//! table.

use std::time::Duration;

use super::seed::{self, JOB, SCRIPTS, Seeded};
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// Requests of each kind.
const REQUESTS: u64 = 250;

/// How often the server is started.
const STARTS: u64 = 7;

/// Entries of a page.
const PAGE: u64 = 50;

/// What is asked for: its name, and a path for each number.
type Question = (&'static str, Box<dyn Fn(u64) -> String>);

pub(crate) async fn measure(report: &mut Report) -> Result<(), Failure> {
    let executions = setting("GANTRY_BENCH_EXECUTIONS", 1_000_000);
    for database in [Database::Sqlite, Database::postgres().await] {
        let folder = tempfile::tempdir()?;
        let begun = std::time::Instant::now();
        let seeded = seed::seed(&database, folder.path(), executions).await?;
        eprintln!("{}: seeded in {:.0} s", database.name(), begun.elapsed().as_secs_f64());
        let (start_up, pages) = ask(&database, folder.path(), &seeded).await?;
        let title = format!(
            "{executions} executions of {SCRIPTS} scripts in jobs of {JOB}, {}",
            database.name()
        );
        report.head(&title, "| | median | p95 | max | n |");
        let rows = pages.iter().chain([&start_up]).map(|it| {
            let (median, p95, max) = (it.quantile(0.5), it.quantile(0.95), it.quantile(1.0));
            let n = it.count();
            format!("| {} | {median:.1} ms | {p95:.1} ms | {max:.1} ms | {n} |", it.name())
        });
        report.rows(rows.collect());
    }
    Ok(())
}

async fn ask(
    database: &Database,
    data_dir: &std::path::Path,
    seeded: &Seeded,
) -> Result<(Series, Vec<Series>), Failure> {
    let mut start_up = Series::new("`gantry serve` until `/healthz` answers");
    for _ in 1..STARTS {
        let server = Server::start(database, data_dir, &[]).await?;
        start_up.add(server.start_up);
        server.stop().await?;
    }
    let server = Server::start(database, data_dir, &[]).await?;
    start_up.add(server.start_up);
    let mut pages = Vec::new();
    for (name, path) in questions(*seeded) {
        let mut times = Series::new(name);
        for _ in 0..REQUESTS {
            let (body, took) = server.api.get(&path(getrandom::u64()? >> 1)).await?;
            is_answer(&body, took, name)?;
            times.add(took);
        }
        pages.push(times);
    }
    server.stop().await?;
    Ok((start_up, pages))
}

/// A page that is empty is measured in vain.
fn is_answer(body: &[u8], took: Duration, name: &str) -> Result<(), Failure> {
    if body.len() > 100 { Ok(()) } else { Err(format!("{name}: empty after {took:?}").into()) }
}

fn questions(seeded: Seeded) -> Vec<Question> {
    let Seeded { executions, .. } = seeded;
    let of_script = executions / SCRIPTS;
    vec![
        (
            "history of a script, one of its pages",
            Box::new(move |n| {
                let (script, page) = (n % SCRIPTS + 1, (n / SCRIPTS) % (of_script / PAGE).max(1));
                let offset = page * PAGE;
                format!("/api/v1/admin/scripts/{script}/executions?limit={PAGE}&offset={offset}")
            }),
        ),
        (
            "list of all, one of the first 20 pages",
            Box::new(|n| format!("/api/v1/executions?limit={PAGE}&offset={}", n % 20 * PAGE)),
        ),
        (
            "list by status, `failed`",
            Box::new(|n| {
                format!("/api/v1/executions?status=failed&limit={PAGE}&offset={}", n % 20 * PAGE)
            }),
        ),
        (
            "list by script and status",
            Box::new(move |n| {
                format!(
                    "/api/v1/executions?script={}&status=completed&limit={PAGE}",
                    n % SCRIPTS + 1
                )
            }),
        ),
        (
            "job page",
            Box::new(move |n| {
                format!("/api/v1/executions?job_id=job-{}&limit={PAGE}", n % (executions / JOB))
            }),
        ),
        (
            "detail with logs",
            Box::new(move |n| format!("/api/v1/executions/{}", seeded.id(n % executions))),
        ),
        (
            "list of all, offset 100,000",
            Box::new(|_| format!("/api/v1/executions?limit={PAGE}&offset=100000")),
        ),
    ]
}

//! What the server adds to an execution: HTTP, validation, two durable writes,
//! the queue. The same script, in the same image and with the same limits, runs
//! through the servers and through the engine layer alone, in turns.

use std::time::Duration;

use bollard::Docker;

use crate::harness::api::Execution;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::served::containers;
use crate::harness::server::{Database, Server};
use crate::harness::subject::Subject;
use crate::harness::workload::SHELL;
use crate::{Failure, setting};

/// What was measured through one server.
struct Served {
    name: &'static str,
    server: Server,
    folder: tempfile::TempDir,
    trip: Series,
    /// By how much a round trip took longer than the engine layer in the same
    /// round, in milliseconds.
    more: Vec<f64>,
    /// The part of a round trip that was neither the script's nor the sandbox's.
    around: Series,
    queue: Series,
    overhead: Series,
    duration: Series,
}

impl Served {
    async fn start(database: &Database, trip: &'static str) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let server = Server::start(database, folder.path(), &[]).await?;
        server.api.register(SHELL.name, SHELL.source).await?;
        Ok(Self {
            name: database.name(),
            server,
            folder,
            trip: Series::new(trip),
            more: Vec::new(),
            around: Series::new(""),
            queue: Series::new(""),
            overhead: Series::new(""),
            duration: Series::new(""),
        })
    }

    fn add(&mut self, execution: &Execution, took: Duration, alone: Duration) {
        let time = |ms: Option<f64>| Duration::from_secs_f64(ms.unwrap_or_default() / 1000.0);
        let (overhead, duration) = (time(execution.overhead_ms), time(execution.duration_ms));
        self.trip.add(took);
        self.more.push((took.as_secs_f64() - alone.as_secs_f64()) * 1000.0);
        self.around.add(took.saturating_sub(overhead + duration));
        self.queue.add(time(execution.queue_ms));
        self.overhead.add(overhead);
        self.duration.add(duration);
    }

    /// The median of the differences, which may be negative.
    fn median_more(&mut self) -> f64 {
        self.more.sort_by(f64::total_cmp);
        self.more.get(self.more.len() / 2).copied().unwrap_or_default()
    }
}

pub(crate) async fn measure(subject: &Subject, report: &mut Report) -> Result<(), Failure> {
    let docker = Docker::connect_with_defaults()?;
    let cat = subject.task(&SHELL).await?;
    let database = Database::postgres().await;
    let mut alone = Series::new("engine layer alone");
    let mut sqlite = Served::start(&Database::Sqlite, "HTTP round trip, SQLite").await?;
    let mut other = Served::start(&database, "HTTP round trip, PostgreSQL").await?;
    for round in 0..=setting("GANTRY_BENCH_SERVER_RUNS", 100) {
        // Who comes first changes, in case that it matters.
        let mut engine = Duration::ZERO;
        let mut answers = Vec::new();
        for turn in 0..3 {
            match (round + turn) % 3 {
                0 => {
                    let begun = std::time::Instant::now();
                    subject.execute(&cat).await?;
                    engine = begun.elapsed();
                    subject.settle().await;
                }
                1 => answers.push((false, execute(&docker, &sqlite).await?)),
                _ => answers.push((true, execute(&docker, &other).await?)),
            }
        }
        // The first round warms caches that all have in common.
        if round > 0 {
            alone.add(engine);
            for (is_other, (execution, took)) in answers {
                let served = if is_other { &mut other } else { &mut sqlite };
                served.add(&execution, took, engine);
            }
        }
    }
    write(report, alone, [&mut sqlite, &mut other]);
    for served in [sqlite, other] {
        served.server.stop().await?;
        served.folder.close()?;
    }
    Ok(())
}

/// One execution, until its container is gone: the next one has the engine for
/// itself.
async fn execute(docker: &Docker, served: &Served) -> Result<(Execution, Duration), Failure> {
    let executed = served.server.api.execute(SHELL.name).await?;
    while !containers(docker, served.folder.path()).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(executed)
}

fn write(report: &mut Report, alone: Series, mut served: [&mut Served; 2]) {
    report.head(
        "What the server adds: `cat` on `{\"a\":1}`, `Prefer: wait`, in turns",
        "| | median | p95 | min | n | more than alone | median of pairs |",
    );
    let shown = |it: &Series| {
        let (median, p95, min) = (it.quantile(0.5), it.quantile(0.95), it.quantile(0.0));
        format!("{} | {median:.1} ms | {p95:.1} ms | {min:.1} ms | {}", it.name(), it.count())
    };
    let mut rows = vec![format!("| {} | | |", shown(&alone))];
    for it in &mut served {
        let more = it.trip.quantile(0.5) - alone.quantile(0.5);
        let pairs = it.median_more();
        rows.push(format!("| {} | {more:+.2} ms | {pairs:+.2} ms |", shown(&it.trip)));
    }
    report.rows(rows);
    report.head(
        "The same by the server's clock: what is not the engine layer's",
        "| | added, median | added, p95 | added, min | of that `queue_ms` | `overhead_ms` | \
         `duration_ms` |",
    );
    let rows = served.iter().map(|it| {
        format!(
            "| {} | {:.2} ms | {:.2} ms | {:.2} ms | {:.2} ms | {:.1} ms | {:.1} ms |",
            it.name,
            it.around.quantile(0.5),
            it.around.quantile(0.95),
            it.around.quantile(0.0),
            it.queue.quantile(0.5),
            it.overhead.quantile(0.5),
            it.duration.quantile(0.5),
        )
    });
    report.rows(rows.collect());
}

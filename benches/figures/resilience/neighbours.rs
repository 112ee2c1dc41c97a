//! A well-behaved script alone, and beside three that take all they can get: a fork
//! bomb, a memory bomb and a flood of output. They are executions like any other, with
//! the limits that nobody has asked to be otherwise, and come again when they have ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::api::{Api, Execution};
use crate::harness::goal::Goal;
use crate::harness::process::{Database, Server};
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::{Failure, setting};

/// Some 50 ms of work for a CPU, and one line. Bash counts.
const WORK: &str = "#!/bin/bash
for ((n = 0; n < 20000; n++)); do ((sum += n)); done
echo \"{\\\"a\\\": $sum}\"
";
const SUM: u64 = 199_990_000;

/// What takes all it can get: its name, how it is registered, and its source.
const HOSTILE: [(&str, &str, &str); 3] = [
    ("fork bomb", "python", FORK_BOMB),
    ("memory bomb", "python", MEMORY_BOMB),
    ("flood of stdout", "shell", "#!/bin/bash\nexec yes\n"),
];

/// As many processes as it may have, and all of them busy.
const FORK_BOMB: &str = "\
import os

while True:
    try:
        os.fork()
    except OSError:
        pass
";

/// Every page is written to.
const MEMORY_BOMB: &str = "\
held = []
while True:
    held.append(b'x' * (1 << 24))
";

/// Between two executions that are measured: the pool has the time to follow.
const PAUSE: Duration = Duration::from_millis(200);

/// How much longer it may take.
const LIMIT: f64 = 3.0;

/// Executions of the well-behaved script in one situation.
struct Seen {
    times: Series,
    /// By the server's clock: the script's own, and all the rest of what it did.
    own: Series,
    rest: Series,
    warm: usize,
}

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir()?;
    let settings = [("GANTRY_POOL_SIZE", "8")];
    let server = Server::start(&Database::Sqlite, folder.path(), &settings).await?;
    let measured = on(&server).await;
    server.stop().await?;
    let (alone, beside, renewed) = measured?;
    report.head(
        "A shell script with 50 ms of work, one after the other, `warm` 2",
        "| | median | p95 | its own, p95 | the rest, p95 | n | warm |",
    );
    report.rows(vec![row("alone", &alone), row("beside all three", &beside)]);
    report.paragraph(&format!(
        "Until the answer; its own time and the rest are by the server's clock. Beside it ran, each \
         with the default limits and again when it had ended: {renewed}."
    ));
    let ratio = beside.times.p95() / alone.times.p95();
    let what = "a script's p95 beside a fork bomb, a memory bomb and a flood of output";
    Ok(vec![Goal::at_most_share(what, ratio, LIMIT, "alone")])
}

fn row(name: &str, seen: &Seen) -> String {
    format!(
        "| {name} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms | {} | {} |",
        seen.times.median(),
        seen.times.p95(),
        seen.own.p95(),
        seen.rest.p95(),
        seen.times.count(),
        seen.warm,
    )
}

/// Alone, beside them, and what these were.
async fn on(server: &Server) -> Result<(Seen, Seen, String), Failure> {
    let api = &server.api;
    api.register_as(json!({
        "name": "works", "description": "", "script_type": "shell", "source": WORK, "warm": 2,
    }))
    .await?;
    for (name, script_type, source) in HOSTILE {
        api.register_as(json!({
            "name": named(name), "description": "", "script_type": script_type, "source": source,
        }))
        .await?;
    }
    // The image is made, and what the first has to do is done.
    execute(api).await?;
    let alone = executions(api).await?;
    let mut hostile = JoinSet::new();
    let mut counts = Vec::new();
    for (name, ..) in HOSTILE {
        let begun = Arc::new(AtomicU64::new(0));
        counts.push((name, Arc::clone(&begun)));
        hostile.spawn(again(Arc::clone(api), json!({ "script": named(name) }), begun));
    }
    let bad = async {
        // Each goes on for ever; so the first to end has failed.
        match hostile.join_next().await {
            Some(ended) => Err(ended??),
            None => Err(Failure::from("none ran")),
        }
    };
    let beside = async {
        all_run(api).await?;
        executions(api).await
    };
    let beside = tokio::select! {
        seen = beside => seen?,
        failed = bad => failed?,
    };
    hostile.shutdown().await;
    for execution in running(api).await? {
        api.cancel(execution.id).await?;
    }
    let renewed = counts
        .iter()
        .map(|(name, begun)| format!("{} of the {name}", begun.load(Ordering::Relaxed)));
    Ok((alone, beside, renewed.collect::<Vec<_>>().join(", ")))
}

fn named(name: &str) -> String {
    name.replace(' ', "-")
}

/// Executes something again and again, however it ends. Answers only with what kept it
/// from going on.
async fn again(api: Arc<Api>, body: Value, begun: Arc<AtomicU64>) -> Result<Failure, Failure> {
    loop {
        begun.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = api.run(&body).await {
            return Ok(error);
        }
    }
}

async fn running(api: &Api) -> Result<Vec<Execution>, Failure> {
    let (body, _) = api.get("/api/v1/executions?status=running").await?;
    Ok(serde_json::from_slice(&body)?)
}

/// Waits until all of them do what they are there for.
async fn all_run(api: &Api) -> Result<(), Failure> {
    while running(api).await?.len() < HOSTILE.len() {
        tokio::time::sleep(PAUSE).await;
    }
    tokio::time::sleep(PAUSE * 5).await;
    Ok(())
}

async fn executions(api: &Api) -> Result<Seen, Failure> {
    let [times, own, rest] = [(); 3].map(|()| Series::new(""));
    let mut seen = Seen { times, own, rest, warm: 0 };
    for _ in 0..setting("GANTRY_BENCH_NEIGHBOURS", 100) {
        tokio::time::sleep(PAUSE).await;
        let (execution, took) = execute(api).await?;
        let ms = |value: Option<f64>| Duration::from_secs_f64(value.unwrap_or_default() / 1000.0);
        seen.times.add(took);
        seen.own.add(ms(execution.duration_ms));
        seen.rest.add(ms(execution.queue_ms) + ms(execution.overhead_ms));
        seen.warm += usize::from(execution.sandbox.is_some_and(|it| it.warm));
    }
    Ok(seen)
}

async fn execute(api: &Api) -> Result<(Execution, Duration), Failure> {
    let (execution, took) = api.run(&json!({ "script": "works" })).await?;
    if execution.status == "completed" && execution.output_data == Some(json!({ "a": SUM })) {
        return Ok((execution, took));
    }
    Err(execution.end().into())
}

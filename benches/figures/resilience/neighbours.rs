//! A well-behaved script alone, and beside three that take all they can get: a fork
//! bomb, a memory bomb and a flood of output. They are executions like any other, with
//! the limits that nobody has asked to be otherwise, and come again when they have ended.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::api::{Api, Execution};
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::served::pool;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// Some 50 ms of work for a CPU, and one line. Bash counts.
const WORK: &str = "#!/bin/bash
for ((n = 0; n < 20000; n++)); do ((sum += n)); done
echo \"{\\\"a\\\": $sum}\"
";
const SUM: u64 = 199_990_000;

/// What takes all it can get: its name, and its source. All are of the kind that the
/// well-behaved script is: they take from the same pool.
const HOSTILE: [(&str, &str); 3] = [
    // As many processes as it may have, and all of them busy.
    ("fork bomb", "#!/bin/bash\nexec perl -e 'while (1) { fork }'\n"),
    // Keeps a line that never ends.
    ("memory bomb", "#!/bin/bash\nexec tail /dev/zero\n"),
    ("flood of stdout", "#!/bin/bash\nexec yes\n"),
];

/// How long each may go on until it comes again. When this program is interrupted, a
/// bomb stays for no longer.
const TIMEOUT_SECS: u64 = 60;

/// Sandboxes that wait for the script; an execution that is to be warm begins when half
/// of them do, so that a bomb that comes again does not take the last one.
const WARM: usize = 4;

/// Between two executions.
const PAUSE: Duration = Duration::from_millis(200);

/// How long sandboxes are waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// There is one cold execution for so many warm ones.
const FEWER: u64 = 3;

/// How much longer it may take.
const LIMIT: f64 = 3.0;

/// How the well-behaved script is run, by the names of its scripts.
const WAYS: [&str; 2] = ["warm", "cold"];

/// Executions of the well-behaved script in one situation.
struct Seen {
    times: Series,
    /// By the server's clock: the script's own, and all the rest of what it did.
    own: Series,
    rest: Series,
    warm: usize,
}

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let (folder, mounted) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let roots = mounted.path().to_str().ok_or("a folder for temporary files that is no text")?;
    let settings = [("GANTRY_POOL_SIZE", "8"), ("GANTRY_MOUNT_ROOTS", roots)];
    let server = Server::start(&Database::Sqlite, folder.path(), &settings).await?;
    register(&server.api, mounted.path()).await?;
    let measured = on(&server.api).await;
    server.stop().await?;
    let (alone, beside, renewed) = measured?;
    report.head(
        "A shell script with 50 ms of work, one execution after the other",
        "| | median | p95 | its own, p95 | the rest, p95 | n | warm |",
    );
    let mut goals = Vec::new();
    for ((way, alone), beside) in WAYS.into_iter().zip(&alone).zip(&beside) {
        report.rows(vec![
            row(&format!("{way}, alone"), alone),
            row(&format!("{way}, beside all three"), beside),
        ]);
        let what = format!(
            "a script's p95 beside a fork bomb, a memory bomb and a flood of output, {way}"
        );
        let ratio = beside.times.p95() / alone.times.p95();
        goals.push(Goal::at_most_share(&what, ratio, LIMIT, "alone"));
    }
    report.paragraph(&format!(
        "Until the answer; its own time and the rest are by the server's clock. Warm is a script \
         with `warm` {WARM}, called when {} wait; cold is one with a mount. Beside it ran, each with \
         the default limits and again when it had ended: {renewed}.",
        WARM / 2,
    ));
    Ok(goals)
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

async fn register(api: &Api, mounted: &Path) -> Result<(), Failure> {
    let script = |name: &str, source: &str| json!({ "name": name, "description": "", "script_type": "shell", "source": source });
    for (name, source) in HOSTILE {
        let mut hostile = script(&named(name), source);
        hostile["timeout_secs"] = json!(TIMEOUT_SECS);
        api.register_as(hostile).await?;
    }
    let (mut warm, mut cold) = (script("warm", WORK), script("cold", WORK));
    warm["warm"] = json!(WARM);
    cold["mounts"] = json!([{ "source": mounted, "target": "/mounted" }]);
    api.register_as(warm).await?;
    api.register_as(cold).await
}

/// Alone, beside them, and what these were.
async fn on(api: &Arc<Api>) -> Result<([Seen; 2], [Seen; 2], String), Failure> {
    // Images are made, and what the first has to do is done.
    for way in WAYS {
        execute(api, way).await?;
    }
    let alone = executions(api).await?;
    let mut hostile = JoinSet::new();
    let mut counts = Vec::new();
    for (name, _) in HOSTILE {
        let begun = Arc::new(AtomicU64::new(0));
        counts.push((name, Arc::clone(&begun)));
        hostile.spawn(again(Arc::clone(api), json!({ "script": named(name) }), begun));
    }
    let beside = async {
        all_run(api).await?;
        executions(api).await
    };
    let beside = tokio::select! {
        seen = beside => seen?,
        // Each goes on for ever; so the first to end has failed.
        ended = hostile.join_next() => return Err(ended.ok_or("none ran")??),
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

/// Executes something again and again, however it ends. Answers with what kept it from
/// going on.
async fn again(api: Arc<Api>, body: Value, begun: Arc<AtomicU64>) -> Failure {
    loop {
        begun.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = api.run(&body).await {
            return error;
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

/// In both ways.
async fn executions(api: &Api) -> Result<[Seen; 2], Failure> {
    let [mut warm, mut cold] = [(); 2].map(|()| {
        let [times, own, rest] = [(); 3].map(|()| Series::new(""));
        Seen { times, own, rest, warm: 0 }
    });
    for round in 0..setting("GANTRY_BENCH_NEIGHBOURS", 60) {
        until_some_wait(api).await?;
        once(api, "warm", &mut warm).await?;
        if round.is_multiple_of(FEWER) {
            once(api, "cold", &mut cold).await?;
        }
    }
    Ok([warm, cold])
}

/// Waits until an execution finds a sandbox that waits.
async fn until_some_wait(api: &Api) -> Result<(), Failure> {
    let begun = Instant::now();
    while pool(api).await?.unused < WARM / 2 {
        if begun.elapsed() > PATIENCE {
            return Err(format!("the pool has not been filled in {PATIENCE:?}").into());
        }
        tokio::time::sleep(PAUSE / 4).await;
    }
    Ok(())
}

async fn once(api: &Api, way: &str, seen: &mut Seen) -> Result<(), Failure> {
    tokio::time::sleep(PAUSE).await;
    let (execution, took) = execute(api, way).await?;
    let ms = |value: Option<f64>| Duration::from_secs_f64(value.unwrap_or_default() / 1000.0);
    seen.times.add(took);
    seen.own.add(ms(execution.duration_ms));
    seen.rest.add(ms(execution.queue_ms) + ms(execution.overhead_ms));
    seen.warm += usize::from(execution.sandbox.is_some_and(|it| it.warm));
    Ok(())
}

async fn execute(api: &Api, way: &str) -> Result<(Execution, Duration), Failure> {
    let (execution, took) = api.run(&json!({ "script": way })).await?;
    if execution.status == "completed" && execution.output_data == Some(json!({ "a": SUM })) {
        return Ok((execution, took));
    }
    Err(execution.end().into())
}

//! From the start of a server whose predecessor was killed until all that ran is in its
//! hands: shown as running, and followers go on where they were. The same executions
//! live through every kill, and not a line of them may be missing or come twice.

use std::time::{Duration, Instant};

use futures::future::{join_all, try_join_all};
use serde_json::json;

use super::follower::Follower;
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// Executions that run.
const RUNNING: usize = 8;

/// Counts ten times a second, and starts no process to wait.
const COUNTS: &str = "#!/bin/bash
exec {never}<> <(:)
for ((n = 1; ; n++)); do
    echo $n
    read -rt 0.1 -u $never
done
";

/// As it is shipped, and with room for all of them however few CPUs there are.
const SETTINGS: [(&str, &str); 2] = [("GANTRY_POOL_SIZE", "8"), ("GANTRY_MAX_CONCURRENT", "8")];

/// How long a server runs until it is killed.
const LIFE: Duration = Duration::from_secs(1);

/// In milliseconds.
const LIMIT: f64 = 2000.0;

/// How long an execution may take: longer than all of this.
const TIMEOUT_SECS: u64 = 3600;

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::start(&Database::Sqlite, folder.path(), &SETTINGS).await?;
    let mut followers = begin(&server).await?;
    let mut up = Series::new("until it listens");
    let mut adopted = Series::new("until all are adopted and followed");
    for _ in 0..setting("GANTRY_BENCH_KILLS", 20) {
        // They go on reading until the server is gone.
        let kill = async {
            tokio::time::sleep(LIFE).await;
            drop(server);
        };
        let ((), read) = tokio::join!(kill, join_all(followers.iter_mut().map(Follower::read_on)));
        read.into_iter().collect::<Result<(), _>>()?;
        let begun = Instant::now();
        server = Server::start(&Database::Sqlite, folder.path(), &SETTINGS).await?;
        up.add(begun.elapsed());
        let api = &server.api;
        try_join_all(followers.iter_mut().map(|it| it.come_back(api))).await?;
        adopted.add(begun.elapsed());
    }
    for follower in &followers {
        server.api.cancel(follower.id).await?;
    }
    server.stop().await?;
    let p95 = adopted.p95();
    report.plain_times(
        &format!("A new server after `kill -9` with {RUNNING} running executions"),
        [up, adopted],
    );
    report.paragraph(
        "From the start of its process. The same executions live through all kills; every line of \
         theirs reaches its follower once.",
    );
    Ok(vec![Goal::at_most_ms("from a server's start until all is adopted, p95", p95, LIMIT)])
}

/// Starts the executions, and follows each until it has printed.
async fn begin(server: &Server) -> Result<Vec<Follower>, Failure> {
    let api = &server.api;
    api.register_as(json!({
        "name": "counts", "description": "", "script_type": "shell", "source": COUNTS,
        "timeout_secs": TIMEOUT_SECS,
    }))
    .await?;
    let mut followers = Vec::new();
    for _ in 0..RUNNING {
        followers.push(Follower::new(api.submit("counts").await?.id));
    }
    try_join_all(followers.iter_mut().map(|it| it.come_back(api))).await?;
    Ok(followers)
}

//! A store with very many small files: listing them, asking which are missing, and collecting
//! those that nothing refers to.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::json;

use super::client::{self, Content};
use super::rounds;
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::series::Series;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// Digests in one question.
const ASKED: usize = 10_000;

/// Requests in flight while the store is filled.
const IN_FLIGHT: usize = 32;

/// Time between two looks at a collection.
const LOOK: Duration = Duration::from_millis(20);

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let mut goals = of(&Database::Sqlite, report).await?;
    goals.extend(of(&Database::postgres().await, report).await?);
    Ok(goals)
}

async fn of(database: &Database, report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir_in("target")?;
    let server = Server::start(database, folder.path(), &[]).await?;
    let filled = fill(&server).await?;
    let mut listed = Series::new("a page of the list");
    let mut asked = Series::new("10,000 digests, which are missing");
    for _ in 0..3 * rounds() {
        listed
            .add(client::timed(server.api.request(Method::GET, "/api/v1/files?limit=100")).await?);
        let question = json!({ "digests": filled.get(..ASKED.min(filled.len())) });
        let request = server.api.request(Method::POST, "/api/v1/files/missing").json(&question);
        asked.add(client::timed(request).await?);
    }
    let begun = Instant::now();
    let forgotten = stream::iter(&filled).map(|digest| client::forget(&server.api, digest));
    forgotten.buffer_unordered(IN_FLIGHT).try_collect::<Vec<()>>().await?;
    let forgot = begun.elapsed();
    server.stop().await?;
    let collected = collect(database, folder.path()).await?;
    let (count, name) = (filled.len(), database.name());
    let goals = vec![
        Goal::at_most_ms(
            &format!("{count} files, collection, {name}"),
            milliseconds(collected),
            2_000.0,
        ),
        Goal::at_most_ms(
            &format!("{count} files, `missing` of {ASKED}, median, {name}"),
            asked.median(),
            200.0,
        ),
        Goal::at_most_ms(
            &format!("{count} files, a page of the list, median, {name}"),
            listed.median(),
            50.0,
        ),
    ];
    report.plain_times(&format!("{count} small files, {name}"), [listed, asked]);
    report.paragraph(&format!(
        "All of them given up one by one, {IN_FLIGHT} in flight: {:.1} s; collected by the next \
         start: {:.1} s.",
        forgot.as_secs_f64(),
        collected.as_secs_f64()
    ));
    Ok(goals)
}

/// Uploads small files, each of them another; their digests.
async fn fill(server: &Server) -> Result<Vec<String>, Failure> {
    let mut content = Content::new()?;
    let count = setting("GANTRY_BENCH_OBJECTS", 100_000);
    let bodies = (0..count).map(move |_| content.body(64));
    let uploads = stream::iter(bodies).map(|body| client::upload(&server.api, body));
    let stored: Vec<_> = uploads.buffer_unordered(IN_FLIGHT).try_collect().await?;
    Ok(stored.into_iter().map(|(digest, _)| digest).collect())
}

/// Starts a server that keeps nothing that nobody refers to; the time until all files are
/// gone.
async fn collect(database: &Database, data: &std::path::Path) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let server = Server::start(database, data, &[("GANTRY_FILES_GRACE", "0s")]).await?;
    loop {
        let (storage, _) = server.api.get("/api/v1/storage").await?;
        let storage: serde_json::Value = serde_json::from_slice(&storage)?;
        if storage["all"]["files"] == 0 {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let took = begun.elapsed().saturating_sub(server.start_up);
    server.stop().await?;
    Ok(took)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

//! Four scripts on each of many segments, each reading what the one before left: what the
//! server writes for it beside what was uploaded.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::client::{self, Content};
use crate::harness::goal::Goal;
use crate::harness::report::Report;
use crate::harness::server::{Database, Server};
use crate::{Failure, setting};

/// Size of a segment, in bytes.
const SEGMENT: u64 = 50_000_000;

/// Scripts that each segment goes through.
const STEPS: usize = 4;

/// Writes as much as it reads, each byte another.
const SCRIPT: &str = "#!/bin/bash
mkdir -p out
tr '\\000-\\377' '\\001-\\377\\000' <in/segment >out/segment
";

pub(super) async fn measure(report: &mut Report) -> Result<Vec<Goal>, Failure> {
    let folder = tempfile::tempdir_in("target")?;
    let settings = [("GANTRY_MAX_CONCURRENT", "2")];
    let server = Server::start(&Database::Sqlite, folder.path(), &settings).await?;
    let segments = setting("GANTRY_BENCH_SEGMENTS", 20);
    let measured = on(&server, segments).await;
    server.stop().await?;
    let Measured { took, written, uploaded } = measured?;
    let mib = |bytes: u64| bytes >> 20;
    report.head(
        &format!("{segments} segments of {} MB through {STEPS} scripts", SEGMENT / 1_000_000),
        "| | |",
    );
    report.rows(vec![
        format!("| from the first upload to the last answer | {:.1} s |", took.as_secs_f64()),
        format!("| uploaded | {} MiB |", mib(uploaded)),
        format!("| left by scripts | {} MiB |", mib(uploaded * STEPS as u64)),
        format!("| written by the server | {} MiB |", mib(written)),
    ]);
    let copied = written as f64 / uploaded as f64;
    Ok(vec![Goal::at_most_share(
        "a chain of four scripts, bytes that the server writes",
        copied,
        1.05,
        "what was uploaded",
    )])
}

struct Measured {
    took: Duration,
    /// Bytes that the server has written, to files and sockets.
    written: u64,
    uploaded: u64,
}

async fn on(server: &Server, segments: u64) -> Result<Measured, Failure> {
    server
        .api
        .register_as(json!({
            "name": "step", "description": "", "script_type": "shell", "source": SCRIPT,
            "limits": { "disk_bytes": 4 * SEGMENT },
        }))
        .await?;
    let before = written(server)?;
    let begun = Instant::now();
    let mut content = Content::new()?;
    let bodies: Vec<_> = (0..segments).map(|_| content.body(SEGMENT)).collect();
    let chains = stream::iter(bodies).map(|body| chain(server, body)).buffer_unordered(2);
    chains.try_collect::<Vec<()>>().await?;
    let (took, written) = (begun.elapsed(), written(server)? - before);
    Ok(Measured { took, written, uploaded: segments * SEGMENT })
}

async fn chain(server: &Server, body: reqwest::Body) -> Result<(), Failure> {
    let (mut segment, _) = client::upload(&server.api, body).await?;
    for _ in 0..STEPS {
        let body = json!({ "script": "step", "files": { "segment": segment } });
        let (execution, _) = server.api.run(&body).await?;
        if execution.status != "completed" {
            return Err(execution.end().into());
        }
        segment = format!("execution:{}/segment", execution.id);
    }
    Ok(())
}

/// Bytes that the server's process has written so far (proc_pid_io(5)).
fn written(server: &Server) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{}/io", server.pid()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar")?;
    Ok(line.parse()?)
}

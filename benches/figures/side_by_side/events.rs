//! How long a line takes from a running script to a client that follows it. Both
//! have the same kernel, and so the same clock.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::Failure;
use crate::harness::series::Series;
use crate::harness::served::Served;

/// Prints the time, in seconds with six digits behind the point (bash(1)), again and
/// again.
const CLOCK: &str = "#!/bin/bash
for ((line = 0; line < 100; line++)); do
    echo \"$EPOCHREALTIME\"
    sleep 0.05
done
";

#[derive(Deserialize)]
struct Output {
    text: String,
}

pub(crate) async fn measure(served: &Served) -> Result<Series, Failure> {
    let api = &served.server.api;
    api.register("clock", CLOCK).await?;
    let execution = api.submit("clock").await?;
    api.until(execution.id, "running").await?;
    let path = format!("/api/v1/executions/{}/events", execution.id);
    let mut events = api.follow(&path).await?;
    // What was printed before was not followed.
    let begun = SystemTime::now();
    let mut times = Series::new("from a script's line to a client's event");
    let mut unread = Vec::new();
    while let Some(piece) = events.chunk().await? {
        let seen = SystemTime::now();
        unread.extend_from_slice(&piece);
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            for printed in stamps(&line).into_iter().filter(|it| *it > begun) {
                times.add(seen.duration_since(printed)?);
            }
        }
    }
    if times.count() == 0 {
        return Err("no event came while the script ran".into());
    }
    Ok(times)
}

/// The times that a line of the stream holds.
fn stamps(line: &[u8]) -> Vec<SystemTime> {
    let content = line.strip_prefix(b"data:").unwrap_or_default();
    let Ok(Output { text }) = serde_json::from_slice(content) else { return Vec::new() };
    let micros = text.lines().filter_map(|line| line.replace('.', "").parse().ok());
    micros.map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros)).collect()
}

//! The load: a process of its own, so that the server's clients share no runtime
//! with what measures. Plain HTTP/1.1 over kept connections, because a client
//! that does more would take the server's CPU.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::Failure;
use crate::harness::api::Api;

/// The argument that makes this program the generator.
pub(crate) const FLAG: &str = "--generate";

/// The variable that it has the token from.
const TOKEN: &str = "GANTRY_BENCH_TOKEN";

/// Connections that submit at once, each with one submission at a time.
pub(crate) const CONNECTIONS: usize = 64;

/// Largest answer to a submission, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// What was submitted.
#[derive(Serialize, Deserialize)]
pub(crate) struct Generated {
    pub(crate) accepted: u64,
    pub(crate) per_second: f64,
    pub(crate) median_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) cpu_seconds: f64,
}

/// Submits executions of a script until `seconds` are over or there are `count`.
pub(crate) async fn generate(
    api: &Api,
    script: &str,
    seconds: u64,
    count: u64,
) -> Result<Generated, Failure> {
    let address = api.url.strip_prefix("http://").ok_or("not plain HTTP")?;
    let output = Command::new(std::env::current_exe()?)
        .args([FLAG, address, script, &seconds.to_string(), &count.to_string()])
        .env(TOKEN, &api.token)
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        return Err(format!("the generator: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The generator's own process.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let arguments: Vec<String> = arguments.collect();
    let [address, script, seconds, count] = arguments.as_slice() else {
        return Err("ADDRESS SCRIPT SECONDS COUNT are wanted".into());
    };
    let body = format!(r#"{{"script":"{script}","input":{{"a":1}},"job_id":"load"}}"#);
    let token = std::env::var(TOKEN)?;
    let request = format!(
        "POST /api/v1/executions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (seconds, count) = (Duration::from_secs(seconds.parse()?), count.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let generated = runtime.block_on(submit_all(address, request, seconds, count))?;
    println!("{}", serde_json::to_string(&generated)?);
    Ok(())
}

async fn submit_all(
    address: &str,
    request: String,
    at_most: Duration,
    count: u64,
) -> Result<Generated, Failure> {
    let request: Arc<[u8]> = request.into_bytes().into();
    let left = Arc::new(AtomicU64::new(count));
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let begun = Instant::now();
    let until = begun + at_most;
    let connections = streams.into_iter().map(|stream| {
        tokio::spawn(submit_on(stream, Arc::clone(&request), until, Arc::clone(&left)))
    });
    let mut times = Vec::new();
    for connection in connections.collect::<Vec<_>>() {
        times.extend(connection.await??);
    }
    let took = begun.elapsed();
    times.sort();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among thousands"
    )]
    let at = |share: f64| {
        let rank = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
        times.get(rank).map_or(0.0, |time: &Duration| time.as_secs_f64() * 1000.0)
    };
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    Ok(Generated {
        accepted: times.len() as u64,
        per_second: times.len() as f64 / took.as_secs_f64(),
        median_ms: at(0.5),
        p95_ms: at(0.95),
        max_ms: at(1.0),
        cpu_seconds: cpu_seconds()?,
    })
}

/// One submission after the other; answers how long each took.
async fn submit_on(
    mut stream: TcpStream,
    request: Arc<[u8]>,
    until: Instant,
    left: Arc<AtomicU64>,
) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::new();
    let mut answer = Vec::with_capacity(MAX_ANSWER);
    let take_one = |left: u64| left.checked_sub(1);
    while Instant::now() < until
        && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok()
    {
        let begun = Instant::now();
        stream.write_all(&request).await?;
        answer.clear();
        while !is_whole(&answer)? {
            if answer.len() > MAX_ANSWER || stream.read_buf(&mut answer).await? == 0 {
                return Err("an answer was cut".into());
            }
        }
        times.push(begun.elapsed());
        if !answer.starts_with(b"HTTP/1.1 202 ") {
            return Err(String::from_utf8_lossy(&answer).into_owned().into());
        }
    }
    Ok(times)
}

/// Whether all of an answer is there.
fn is_whole(answer: &[u8]) -> Result<bool, Failure> {
    let Some(head) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { return Ok(false) };
    let text = std::str::from_utf8(answer.get(..head).unwrap_or_default())?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then_some(value.trim())
    });
    let length: usize = length.ok_or("an answer without Content-Length")?.parse()?;
    Ok(answer.len() >= head + 4 + length)
}

/// What this process has used of the CPUs.
fn cpu_seconds() -> Result<f64, Failure> {
    let times = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: f64 = times.split(' ').next().ok_or("no time")?.parse()?;
    Ok(nanoseconds / 1e9)
}

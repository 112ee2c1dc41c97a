//! A server at rest: no script is enabled, so nothing runs and nothing waits. What it
//! holds then, it holds for itself.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::Docker;

use super::mix;
use crate::Failure;
use crate::harness::server::Server;

/// At rest is what has not changed for so long: threads that nobody needs stay for 10 s
/// (tokio, `Builder::thread_keep_alive`).
const STILL: Duration = Duration::from_secs(15);

/// How long what is left may take to go away: clients' unused connections stay for 90 s
/// (reqwest, `ClientBuilder::pool_idle_timeout`).
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) containers: usize,
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptors, threads, containers } = self;
        write!(f, "{descriptors} descriptors, {threads} threads, {containers} containers")
    }
}

impl Rest {
    /// Descriptors, threads and containers.
    pub(super) fn numbers(self) -> [usize; 3] {
        [self.descriptors, self.threads, self.containers]
    }

    /// What there is more of than before, in words.
    pub(super) fn more_than(self, before: Self) -> Vec<String> {
        let pairs = [
            ("descriptors", self.descriptors, before.descriptors),
            ("threads", self.threads, before.threads),
            ("containers", self.containers, before.containers),
        ];
        let more = pairs.into_iter().filter(|(_, now, then)| now > then);
        more.map(|(what, now, then)| format!("{now} {what} at rest, and {then} before")).collect()
    }
}

/// Waits until a server is at rest, with no container and no more than it had before:
/// or, after [`PATIENCE`], with what it has then.
pub(super) async fn at_rest(
    server: &Server,
    data: &Path,
    before: Option<Rest>,
) -> Result<Rest, Failure> {
    mix::enable(&server.api, false).await?;
    let begun = Instant::now();
    let mut last = look(server, data).await?;
    let mut since = begun;
    loop {
        tokio::time::sleep(LOOK).await;
        let now = look(server, data).await?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let none_more = before.is_none_or(|before| now.more_than(before).is_empty());
        let is_still = since.elapsed() >= STILL && now.containers == 0;
        if is_still && none_more || begun.elapsed() > PATIENCE {
            return Ok(now);
        }
    }
}

async fn look(server: &Server, data: &Path) -> Result<Rest, Failure> {
    Ok(Rest {
        containers: containers(data).await?,
        descriptors: server.descriptors(),
        threads: server.threads(),
    })
}

/// How many containers there are of the server with this folder.
pub(super) async fn containers(data: &Path) -> Result<usize, Failure> {
    let docker = Docker::connect_with_defaults()?;
    Ok(crate::harness::served::containers(&docker, data).await?.len())
}

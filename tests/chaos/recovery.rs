//! How long a server takes, started again after it was killed, until it goes on with
//! all that runs: from its log, which says when it adopts what.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::faults::Injected;

/// What the log says when an execution is adopted.
const ADOPTED: &str = ": execution adopted container=";

/// A start of the server after it was killed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// Bytes that its log had before.
    pub(crate) log_bytes: u64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) instant: Instant,
    /// Whether the one before was killed, or asked to end.
    pub(crate) is_after_kill: bool,
}

/// How long it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovery {
    pub(crate) took: Duration,
    /// Whether nothing else was broken meanwhile.
    pub(crate) was_alone: bool,
}

/// From each start after a kill to the last adoption of that process; starts that had
/// nothing to adopt are left out.
pub(crate) fn recoveries(log: &Path, starts: &[Start], injected: &[Injected]) -> Vec<Recovery> {
    let log = fs::read(log).unwrap();
    let end_of = |number: usize| {
        starts.get(number + 1).map_or(log.len(), |next| usize::try_from(next.log_bytes).unwrap())
    };
    let recovery = |(number, start): (usize, &Start)| {
        let said = &log[usize::try_from(start.log_bytes).unwrap()..end_of(number)];
        let said = String::from_utf8_lossy(said);
        let last = said.lines().rev().filter(|line| line.contains(ADOPTED)).find_map(time_of)?;
        let took = (last - start.at).to_std().unwrap_or_default();
        let (from, to) = (start.instant, start.instant + took);
        let was_alone =
            !injected.iter().any(|it| !it.fault.is_of_server() && it.from <= to && it.to >= from);
        Some(Recovery { took, was_alone })
    };
    starts.iter().enumerate().filter(|(_, it)| it.is_after_kill).filter_map(recovery).collect()
}

fn time_of(line: &str) -> Option<DateTime<Utc>> {
    line.split_whitespace().next()?.parse().ok()
}

//! What must be gone a minute after the last fault: descriptors, threads and
//! containers that nobody needs any more.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::testkit::private_engine::PrivateEngine;
use crate::world::World;

/// Nothing outlives its purpose by more.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Unused sandboxes that may wait.
pub(crate) const POOL_SIZE: usize = 4;

/// Descriptors and threads that come and go in a server that is at rest: a
/// connection of the database, a sandbox that is being prepared.
const SLACK: usize = 16;

const PAUSE: Duration = Duration::from_millis(250);

/// What a server holds when it has worked and rests.
#[derive(Debug)]
pub(crate) struct Baseline {
    descriptors: Vec<String>,
    threads: usize,
}

impl Baseline {
    pub(crate) fn of(world: &World) -> Self {
        Self { descriptors: world.served.descriptors(), threads: world.served.threads() }
    }
}

/// Holds the server to what it held at first, and stops it; nothing must be left
/// then.
pub(crate) fn check(world: &World, engine: &PrivateEngine, baseline: &Baseline) {
    let too_many = || -> Option<String> {
        let now = Baseline::of(world);
        if now.descriptors.len() > baseline.descriptors.len() + SLACK {
            let (now, then) = (counted(&now.descriptors), counted(&baseline.descriptors));
            return Some(format!("descriptors are left: {now:?}, and at first {then:?}"));
        }
        if now.threads > baseline.threads + SLACK {
            let then = baseline.threads;
            return Some(format!("threads are left: {}, and at first {then}", now.threads));
        }
        let containers = engine.all_containers();
        (containers.len() > POOL_SIZE).then(|| format!("containers are left: {containers:?}"))
    };
    if let Some(left) = still(too_many) {
        world.violated(left);
    }
    if let Err(what) = world.served.stop() {
        world.violated(what);
    }
    let any = || {
        let containers = engine.all_containers();
        (!containers.is_empty()).then(|| format!("containers outlive the server: {containers:?}"))
    };
    if let Some(left) = still(any) {
        world.violated(left);
    }
}

/// What is still so when the time is over.
fn still(is_so: impl Fn() -> Option<String>) -> Option<String> {
    let begun = Instant::now();
    loop {
        let left = is_so()?;
        if begun.elapsed() > GONE_WITHIN {
            return Some(left);
        }
        std::thread::sleep(PAUSE);
    }
}

fn counted(words: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word.as_str()).or_default() += 1;
    }
    counts
}

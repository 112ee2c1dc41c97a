//! Keeps the pool filled: one task that compares it with the plan, and a few that start
//! missing sandboxes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::plan::plan;
use super::{Kind, Pool, ReadMemory, StandByFailure, State, Template, UNUSED};
use crate::engine::{LABEL_ROLE, NewContainer};
use crate::sandbox::{PrepareError, Sandbox};
use gantry_init::message::Preparation;

/// Interval of unprompted checks, in which demand decays and dead sandboxes are found.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Delay after a call: most executions end sooner than a start, which would take time of
/// the engine and the kernel from them.
const CALL_DELAY: Duration = Duration::from_millis(120);

/// Concurrent starts. The engine is their bottleneck, so more would only take longer.
const MAX_STARTS: usize = 2;

/// Pause after a failed start of a kind, times the number of failures.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Longest such pause.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(60);

/// Time until a failed preparation is tried again: it may have lacked memory or time.
const STAND_BY_RETRY: Duration = Duration::from_secs(600);

impl Pool {
    /// Fills the pool according to demand until it is drained.
    pub(super) async fn run_keeper(self) {
        loop {
            tokio::select! {
                () = self.inner.nudge.notified() => {}
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                () = self.inner.closing.cancelled() => return,
            }
            tokio::time::sleep(CALL_DELAY).await;
            self.check_memory();
            // Dropping removes them; the lock is not held meanwhile.
            drop(self.trim());
            while let Some(template) = self.next_missing() {
                self.inner.tasks.spawn(self.clone().start_missing(template));
            }
        }
    }

    /// Empties the pool while the machine is short of memory.
    fn check_memory(&self) {
        let Some(read) = self.memory_to_read() else { return };
        // Read without the lock, because executions wait for it.
        let memory = read();
        let available = memory.map(|it| it.available);
        let mut state = self.state();
        match (state.pressure.read(memory), state.pressure.is_on()) {
            (true, true) => {
                tracing::warn!(available, "the pool is emptied: the machine is short of memory");
            }
            (true, false) => {
                tracing::info!(
                    available,
                    "the pool is filled again: the machine has enough memory"
                );
            }
            (false, _) => {}
        }
    }

    /// Returns the function that reads the machine's memory, when that is due.
    fn memory_to_read(&self) -> Option<ReadMemory> {
        let now = self.now();
        let mut state = self.state();
        if now < state.memory_due {
            return None;
        }
        state.memory_due = now + CHECK_INTERVAL;
        Some(Arc::clone(&state.budget.as_ref()?.machine))
    }

    /// Takes out dead and surplus sandboxes, and drops kinds without recent demand.
    pub(super) fn trim(&self) -> Vec<Sandbox> {
        let now = self.now();
        let mut state = self.state();
        for kind in state.kinds.values_mut() {
            kind.unused = std::iter::from_fn(|| kind.next_alive(now)).collect();
        }
        let mut spare = Vec::new();
        for (share, kind) in shares(&mut state, self.inner.size, now) {
            let kept = share.min(kind.unused.len());
            spare.extend(kind.unused.drain(kept..));
        }
        state.kinds.retain(|_, kind| {
            let is_wanted = kind.demand.wanted(now) > 0 || kind.floor.count > 0;
            is_wanted || kind.starting > 0 || !kind.unused.is_empty()
        });
        spare
    }

    /// Selects the most called kind that lacks a sandbox, and counts one as being
    /// started. Returns `None` while executions are starting their own.
    pub(super) fn next_missing(&self) -> Option<Arc<Template>> {
        let now = self.now();
        let mut state = self.state();
        let starting: usize = state.kinds.values().map(|kind| kind.starting).sum();
        if state.cold > 0 || starting >= MAX_STARTS || self.inner.closing.is_cancelled() {
            return None;
        }
        let shares = shares(&mut state, self.inner.size, now).map(|(share, _)| share);
        let shares: Vec<usize> = shares.collect();
        let missing = state.kinds.iter_mut().zip(shares).filter(|((_, kind), share)| {
            kind.unused.len() + kind.starting < *share && kind.not_before <= now
        });
        let is_below = |kind: &Kind| kind.unused.len() + kind.starting < kind.floor.count;
        let by_use = |a: &Kind, b: &Kind| {
            let by_calls = a.demand.calls(now).total_cmp(&b.demand.calls(now));
            is_below(a).cmp(&is_below(b)).then(by_calls)
        };
        let ((template, kind), _) = missing.max_by(|((_, a), _), ((_, b), _)| by_use(a, b))?;
        kind.starting += 1;
        Some(Arc::clone(template))
    }

    async fn start_missing(self, template: Arc<Template>) {
        let since = Instant::now();
        let started = tokio::select! {
            started = self.start_sandbox(&template) => started,
            () = self.inner.closing.cancelled() => return,
        };
        let now = self.now();
        let mut state = self.state();
        let took = since.elapsed();
        let Some(kind) = state.kinds.get_mut(&template) else { return };
        kind.starting = kind.starting.saturating_sub(1);
        match started {
            Ok(sandbox) => {
                kind.failures = 0;
                kind.unused.push_back(sandbox);
                state.start_time = (state.start_time * 3 + took) / 4;
            }
            Err(PrepareError::Unsupported(reason)) => {
                let file = template.preparation.stand_by.as_ref().map(|it| it.launch.script());
                tracing::info!(file, reason, "the pool holds no stand-by interpreter for a script");
                kind.stand_by_failure =
                    Some(StandByFailure { reason, retry_at: now + STAND_BY_RETRY });
            }
            Err(PrepareError::Sandbox(error)) => {
                kind.failures = kind.failures.saturating_add(1);
                kind.not_before = now + (RETRY_PAUSE * kind.failures).min(MAX_RETRY_PAUSE);
                let image = template.spec.image.as_str();
                tracing::warn!(%error, image, "the pool failed to start a sandbox");
            }
        }
        drop(state);
        self.inner.nudge.notify_one();
    }

    /// Reason why no interpreter can stand by for this kind now.
    fn current_stand_by_failure(&self, template: &Arc<Template>) -> Option<String> {
        let now = self.now();
        let state = self.state();
        let failure = state.kinds.get(template)?.stand_by_failure.as_ref()?;
        (failure.retry_at > now).then(|| failure.reason.clone())
    }

    /// Starts a sandbox and prepares it as far as possible.
    async fn start_sandbox(&self, template: &Arc<Template>) -> Result<Sandbox, PrepareError> {
        let mut labels = self.inner.made_by.clone();
        labels.insert(LABEL_ROLE.to_owned(), UNUSED.to_owned());
        let container = NewContainer {
            name: format!("gantry-unused-{}", Uuid::now_v7().simple()),
            spec: template.spec.clone(),
            labels,
        };
        let engine = Arc::clone(&self.inner.engine);
        let sandbox = Sandbox::start(engine, &self.inner.remover, &container).await?;
        let mut sandbox = sandbox.verified(&template.spec).await?;
        let failure = self.current_stand_by_failure(template);
        let preparation = feasible(&template.preparation, failure.is_some());
        sandbox.set_stand_by_failure(failure);
        if preparation == Preparation::default() {
            return Ok(sandbox);
        }
        sandbox.prepare(&preparation).await
    }
}

impl Kind {
    /// Takes the next sandbox that still waits for its request. If one has failed because
    /// of its stand-by interpreter, none of this kind gets an interpreter for a while: it
    /// would fail likewise.
    pub(super) fn next_alive(&mut self, now: Duration) -> Option<Sandbox> {
        while let Some(mut sandbox) = self.unused.pop_front() {
            if sandbox.is_waiting() {
                return Some(sandbox);
            }
            if let Some(reason) = sandbox.init_error() {
                tracing::warn!(container = sandbox.name(), reason, "an unused sandbox has failed");
                self.stand_by_failure =
                    Some(StandByFailure { reason, retry_at: now + STAND_BY_RETRY });
            }
        }
        None
    }
}

/// Preparation that is feasible: a stand-by interpreter, or else its rehearsal.
fn feasible(wanted: &Preparation, has_failed: bool) -> Preparation {
    let stand_by = wanted.stand_by.clone().filter(|_| !has_failed);
    let rehearsal = if stand_by.is_some() { Vec::new() } else { wanted.rehearsal.clone() };
    Preparation { rehearsal, stand_by }
}

/// Number of sandboxes of each kind that may be held.
fn shares(
    state: &mut State,
    size: usize,
    now: Duration,
) -> impl Iterator<Item = (usize, &mut Kind)> {
    let shares = plan(&state.candidates(now), state.current_limits(size));
    shares.into_iter().zip(state.kinds.values_mut())
}

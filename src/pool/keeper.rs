//! Keeps the pool as full as demand wants it: one task that looks, and a few that
//! start what is missing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::plan::plan;
use super::{Kind, Pool, ReadMemory, StandByFailure, State, Template, UNUSED};
use crate::engine::{LABEL_ROLE, NewContainer};
use crate::sandbox::{PrepareError, Sandbox};
use gantry_init::message::Preparation;

/// How often it looks without being told to: what nobody calls decays, and what has
/// died is noticed.
const LOOK: Duration = Duration::from_secs(2);

/// A call is left alone for this long: most are over sooner than a start, which
/// takes the engine's and the kernel's time.
const SETTLE: Duration = Duration::from_millis(120);

/// Starts at once: they are bound by the engine, and more would only take longer.
const STARTS: usize = 2;

/// How long a kind that could not be started is left alone, times the number of
/// failures.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest such time.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How long nothing stands by where it could not: it may have been for want of memory
/// or time.
const UNFIT_FOR: Duration = Duration::from_secs(600);

impl Pool {
    /// Follows demand until the pool is drained.
    pub(super) async fn keep(self) {
        loop {
            tokio::select! {
                () = self.inner.nudge.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = self.inner.closing.cancelled() => return,
            }
            tokio::time::sleep(SETTLE).await;
            self.look_at_memory();
            // Dropped without the lock, and so removed.
            drop(self.trim());
            while let Some(template) = self.next_missing() {
                self.inner.tasks.spawn(self.clone().start(template));
            }
        }
    }

    /// Gives everything up while the machine is short of memory.
    fn look_at_memory(&self) {
        let Some(read) = self.memory_to_read() else { return };
        // Without the lock, which executions wait for.
        let memory = read();
        let available = memory.map(|it| it.available);
        let mut state = self.state();
        match (state.pressure.read(memory), state.pressure.is_on()) {
            (true, true) => tracing::warn!(
                available,
                "the machine is short of memory: no unused sandboxes are held"
            ),
            (true, false) => {
                tracing::info!(available, "there is memory again: unused sandboxes are held");
            }
            (false, _) => {}
        }
    }

    /// How to read the machine's memory, when that is due.
    fn memory_to_read(&self) -> Option<ReadMemory> {
        let now = self.now();
        let mut state = self.state();
        if now < state.memory_due {
            return None;
        }
        state.memory_due = now + LOOK;
        Some(Arc::clone(&state.budget.as_ref()?.machine))
    }

    /// Takes out what has died and what is too much, and forgets what was not heard
    /// of for long.
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

    /// The most useful kind of which one is missing; it counts as being started.
    /// None while executions start their own.
    pub(super) fn next_missing(&self) -> Option<Arc<Template>> {
        let now = self.now();
        let mut state = self.state();
        let starting: usize = state.kinds.values().map(|kind| kind.starting).sum();
        if state.cold > 0 || starting >= STARTS || self.inner.closing.is_cancelled() {
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

    async fn start(self, template: Arc<Template>) {
        let begun = Instant::now();
        let started = tokio::select! {
            started = self.make(&template) => started,
            () = self.inner.closing.cancelled() => return,
        };
        let now = self.now();
        let mut state = self.state();
        let took = begun.elapsed();
        let Some(kind) = state.kinds.get_mut(&template) else { return };
        kind.starting = kind.starting.saturating_sub(1);
        match started {
            Ok(sandbox) => {
                kind.failures = 0;
                kind.unused.push_back(sandbox);
                state.start_time = (state.start_time * 3 + took) / 4;
            }
            Err(PrepareError::Unsupported(reason)) => {
                let file = template.preparation.stand_by.as_ref().map(|it| it.file_name.as_str());
                tracing::info!(file, reason, "the script's interpreter does not wait for it");
                kind.unfit = Some(StandByFailure { reason, until: now + UNFIT_FOR });
            }
            Err(PrepareError::Sandbox(error)) => {
                kind.failures = kind.failures.saturating_add(1);
                kind.not_before = now + (PAUSE * kind.failures).min(MAX_PAUSE);
                tracing::warn!(%error, image = template.spec.image, "none is held for now");
            }
        }
        drop(state);
        self.inner.nudge.notify_one();
    }

    /// The reason that no process can stand by for this kind now.
    fn why_unfit(&self, template: &Arc<Template>) -> Option<String> {
        let now = self.now();
        let state = self.state();
        let unfit = state.kinds.get(template)?.unfit.as_ref()?;
        (unfit.until > now).then(|| unfit.reason.clone())
    }

    /// A sandbox with all ready that can be.
    async fn make(&self, template: &Arc<Template>) -> Result<Sandbox, PrepareError> {
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
        let unfit = self.why_unfit(template);
        let preparation = possible(&template.preparation, unfit.is_some());
        sandbox.set_stand_by_failure(unfit);
        if preparation == Preparation::default() {
            return Ok(sandbox);
        }
        sandbox.prepare(&preparation).await
    }
}

impl Kind {
    /// Takes the next sandbox that still waits for its request. One that gave itself up,
    /// because what stood by in it did not, is the last in which anything does for a
    /// while: the others would do the same.
    pub(super) fn next_alive(&mut self, now: Duration) -> Option<Sandbox> {
        while let Some(mut sandbox) = self.unused.pop_front() {
            if sandbox.is_waiting() {
                return Some(sandbox);
            }
            if let Some(why) = sandbox.init_error() {
                tracing::warn!(container = sandbox.name(), why, "a warm sandbox gave itself up");
                self.unfit = Some(StandByFailure { reason: why, until: now + UNFIT_FOR });
            }
        }
        None
    }
}

/// What can be had ready: a process that stands by, or else a rehearsal of it.
fn possible(wanted: &Preparation, is_unfit: bool) -> Preparation {
    let stand_by = wanted.stand_by.clone().filter(|_| !is_unfit);
    let rehearsal = if stand_by.is_some() { Vec::new() } else { wanted.rehearsal.clone() };
    Preparation { rehearsal, stand_by }
}

/// How many of each kind may be held.
fn shares(
    state: &mut State,
    size: usize,
    now: Duration,
) -> impl Iterator<Item = (usize, &mut Kind)> {
    let shares = plan(&state.candidates(now), state.current_limits(size));
    shares.into_iter().zip(state.kinds.values_mut())
}

//! A pool of started, unused sandboxes, so that executions need not wait for a container.
//! A sandbox that is taken is never put back.
//!
//! ```text
//! take ──▶ demand ──▶ plan ──▶ missing ──▶ start ──▶ unused ──▶ take
//!                       └────▶ surplus, dead ──▶ removed
//! ```
//!
//! Sandboxes with equal [`Template`]s are of one kind. Before it is taken, a sandbox
//! holds nothing of a request, and of a script only what its own version asks to have
//! ready. The number of sandboxes of each kind follows from recent demand ([`demand`],
//! [`plan`]) and from the floors that scripts ask for ([`floors`]), within a number of
//! places and a memory budget ([`budget`]). Executions that start their own sandbox have
//! precedence over the pool ([`Pool::begin_cold_start`]). A failure in the pool fails no
//! execution: at worst an execution starts cold.

mod budget;
mod demand;
mod floors;
mod keeper;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantry_init::message::Preparation;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::mount::Mount;
use crate::domain::sandbox_spec::SandboxSpec;
use crate::engine::{Engine, Labels};
use crate::sandbox::{Remover, Sandbox};
use budget::{MemoryPressure, estimated_bytes};
use demand::RecentCalls;
use floors::{Floor, FloorStatus};

pub use budget::{BARE_BYTES, Budget, MachineMemory, PREPARED_BYTES, ReadMemory};
pub use floors::Floors;

/// Role of the pool's containers, the value of [`LABEL_ROLE`](crate::engine::LABEL_ROLE).
pub const UNUSED: &str = "unused";

/// Assumed duration of a start until one was measured.
const FIRST_GUESS: Duration = Duration::from_millis(150);

/// Calls within the duration of this many starts count as one burst.
const STARTS_OF_A_BURST: u32 = 2;

/// Properties that all sandboxes of one kind share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    /// Settings of the container.
    pub spec: SandboxSpec,
    /// Preparation inside the container.
    pub preparation: Preparation,
}

/// Pool of unused sandboxes of one installation.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<dyn Engine>,
    remover: Remover,
    made_by: Labels,
    size: usize,
    state: Mutex<State>,
    /// Wakes the keeper.
    nudge: Notify,
    closing: CancellationToken,
    tasks: TaskTracker,
    since: Instant,
}

struct State {
    kinds: HashMap<Arc<Template>, Kind>,
    /// Executions that are starting their own sandbox.
    cold: usize,
    /// Recent average duration of a start.
    start_time: Duration,
    /// Memory budget of the unused sandboxes; `None` for no limit.
    budget: Option<Budget>,
    pressure: MemoryPressure,
    /// Time at which the machine's memory is read again.
    memory_due: Duration,
    /// Floors that are met, and those that are not.
    floor_status: FloorStatus,
}

/// Sandboxes and demand of one kind.
#[derive(Default)]
struct Kind {
    demand: RecentCalls,
    floor: Floor,
    unused: VecDeque<Sandbox>,
    starting: usize,
    /// Consecutive failed starts.
    failures: u32,
    /// Time before which no start is tried.
    not_before: Duration,
    /// Last failure to prepare a stand-by interpreter.
    stand_by_failure: Option<StandByFailure>,
}

/// Failure to prepare a stand-by interpreter.
struct StandByFailure {
    reason: String,
    /// Time before which it is not tried again.
    retry_at: Duration,
}

/// Snapshot of the pool's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Largest number of unused sandboxes.
    pub size: usize,
    /// Current number of unused sandboxes.
    pub unused: usize,
    /// Sandboxes that are being started.
    pub starting: usize,
    /// Kinds with recent demand or a floor.
    pub kinds: usize,
    /// Kinds whose last start failed.
    pub failing: usize,
    /// Sum of all floors.
    pub floor: usize,
    /// Part of the floors for which there is no room.
    pub floor_unmet: usize,
    /// Estimated memory of the unused sandboxes, in bytes.
    pub memory_bytes: u64,
    /// Limit on that memory, in bytes; `None` for no limit.
    pub memory_limit_bytes: Option<u64>,
    /// True while the pool is empty because the machine is short of memory.
    pub is_short_of_memory: bool,
}

/// A cold start in progress; the pool starts nothing until this is dropped.
pub struct ColdStart {
    pool: Pool,
}

impl Pool {
    /// Creates an empty pool of at most `size` sandboxes, whose containers have the
    /// labels `made_by`. With a size of 0 it stays empty.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, remover: Remover, made_by: Labels, size: usize) -> Self {
        let state = State {
            kinds: HashMap::new(),
            cold: 0,
            start_time: FIRST_GUESS,
            budget: None,
            pressure: MemoryPressure::default(),
            memory_due: Duration::ZERO,
            floor_status: FloorStatus::default(),
        };
        let inner = Inner {
            engine,
            remover,
            made_by,
            size,
            state: Mutex::new(state),
            nudge: Notify::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            since: Instant::now(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Limits the memory of unused sandboxes. Without a budget only their number is
    /// limited.
    pub fn set_budget(&self, budget: Budget) {
        self.state().budget = Some(budget);
    }

    /// Starts the task that keeps the pool filled, until the pool is drained.
    pub fn start_keeper(&self) {
        if self.inner.size > 0 {
            self.inner.tasks.spawn(self.clone().run_keeper());
        }
    }

    /// True if the pool can hold sandboxes with these mounts, which is only so without
    /// mounts: the engine resolves a mount's source when the container starts, and the
    /// source may be another file by the time the sandbox is taken.
    #[must_use]
    pub fn supports(&self, mounts: &[Mount]) -> bool {
        self.inner.size > 0 && mounts.is_empty() && !self.inner.closing.is_cancelled()
    }

    /// Takes an unused sandbox of this kind, if there is one. The call counts as demand
    /// in any case.
    #[must_use]
    pub fn take(&self, template: Template) -> Option<Sandbox> {
        if !self.supports(&template.spec.mounts) {
            return None;
        }
        let now = self.now();
        let mut state = self.state();
        let window = state.start_time * STARTS_OF_A_BURST;
        state.evict_for(&template, now);
        let kind = state.kinds.entry(Arc::new(template)).or_default();
        kind.demand.record(now, window);
        // Sandboxes found dead are dropped, which removes them.
        let found = kind.next_alive(now);
        self.inner.nudge.notify_one();
        found
    }

    /// Stops the pool from starting sandboxes until the returned value is dropped.
    #[must_use]
    pub fn begin_cold_start(&self) -> ColdStart {
        self.state().cold += 1;
        ColdStart { pool: self.clone() }
    }

    /// Removes the unused sandboxes of an image that must not be used any more.
    pub fn evict_image(&self, image: &str) {
        self.state().kinds.retain(|template, _| template.spec.image != image);
    }

    /// Current numbers of the pool.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let state = self.state();
        let sum = |count: fn(&Kind) -> usize| state.kinds.values().map(count).sum();
        let bytes = |(template, kind): (&Arc<Template>, &Kind)| {
            estimated_bytes(template) * kind.unused.len() as u64
        };
        PoolStatus {
            size: self.inner.size,
            unused: sum(|kind| kind.unused.len()),
            starting: sum(|kind| kind.starting),
            kinds: state.kinds.len(),
            failing: sum(|kind| usize::from(kind.failures > 0)),
            floor: state.floor_status.requested,
            floor_unmet: state.floor_status.unmet,
            memory_bytes: state.kinds.iter().map(bytes).sum(),
            memory_limit_bytes: state.budget.as_ref().map(|it| it.memory_bytes),
            is_short_of_memory: state.pressure.is_on(),
        }
    }

    /// Empties the pool and closes it. The containers are gone once the remover is
    /// drained.
    pub async fn drain(&self) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.state().kinds.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.inner.since.elapsed()
    }
}

impl Drop for ColdStart {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.cold = state.cold.saturating_sub(1);
        drop(state);
        self.pool.inner.nudge.notify_one();
    }
}

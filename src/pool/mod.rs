//! Sandboxes that are started and unused, so that an execution need not wait for
//! one. Whoever takes one has it for good: there is no way to put one back.
//!
//! ```text
//! take ──▶ demand ──▶ plan ──▶ missing ──▶ start ──▶ unused ──▶ take
//!                       └────▶ too many, dead ──▶ removed
//! ```
//!
//! Sandboxes are of one kind when their [`Template`]s are equal. Nothing of a request
//! is in them before they are taken, and nothing of a script but what its own version
//! asks to have ready. How many there are of each kind follows from how often it was
//! asked for of late ([`demand`], [`plan`]) and from what scripts want to be held in any
//! case ([`floors`]), within a number of places and what the machine's memory allows
//! ([`budget`]). Making them yields
//! to executions that have to start one by themselves ([`Pool::begin_cold_start`]), and what goes
//! wrong here is nobody's concern: at worst an execution starts cold.

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
use demand::Demand;
use floors::{Floor, FloorStatus};

pub use budget::{BARE_BYTES, Budget, MachineMemory, PREPARED_BYTES, ReadMemory};
pub use floors::Floors;

/// What containers in the pool are for, as their label says.
pub const UNUSED: &str = "unused";

/// A start takes about this long before any was seen.
const FIRST_GUESS: Duration = Duration::from_millis(150);

/// Calls within the time of so many starts count as a burst.
const STARTS_OF_A_BURST: u32 = 2;

/// What unused sandboxes of one kind have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    /// How they are created.
    pub spec: SandboxSpec,
    /// What they have ready.
    pub preparation: Preparation,
}

/// Unused sandboxes of one installation.
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
    /// Something has changed that the keeper should look at.
    nudge: Notify,
    closing: CancellationToken,
    tasks: TaskTracker,
    since: Instant,
}

struct State {
    kinds: HashMap<Arc<Template>, Kind>,
    /// Executions that start a sandbox by themselves.
    cold: usize,
    /// How long a start takes, of late.
    start_time: Duration,
    /// What the unused ones may take; `None` is all.
    budget: Option<Budget>,
    pressure: MemoryPressure,
    /// When the machine's memory is read again.
    memory_due: Duration,
    /// How far there is room for the floors.
    floor_status: FloorStatus,
}

/// All of one kind.
#[derive(Default)]
struct Kind {
    demand: Demand,
    floor: Floor,
    unused: VecDeque<Sandbox>,
    starting: usize,
    /// Starts that have failed, one after the other.
    failures: u32,
    /// Not to be tried before.
    not_before: Duration,
    /// No process can stand by for it.
    unfit: Option<StandByFailure>,
}

/// The reason that no process stands by.
struct StandByFailure {
    reason: String,
    /// It is not tried again before.
    until: Duration,
}

/// How full it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Unused sandboxes at most.
    pub size: usize,
    /// Unused sandboxes that there are.
    pub unused: usize,
    /// Those that are being started.
    pub starting: usize,
    /// Kinds that were asked for of late.
    pub kinds: usize,
    /// Kinds whose last start has failed.
    pub failing: usize,
    /// Unused sandboxes that scripts want to be held in any case.
    pub floor: usize,
    /// Those of them that there is no room for.
    pub floor_unmet: usize,
    /// What the unused sandboxes count, in bytes.
    pub memory_bytes: u64,
    /// What they may count, in bytes, if that is limited.
    pub memory_limit_bytes: Option<u64>,
    /// Nothing is held because the machine is short of memory.
    pub is_short_of_memory: bool,
}

/// Somebody starts a sandbox without the pool; it waits until this is dropped.
pub struct ColdStart {
    pool: Pool,
}

impl Pool {
    /// An empty pool of at most `size` sandboxes, whose containers are labelled
    /// with whom they are of. With a size of 0 it stays empty.
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

    /// Limits what unused sandboxes may take together; without it there is no limit
    /// but their number.
    pub fn set_budget(&self, budget: Budget) {
        self.state().budget = Some(budget);
    }

    /// Begins to follow demand, until it is drained.
    pub fn start_keeper(&self) {
        if self.inner.size > 0 {
            self.inner.tasks.spawn(self.clone().keep());
        }
    }

    /// Whether it ever has a sandbox with these mounts. It has none with any: the engine
    /// looks where they lead when a container is started, and what was a link then may
    /// look like a folder by the time it is taken.
    #[must_use]
    pub fn supports(&self, mounts: &[Mount]) -> bool {
        self.inner.size > 0 && mounts.is_empty() && !self.inner.closing.is_cancelled()
    }

    /// An unused sandbox of this kind, if there is one; that it was asked for is
    /// remembered in any case.
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
        kind.demand.called(now, window);
        // The dead are dropped, and so removed.
        let found = kind.next_alive(now);
        self.inner.nudge.notify_one();
        found
    }

    /// Makes the pool wait until the answer is dropped.
    #[must_use]
    pub fn begin_cold_start(&self) -> ColdStart {
        self.state().cold += 1;
        ColdStart { pool: self.clone() }
    }

    /// Gives up the unused sandboxes of an image that is not to be used any more.
    pub fn evict_image(&self, image: &str) {
        self.state().kinds.retain(|template, _| template.spec.image != image);
    }

    /// How full it is.
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
            floor: state.floor_status.asked,
            floor_unmet: state.floor_status.unmet,
            memory_bytes: state.kinds.iter().map(bytes).sum(),
            memory_limit_bytes: state.budget.as_ref().map(|it| it.memory_bytes),
            is_short_of_memory: state.pressure.is_on(),
        }
    }

    /// Gives everything up; nothing more is handed out. The containers are gone
    /// when the remover is drained.
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

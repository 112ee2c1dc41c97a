//! Floors: numbers of sandboxes that are held even without demand, which scripts ask for
//! with `warm`. The orchestrator sets all floors at once ([`Pool::set_floors`]), together
//! with the kinds that no script needs any more, which are evicted.
//!
//! Floors come before demand, within the pool's size and budget. A floor that does not
//! fit is logged once, and fails no execution.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::budget::estimated_bytes;
use super::plan::{Candidate, PoolLimits, plan};
use super::{Pool, State, Template};

/// Largest number of kinds with floors.
const MAX_FLOORS: usize = 128;

/// Largest number of known kinds; each takes some KiB.
const MAX_KINDS: usize = 256;

/// Largest number of script names in a log line.
const MAX_NAMES: usize = 5;

/// The floors of all scripts of this node.
#[derive(Debug, Clone, Default)]
pub struct Floors {
    kinds: HashMap<Arc<Template>, Floor>,
    /// Sum of the floors beyond [`MAX_FLOORS`] kinds.
    excess: Floor,
}

/// Number of sandboxes of one kind that are held even without demand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Floor {
    pub(super) count: usize,
    /// Names of some scripts that ask for it.
    scripts: Vec<String>,
}

/// Sum of all floors, and the part that is not met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FloorStatus {
    /// Sandboxes that all floors request together.
    pub(super) requested: usize,
    /// Requested sandboxes for which there is no room.
    pub(super) unmet: usize,
    /// Names of some scripts whose floor is not met.
    scripts: Vec<String>,
}

impl Floor {
    fn add(&mut self, count: usize, script: &str) {
        self.count = self.count.saturating_add(count);
        if self.scripts.len() < MAX_NAMES {
            self.scripts.push(script.to_owned());
        }
    }
}

impl FloorStatus {
    fn note(&mut self, floor: &Floor, met: usize) {
        let unmet = floor.count.saturating_sub(met);
        self.requested = self.requested.saturating_add(floor.count);
        self.unmet = self.unmet.saturating_add(unmet);
        if unmet > 0 {
            self.scripts.extend(floor.scripts.iter().cloned());
            self.scripts.sort_unstable();
            self.scripts.dedup();
            self.scripts.truncate(MAX_NAMES);
        }
    }

    fn log(&self) {
        let Self { requested, unmet, scripts } = self;
        if *unmet == 0 {
            tracing::info!(requested, "the pool meets all floors that scripts set with `warm`");
            return;
        }
        let scripts = scripts.join(", ");
        tracing::warn!(
            requested,
            unmet,
            scripts,
            hint = "raise GANTRY_POOL_SIZE or GANTRY_POOL_MEMORY, or lower `warm`",
            "the pool has no room for all floors that scripts set with `warm`"
        );
    }
}

impl Floors {
    /// Adds `count` sandboxes of a kind for this script.
    pub fn add(&mut self, template: Template, count: usize, script: &str) {
        let is_full = self.kinds.len() >= MAX_FLOORS && !self.kinds.contains_key(&template);
        let floor = match is_full {
            true => &mut self.excess,
            false => self.kinds.entry(Arc::new(template)).or_default(),
        };
        floor.add(count, script);
    }
}

impl Pool {
    /// Returns the known kinds. Call this before reading the scripts: a kind that is
    /// added later belongs to a script that was not read yet.
    #[must_use]
    pub fn kinds(&self) -> HashSet<Arc<Template>> {
        self.state().kinds.keys().cloned().collect()
    }

    /// Replaces all floors. The `unneeded` kinds are evicted, unless they have a floor;
    /// sandboxes in use are not touched.
    pub fn set_floors(&self, floors: Floors, unneeded: &HashSet<Arc<Template>>) {
        let now = self.now();
        let mut state = self.state();
        if self.inner.closing.is_cancelled() {
            return;
        }
        state.kinds.retain(|kind, _| !unneeded.contains(kind) || floors.kinds.contains_key(kind));
        state.kinds.values_mut().for_each(|kind| kind.floor = Floor::default());
        let mut floor_status = FloorStatus::default();
        floor_status.note(&floors.excess, 0);
        if self.inner.size == 0 {
            floors.kinds.values().for_each(|floor| floor_status.note(floor, 0));
        } else {
            // Known kinds come first, so that none of them is evicted for a new one.
            let is_known = |kind: &Arc<Template>| state.kinds.contains_key(kind);
            let (known, new): (Vec<_>, Vec<_>) =
                floors.kinds.into_iter().partition(|(kind, _)| is_known(kind));
            for (kind, floor) in known.into_iter().chain(new) {
                state.evict_for(&kind, now);
                state.kinds.entry(kind).or_default().floor = floor;
            }
            let limits = state.limits(self.inner.size);
            let shares = plan(&state.candidates(now), limits);
            for (kind, met) in state.kinds.values().zip(shares) {
                floor_status.note(&kind.floor, met);
            }
        }
        if floor_status.unmet != state.floor_status.unmet
            || floor_status.scripts != state.floor_status.scripts
        {
            floor_status.log();
        }
        state.floor_status = floor_status;
        drop(state);
        self.inner.nudge.notify_one();
    }
}

impl State {
    /// Demand and floor of each kind, in the order of the kinds.
    pub(super) fn candidates(&self, now: std::time::Duration) -> Vec<Candidate> {
        let candidate = |(template, kind): (&Arc<Template>, &super::Kind)| Candidate {
            wanted: kind.demand.wanted(now),
            floor: kind.floor.count,
            calls: kind.demand.calls(now),
            held: kind.unused.len() + kind.starting,
            bytes: estimated_bytes(template),
        };
        self.kinds.iter().map(candidate).collect()
    }

    /// Limits of the pool, regardless of a memory shortage.
    pub(super) fn limits(&self, places: usize) -> PoolLimits {
        let bytes = self.budget.as_ref().map_or(u64::MAX, |it| it.memory_bytes);
        PoolLimits { places, bytes }
    }

    /// Limits of the pool now: none of it while memory is short.
    pub(super) fn current_limits(&self, places: usize) -> PoolLimits {
        if self.pressure.is_on() { PoolLimits::NONE } else { self.limits(places) }
    }

    /// Evicts the least called kind if this one would be one too many. Kinds with floors
    /// stay, and kinds of which a sandbox is being started.
    pub(super) fn evict_for(&mut self, newcomer: &Template, now: std::time::Duration) {
        if self.kinds.len() < MAX_KINDS || self.kinds.contains_key(newcomer) {
            return;
        }
        let may_go = self.kinds.iter().filter(|(_, it)| it.floor.count == 0 && it.starting == 0);
        let least =
            may_go.min_by(|(_, a), (_, b)| a.demand.calls(now).total_cmp(&b.demand.calls(now)));
        if let Some(least) = least.map(|(kind, _)| kind.clone()) {
            self.kinds.remove(&least);
        }
    }
}

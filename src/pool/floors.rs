//! What is held whatever is called: floors, which scripts ask for by `warm`. Whoever
//! knows the scripts says all of them at once ([`Pool::set_floors`]), and which kinds
//! nobody needs any more, which are given up at once.
//!
//! Floors come before demand, within the pool's size and budget. What does not fit is
//! said once, and no execution fails because of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::budget::estimated_bytes;
use super::plan::{Candidate, PoolLimits, plan};
use super::{Pool, State, Template};

/// Kinds with floors at most.
const MAX_FLOORS: usize = 128;

/// Kinds that are remembered at most: each takes some KiB.
const MAX_KINDS: usize = 256;

/// Names of scripts that are said at most.
const MAX_NAMES: usize = 5;

/// The floors of all scripts of this node.
#[derive(Debug, Clone, Default)]
pub struct Floors {
    kinds: HashMap<Arc<Template>, Floor>,
    /// Those beyond [`MAX_FLOORS`] kinds.
    left_out: Floor,
}

/// How many of a kind are held whatever is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Floor {
    pub(super) count: usize,
    /// Some of the scripts that ask for it.
    scripts: Vec<String>,
}

/// How far there is room for all floors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FloorStatus {
    /// Sandboxes that all floors ask for together.
    pub(super) asked: usize,
    /// Those of them that there is no room for.
    pub(super) unmet: usize,
    /// Some of the scripts that don't have all that they ask for.
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
        self.asked = self.asked.saturating_add(floor.count);
        self.unmet = self.unmet.saturating_add(unmet);
        if unmet > 0 {
            self.scripts.extend(floor.scripts.iter().cloned());
            self.scripts.sort_unstable();
            self.scripts.dedup();
            self.scripts.truncate(MAX_NAMES);
        }
    }

    fn log(&self) {
        let Self { asked, unmet, scripts } = self;
        if *unmet == 0 {
            tracing::info!(asked, "the pool has room for all that scripts ask for by `warm`");
            return;
        }
        let scripts = scripts.join(", ");
        tracing::warn!(
            asked,
            unmet,
            scripts,
            hint = "raise GANTRY_POOL_SIZE or GANTRY_POOL_MEMORY, or lower `warm`",
            "the pool has no room for all that scripts ask for by `warm`: some executions start \
             cold"
        );
    }
}

impl Floors {
    /// Some more of a kind are to be held, for this script.
    pub fn add(&mut self, template: Template, count: usize, script: &str) {
        let is_full = self.kinds.len() >= MAX_FLOORS && !self.kinds.contains_key(&template);
        let floor = match is_full {
            true => &mut self.left_out,
            false => self.kinds.entry(Arc::new(template)).or_default(),
        };
        floor.add(count, script);
    }
}

impl Pool {
    /// The kinds that are known now. Look at them before the scripts: what comes
    /// later is needed by somebody who was not seen yet.
    #[must_use]
    pub fn kinds(&self) -> HashSet<Arc<Template>> {
        self.state().kinds.keys().cloned().collect()
    }

    /// From now on these floors count and no others. The kinds that nobody needs are
    /// given up, unless there is a floor for them; what is in use is not touched.
    pub fn set_floors(&self, floors: Floors, unneeded: &HashSet<Arc<Template>>) {
        let now = self.now();
        let mut state = self.state();
        if self.inner.closing.is_cancelled() {
            return;
        }
        state.kinds.retain(|kind, _| !unneeded.contains(kind) || floors.kinds.contains_key(kind));
        state.kinds.values_mut().for_each(|kind| kind.floor = Floor::default());
        let mut floor_status = FloorStatus::default();
        floor_status.note(&floors.left_out, 0);
        if self.inner.size == 0 {
            floors.kinds.values().for_each(|floor| floor_status.note(floor, 0));
        } else {
            // Those that are there first: none of them may give way to the others.
            let is_known = |kind: &Arc<Template>| state.kinds.contains_key(kind);
            let (known, new): (Vec<_>, Vec<_>) =
                floors.kinds.into_iter().partition(|(kind, _)| is_known(kind));
            for (kind, floor) in known.into_iter().chain(new) {
                state.evict_for(&kind, now);
                state.kinds.entry(kind).or_default().floor = floor;
            }
            let room = state.room(self.inner.size);
            let shares = plan(&state.candidates(now), room);
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
    /// What each kind would have, in the order of the kinds.
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

    /// What may be held, whether or not the machine is short of memory just now.
    pub(super) fn room(&self, places: usize) -> PoolLimits {
        let bytes = self.budget.as_ref().map_or(u64::MAX, |it| it.memory_bytes);
        PoolLimits { places, bytes }
    }

    /// What may be held just now.
    pub(super) fn current_limits(&self, places: usize) -> PoolLimits {
        if self.pressure.is_on() { PoolLimits::NONE } else { self.room(places) }
    }

    /// Forgets the least called kind when this one would be one too many. Kinds with
    /// floors stay, and those of which one is being started: they are fewer.
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

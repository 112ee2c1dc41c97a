//! Those who wait, in lanes: one per script and demand. All in a lane can run or
//! none can, so only the first of each lane is ever looked at, and a script that
//! runs as often as it may costs nothing: its lanes are not listed.
//!
//! Invariant: `heads` holds the first of each lane of each open script, no more.
//! Every change costs the logarithm of those who wait, except that of a script
//! which opens or closes: that, times its demands (as many as it has
//! versions waiting with different limits).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

use uuid::Uuid;

use super::{Demand, Turn, Waiting};

/// A script's executions of one demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) script_id: i64,
    pub(super) demand: Demand,
}

impl Lane {
    pub(super) fn of(waiting: &Waiting) -> Self {
        Self { script_id: waiting.script_id, demand: waiting.demand }
    }
}

/// A place in a lane.
type Seat = (Lane, Turn);

#[derive(Debug, Default)]
struct Script {
    max_concurrency: Option<u32>,
    running: u32,
    waiting: usize,
    parked: usize,
}

impl Script {
    /// True if one more may run.
    fn is_open(&self) -> bool {
        self.max_concurrency.is_none_or(|most| self.running < most)
    }

    /// True if there is nothing of it.
    fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting == 0 && self.parked == 0
    }
}

/// All who wait.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    waiting: HashMap<Uuid, Waiting>,
    /// Those of which something waits, runs or is set aside.
    scripts: HashMap<i64, Script>,
    /// Lane after lane, each in its order.
    seats: BTreeSet<Seat>,
    heads: BTreeMap<Turn, Demand>,
}

impl Lanes {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn contains(&self, id: Uuid) -> bool {
        self.waiting.contains_key(&id)
    }

    pub(super) fn of_script(&self, script_id: i64) -> usize {
        self.scripts.get(&script_id).map_or(0, |script| script.waiting)
    }

    pub(super) fn oldest(&self) -> Option<Duration> {
        self.waiting.values().map(|waiting| waiting.since).min()
    }

    /// The first of each lane whose script may run, in order.
    pub(super) fn heads(&self) -> impl Iterator<Item = (Turn, Demand)> {
        self.heads.iter().map(|(turn, demand)| (*turn, *demand))
    }

    /// Lets one wait that does not wait yet. Its `max_concurrency` counts for a
    /// script that is not known.
    pub(super) fn enter(&mut self, waiting: Waiting) {
        let (lane, turn) = (Lane::of(&waiting), Turn::of(&waiting));
        let max_concurrency = waiting.max_concurrency;
        let new = || Script { max_concurrency, ..Script::default() };
        self.scripts.entry(lane.script_id).or_insert_with(new).waiting += 1;
        self.waiting.insert(waiting.id, waiting);
        self.change_lane(lane, |seats| seats.insert((lane, turn)));
    }

    /// Removes one who waits.
    pub(super) fn cancel(&mut self, id: Uuid) -> bool {
        let Some(waiting) = self.leave(id) else { return false };
        self.change_script(waiting.script_id, |script| {
            script.waiting = script.waiting.saturating_sub(1);
        });
        true
    }

    /// Removes one who waits, and counts it as running.
    pub(super) fn start(&mut self, turn: Turn) -> Option<Waiting> {
        let mut waiting = self.leave(turn.id())?;
        self.change_script(waiting.script_id, |script| {
            script.waiting = script.waiting.saturating_sub(1);
            script.running = script.running.saturating_add(1);
            waiting.max_concurrency = script.max_concurrency;
        });
        Some(waiting)
    }

    /// Counts one as running that has never waited here. Its `max_concurrency` counts
    /// for a script that is not known.
    pub(super) fn adopted(&mut self, waiting: &Waiting) {
        let max_concurrency = waiting.max_concurrency;
        let new = || Script { max_concurrency, ..Script::default() };
        self.scripts.entry(waiting.script_id).or_insert_with(new);
        self.change_script(waiting.script_id, |script| {
            script.running = script.running.saturating_add(1);
        });
    }

    /// One of the script runs no longer.
    pub(super) fn finished(&mut self, script_id: i64) {
        self.change_script(script_id, |script| script.running = script.running.saturating_sub(1));
    }

    /// One of the script is set aside: its present limit stays known.
    pub(super) fn parked(&mut self, script_id: i64) {
        self.change_script(script_id, |script| script.parked = script.parked.saturating_add(1));
    }

    /// One of the script is set aside no longer.
    pub(super) fn unparked(&mut self, script_id: i64) {
        self.change_script(script_id, |script| script.parked = script.parked.saturating_sub(1));
    }

    pub(super) fn set_max_concurrency(&mut self, script_id: i64, limit: Option<u32>) {
        self.change_script(script_id, |script| script.max_concurrency = limit);
    }

    /// Takes one out of its lane.
    fn leave(&mut self, id: Uuid) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        let (lane, turn) = (Lane::of(&waiting), Turn::of(&waiting));
        self.change_lane(lane, |seats| seats.remove(&(lane, turn)));
        Some(waiting)
    }

    /// Changes who waits in a lane, and lists its first.
    fn change_lane(&mut self, lane: Lane, change: impl FnOnce(&mut BTreeSet<Seat>) -> bool) {
        let former = self.head(lane);
        change(&mut self.seats);
        let head = self.head(lane);
        let is_open = self.scripts.get(&lane.script_id).is_some_and(Script::is_open);
        if is_open && former != head {
            if let Some(turn) = former {
                self.heads.remove(&turn);
            }
            if let Some(turn) = head {
                self.heads.insert(turn, lane.demand);
            }
        }
    }

    /// Changes what is known of a script, and lists its lanes when it opens, or
    /// strikes them off when it closes. A script that is not known stays so, and
    /// one of which there is nothing is forgotten.
    fn change_script(&mut self, script_id: i64, change: impl FnOnce(&mut Script)) {
        let Some(script) = self.scripts.get_mut(&script_id) else { return };
        let was_open = script.is_open();
        change(script);
        let is_open = script.is_open();
        if script.is_idle() {
            self.scripts.remove(&script_id);
        }
        match (was_open, is_open) {
            (false, true) => self.heads.extend(self.heads_of(script_id)),
            (true, false) => {
                for (turn, _) in self.heads_of(script_id) {
                    self.heads.remove(&turn);
                }
            }
            _ => {}
        }
    }

    /// The first in a lane.
    fn head(&self, lane: Lane) -> Option<Turn> {
        let (_, turn) = self.seats.range((lane, Turn::FIRST)..=(lane, Turn::LAST)).next()?;
        Some(*turn)
    }

    /// The first in each lane of a script.
    fn heads_of(&self, script_id: i64) -> Vec<(Turn, Demand)> {
        let first = (Lane { script_id, demand: Demand::default() }, Turn::FIRST);
        let mut heads = Vec::new();
        let mut from = Bound::Included(first);
        while let Some((lane, turn)) = self.seats.range((from, Bound::Unbounded)).next() {
            if lane.script_id != script_id {
                break;
            }
            heads.push((*turn, lane.demand));
            from = Bound::Excluded((*lane, Turn::LAST));
        }
        heads
    }

    /// True if nothing at all is remembered.
    #[cfg(test)]
    pub(super) fn is_forgotten(&self) -> bool {
        let Self { waiting, scripts, seats, heads } = self;
        waiting.is_empty() && scripts.is_empty() && seats.is_empty() && heads.is_empty()
    }
}

//! The choice of the next execution to run on this node: the policy, and nothing else.
//! It has no clock, no lock, no task and no I/O, and must never get any; times
//! are arguments, and whoever owns the queue starts what [`Queue::next`] gives.
//!
//! ```text
//! reserve ── push ──▶ waiting ── next ──▶ running ── finished ──▶ (forgotten)
//!      └─ release        │ ▲                 │
//!                  cancel┘ ├──── requeue ────┤      restore ──▶ waiting, adopt ──▶ running
//!                          └ resume ◀─ park ─┘
//! ```
//!
//! **Order.** One step of priority is worth [`AGEING`] of waiting, so an execution's
//! place among the others is fixed when it is submitted (`turn`), and time
//! alone never makes anything runnable: nobody needs a timer to ask again. Ask
//! after `push`, `restore`, `requeue`, `finished`, `cancel` and
//! `set_max_concurrency`, until [`Queue::next`] has nothing more.
//!
//! **Room.** Scripts that run as often as they may are passed over (`lanes`). What
//! does not fit the free memory or CPUs is passed over too, but not when it is the
//! first in order and has waited for [`PATIENCE`]: then all wait for it, but for those that
//! need no disk, if the disk is all that it waits for.
//!
//! **Disk.** The room for scratch on disk is not the node's alone: it changes, and is told
//! ([`Queue::set_disk`]). What does not fit it even alone is passed over, however long it
//! waits, and never runs beyond it: others that need no disk go on.
//!
//! **Limits.** [`Queue::reserve`] is the only way in for a submission, and it is
//! refused when the queue is full; `pace` says when to try again.

mod lanes;
mod pace;
mod turn;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use lanes::{Lane, Lanes};
use pace::Pace;
use turn::Turn;

/// Waiting for this long is worth one step of priority, without end: whatever
/// waits is first some day. The best priority is 200 s ahead of the worst.
pub const AGEING: Duration = Duration::from_secs(10);

/// The first in order is overtaken by smaller ones, which fit, until this long
/// after its submission.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The priorities that differ; what lies outside counts as the nearest of them.
pub const PRIORITIES: RangeInclusive<i8> = -10..=10;

/// Resources that an execution takes while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Demand {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Nano CPUs: 1,000,000,000 are one CPU.
    pub nano_cpus: u64,
    /// Bytes of scratch on disk.
    pub disk_bytes: u64,
}

/// Resources of the node for executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Executions at once; with 0 nothing runs here.
    pub executions: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Nano CPUs.
    pub nano_cpus: u64,
    /// Bytes of scratch on disk, when nothing else is on it.
    pub disk_bytes: u64,
}

/// An execution that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The execution.
    pub id: Uuid,
    /// Its script.
    pub script_id: i64,
    /// One of [`PRIORITIES`]; greater ones run first.
    pub priority: i8,
    /// Executions of the script that may run at once here. It is the script's:
    /// see [`Queue::set_max_concurrency`] for whose word counts.
    pub max_concurrency: Option<u32>,
    /// Resources that it takes while it runs.
    pub demand: Demand,
    /// Time of its submission, since any fixed moment; the same as that of `now`
    /// everywhere here.
    pub since: Duration,
}

/// A place in the queue for a submission that is being stored. Give it to
/// [`Queue::push`] or [`Queue::release`] of the queue that it came from: one that
/// is dropped is lost to that queue for good.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a place that is dropped is lost: push or release it"]
pub struct Place(());

/// No place is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the queue is full: {limit} executions may wait")]
pub struct Full {
    /// The queue's limit.
    pub limit: usize,
}

impl Full {
    /// Advice for the caller.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "submit it again later; GANTRY_QUEUE_LIMIT says how many may wait"
    }
}

/// The executions that wait and run on this node.
#[derive(Debug)]
pub struct Queue {
    capacity: Capacity,
    /// Room for scratch on disk now, in bytes, that of what runs included.
    disk_bytes: u64,
    limit: usize,
    reserved: usize,
    waiting: Lanes,
    running: HashMap<Uuid, Lane>,
    /// Those that wait for something else than room, and what that is.
    parked: HashMap<Uuid, (String, Waiting)>,
    taken: Sum,
    pace: Pace,
}

impl Queue {
    /// An empty queue of a node with this capacity, in which `limit` submissions
    /// may wait.
    #[must_use]
    pub fn new(capacity: Capacity, limit: usize) -> Self {
        Self {
            capacity,
            disk_bytes: capacity.disk_bytes,
            limit,
            reserved: 0,
            waiting: Lanes::default(),
            running: HashMap::new(),
            parked: HashMap::new(),
            taken: Sum::default(),
            pace: Pace::default(),
        }
    }

    /// True if the whole node is enough for this. What does not fit should be
    /// refused; what is in the queue nevertheless runs, while nothing else does.
    #[must_use]
    pub fn fits(&self, demand: &Demand) -> bool {
        let sum = Sum::default().plus(*demand);
        let is_held = self.holds(sum) && demand.disk_bytes <= self.capacity.disk_bytes;
        self.capacity.executions > 0 && is_held
    }

    /// Notes the present room for scratch on disk, that of what runs included. True if it
    /// is more than before: something may run then.
    pub fn set_disk(&mut self, bytes: u64) -> bool {
        std::mem::replace(&mut self.disk_bytes, bytes) < bytes
    }

    /// Scratch on disk of those that run, in bytes, and true if one that waits needs some.
    #[must_use]
    pub fn disk_wanted(&self) -> (u128, bool) {
        let is_waited_for = self.waiting.heads().any(|(_, demand)| demand.disk_bytes > 0);
        (self.taken.disk_bytes, is_waited_for)
    }

    /// Takes a place for a submission, before it is stored.
    ///
    /// # Errors
    /// [`Full`] when those who wait and the places given away reach the limit.
    pub fn reserve(&mut self) -> Result<Place, Full> {
        if self.reserved.saturating_add(self.waiting_len()) >= self.limit {
            return Err(Full { limit: self.limit });
        }
        self.reserved += 1;
        Ok(Place(()))
    }

    /// Gives a place back: the submission was not stored.
    pub fn release(&mut self, place: Place) {
        let Place(()) = place;
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// Lets a submission wait in its place, which is used up in any case. False
    /// if the execution waits or runs already; then nothing changes.
    pub fn push(&mut self, place: Place, waiting: Waiting) -> bool {
        self.release(place);
        self.restore(waiting)
    }

    /// Lets an execution wait that was not submitted here: a row found at start,
    /// or another process's. Such ones may exceed the limit. False if it waits or
    /// runs already; then only its script's limit is taken from it.
    pub fn restore(&mut self, waiting: Waiting) -> bool {
        self.set_max_concurrency(waiting.script_id, waiting.max_concurrency);
        if self.is_known(waiting.id) {
            return false;
        }
        self.waiting.enter(waiting);
        true
    }

    /// Counts an execution as running that an earlier process has begun, whatever room
    /// there is. False if it waits or runs already; then only its script's limit is
    /// taken from it.
    pub fn adopt(&mut self, waiting: &Waiting) -> bool {
        self.set_max_concurrency(waiting.script_id, waiting.max_concurrency);
        if self.is_known(waiting.id) {
            return false;
        }
        self.waiting.adopted(waiting);
        self.taken = self.taken.plus(waiting.demand);
        self.running.insert(waiting.id, Lane::of(waiting));
        true
    }

    fn is_known(&self, id: Uuid) -> bool {
        self.running.contains_key(&id) || self.waiting.contains(id) || self.parked.contains_key(&id)
    }

    /// Takes the first in order that can run now, and counts it as running from
    /// here on: start it, and say [`finished`](Self::finished) whatever comes of
    /// it, or [`requeue`](Self::requeue). Its `max_concurrency` is the script's
    /// present one.
    pub fn next(&mut self, now: Duration) -> Option<Waiting> {
        let (turn, taken) = self.choose(now)?;
        let waiting = self.waiting.start(turn)?;
        self.taken = taken;
        self.running.insert(waiting.id, Lane::of(&waiting));
        self.pace.started(now);
        Some(waiting)
    }

    /// Frees what [`next`](Self::next) took for it. False if it does not run.
    pub fn finished(&mut self, id: Uuid) -> bool {
        let Some(lane) = self.running.remove(&id) else { return false };
        self.taken = self.taken.minus(lane.demand);
        self.waiting.finished(lane.script_id);
        true
    }

    /// Lets an execution wait again whose attempt did not start, with the age that
    /// it has; it may exceed the limit. It is likely to be the next one at once:
    /// whoever requeues waits between attempts. False if it does not run; then
    /// nothing changes.
    pub fn requeue(&mut self, waiting: Waiting) -> bool {
        if !self.running.contains_key(&waiting.id) {
            return false;
        }
        // Entered first, so that its script stays known with its present limit:
        // the one that `waiting` carries is from the time when it was taken.
        let id = waiting.id;
        self.waiting.enter(waiting);
        self.finished(id)
    }

    /// Sets an execution aside that can't begin before something else is there,
    /// whatever room there is: it holds nothing, and [`next`](Self::next) does not
    /// give it until somebody says [`resume`](Self::resume). False if it does not
    /// run; then nothing changes.
    pub fn park(&mut self, waiting: Waiting, until: &str) -> bool {
        if !self.running.contains_key(&waiting.id) {
            return false;
        }
        // Counted first, so that its script stays known with its present limit.
        self.waiting.parked(waiting.script_id);
        let id = waiting.id;
        self.parked.insert(id, (until.to_owned(), waiting));
        self.finished(id)
    }

    /// Lets all wait again that were set aside for this, with the age that they
    /// have, so that they run in their order. Answers how many there were.
    pub fn resume(&mut self, until: &str) -> usize {
        let resumed: Vec<_> = self.parked.extract_if(|_, (what, _)| what == until).collect();
        let count = resumed.len();
        for (_, (_, waiting)) in resumed {
            let script_id = waiting.script_id;
            self.waiting.enter(waiting);
            self.waiting.unparked(script_id);
        }
        count
    }

    /// Removes an execution that waits or is set aside. False if it does neither
    /// (it may run).
    pub fn cancel(&mut self, id: Uuid) -> bool {
        let Some((_, parked)) = self.parked.remove(&id) else { return self.waiting.cancel(id) };
        self.waiting.unparked(parked.script_id);
        true
    }

    /// Changes how many executions of a script may run at once, for those too
    /// that wait already; what runs goes on. The last word counts, be it from
    /// here or from the latest execution pushed or restored. A script of
    /// which nothing waits, runs or is set aside is not remembered.
    pub fn set_max_concurrency(&mut self, script_id: i64, limit: Option<u32>) {
        self.waiting.set_max_concurrency(script_id, limit);
    }

    /// The number of those that wait, without the places that are reserved.
    #[must_use]
    pub fn waiting_len(&self) -> usize {
        self.waiting.len() + self.parked.len()
    }

    /// True if an execution counts as running.
    #[must_use]
    pub fn is_running(&self, id: Uuid) -> bool {
        self.running.contains_key(&id)
    }

    /// The number of those that run.
    #[must_use]
    pub fn running_len(&self) -> usize {
        self.running.len()
    }

    /// The number of a script's executions that wait for room.
    #[must_use]
    pub fn waiting_of_script(&self, script_id: i64) -> usize {
        self.waiting.of_script(script_id)
    }

    /// The time that the oldest has waited. Looks at all that wait: for metrics.
    #[must_use]
    pub fn oldest_waiting(&self, now: Duration) -> Option<Duration> {
        let parked = self.parked.values().map(|(_, waiting)| waiting.since);
        let oldest = self.waiting.oldest().into_iter().chain(parked).min()?;
        Some(now.saturating_sub(oldest))
    }

    /// The time to wait after [`Full`], in whole seconds from 1 to 60: the
    /// time in which, of late, one execution left the queue to run.
    #[must_use]
    pub fn retry_after(&self, now: Duration) -> Duration {
        self.pace.retry_after(now)
    }

    /// The first in order that can run now, and what is taken with it.
    fn choose(&self, now: Duration) -> Option<(Turn, Sum)> {
        if self.running.len() >= self.capacity.executions as usize {
            return None;
        }
        let has_disk = |demand: &Demand| demand.disk_bytes <= self.disk_bytes;
        let mut heads = self.waiting.heads().filter(|(_, demand)| has_disk(demand));
        let (first, demand) = heads.next()?;
        if let Some(taken) = self.taken_with(demand) {
            return Some((first, taken));
        }
        let is_patient = first.waited(now) <= PATIENCE;
        let lacks_only_disk = self.taken_with(Demand { disk_bytes: 0, ..demand }).is_some();
        let may_overtake =
            |other: &Demand| is_patient || (lacks_only_disk && other.disk_bytes == 0);
        heads
            .filter(|(_, demand)| may_overtake(demand))
            .find_map(|(turn, demand)| Some((turn, self.taken_with(demand)?)))
    }

    /// The resources taken when this runs too, if it fits what is free or has the node
    /// for itself. While one runs that exceeds the node, nothing fits beside it.
    fn taken_with(&self, demand: Demand) -> Option<Sum> {
        let sum = self.taken.plus(demand);
        let has_disk = demand.disk_bytes == 0 || sum.disk_bytes <= self.disk_bytes.into();
        (has_disk && (self.running.is_empty() || self.holds(sum))).then_some(sum)
    }

    /// True if the node's memory and CPUs are enough for this.
    fn holds(&self, sum: Sum) -> bool {
        sum.memory_bytes <= self.capacity.memory_bytes.into()
            && sum.nano_cpus <= self.capacity.nano_cpus.into()
    }
}

/// Resources that several take together: more than one `u64` can count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    memory_bytes: u128,
    nano_cpus: u128,
    disk_bytes: u128,
}

impl Sum {
    fn plus(self, demand: Demand) -> Self {
        Self {
            memory_bytes: self.memory_bytes + u128::from(demand.memory_bytes),
            nano_cpus: self.nano_cpus + u128::from(demand.nano_cpus),
            disk_bytes: self.disk_bytes + u128::from(demand.disk_bytes),
        }
    }

    fn minus(self, demand: Demand) -> Self {
        Self {
            memory_bytes: self.memory_bytes.saturating_sub(demand.memory_bytes.into()),
            nano_cpus: self.nano_cpus.saturating_sub(demand.nano_cpus.into()),
            disk_bytes: self.disk_bytes.saturating_sub(demand.disk_bytes.into()),
        }
    }
}

#[cfg(test)]
mod tests;

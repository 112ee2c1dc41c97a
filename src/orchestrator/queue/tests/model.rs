//! The queue against one that looks at everything each time.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Events of a queue; numbers choose one of those that there are.
#[derive(Debug, Clone)]
enum Event {
    Reserve,
    Release,
    Push(Waiting),
    Restore(Waiting),
    RestoreKnown(usize),
    Adopt(Waiting),
    Next,
    Finish(usize),
    Requeue(usize),
    Park(usize),
    Resume(usize),
    Cancel(usize),
    Limit(i64, Option<u32>),
    Pass(Duration),
}

fn limits() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![Just(None), (0..4_u32).prop_map(Some)]
}

/// Their ids are given when they come.
fn executions() -> impl Strategy<Value = Waiting> {
    let sizes = prop_oneof![8 => 0..=400_u64, 1 => 401..500_u64, 1 => Just(u64::MAX)];
    let cpus = prop_oneof![8 => (0..=4_u64).prop_map(|cpus| cpus * CPU), 1 => Just(5 * CPU)];
    let demands = prop_oneof![
        Just(SMALL),
        Just(LARGE),
        (sizes, cpus).prop_map(|(memory_bytes, nano_cpus)| Demand {
            memory_bytes,
            nano_cpus,
            disk_bytes: 0
        }),
    ];
    (0..5_i64, -12..=12_i8, limits(), demands, 0..30_u64).prop_map(
        |(script_id, priority, max_concurrency, demand, since_secs)| Waiting {
            id: Uuid::nil(),
            script_id,
            priority,
            max_concurrency,
            demand,
            since: at(since_secs),
        },
    )
}

fn events() -> impl Strategy<Value = Event> {
    let any = || 0..50_usize;
    prop_oneof![
        2 => Just(Event::Reserve),
        1 => Just(Event::Release),
        4 => executions().prop_map(Event::Push),
        2 => executions().prop_map(Event::Restore),
        1 => any().prop_map(Event::RestoreKnown),
        1 => executions().prop_map(Event::Adopt),
        6 => Just(Event::Next),
        4 => any().prop_map(Event::Finish),
        1 => any().prop_map(Event::Requeue),
        1 => any().prop_map(Event::Park),
        1 => any().prop_map(Event::Resume),
        1 => any().prop_map(Event::Cancel),
        1 => (0..5_i64, limits()).prop_map(|(script, limit)| Event::Limit(script, limit)),
        1 => (0..8_000_u64).prop_map(|millis| Event::Pass(Duration::from_millis(millis))),
    ]
}

const LIMIT: usize = 6;

#[derive(Default)]
struct Model {
    waiting: Vec<Waiting>,
    running: Vec<Waiting>,
    parked: Vec<Waiting>,
    limits: BTreeMap<i64, Option<u32>>,
}

impl Model {
    fn of_script(&self, script_id: i64) -> usize {
        self.running.iter().filter(|it| it.script_id == script_id).count()
    }

    fn restore(&mut self, waiting: Waiting) {
        self.limit(waiting.script_id, waiting.max_concurrency);
        self.waiting.push(waiting);
    }

    fn limit(&mut self, script_id: i64, limit: Option<u32>) {
        self.limits.insert(script_id, limit);
    }

    /// Those who wait, for room or for something else.
    fn all_waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter().chain(&self.parked)
    }

    fn has_room_for(&self, demand: Demand) -> bool {
        let sum = |of: fn(&Demand) -> u64| {
            self.running.iter().map(|it| u128::from(of(&it.demand))).sum::<u128>()
                + u128::from(of(&demand))
        };
        self.running.is_empty()
            || (sum(|it| it.memory_bytes) <= u128::from(NODE.memory_bytes)
                && sum(|it| it.nano_cpus) <= u128::from(NODE.nano_cpus))
    }

    fn is_open(&self, script_id: i64) -> bool {
        let limit = self.limits.get(&script_id).copied().flatten();
        limit.is_none_or(|limit| self.of_script(script_id) < limit as usize)
    }

    /// The same as the effective priority at a time, in nanoseconds of waiting.
    fn effective(waiting: &Waiting, now: Duration) -> i128 {
        let steps = i128::from(waiting.priority.clamp(-10, 10));
        let waited = now.as_nanos().cast_signed() - waiting.since.as_nanos().cast_signed();
        steps * AGEING.as_nanos().cast_signed() + waited
    }

    fn next(&mut self, now: Duration) -> Option<Waiting> {
        if self.running.len() >= NODE.executions as usize {
            return None;
        }
        self.waiting.sort_by_key(|it| (-Self::effective(it, now), it.since, it.id));
        let open: Vec<_> = self.waiting.iter().filter(|it| self.is_open(it.script_id)).collect();
        let first = open.first()?;
        let fits = |it: &&&Waiting| self.has_room_for(it.demand);
        let is_waited_for = now.saturating_sub(first.since) > PATIENCE;
        let chosen = if is_waited_for { Some(first).filter(fits) } else { open.iter().find(fits) }?;
        let id = chosen.id;
        let at = self.waiting.iter().position(|it| it.id == id)?;
        let mut chosen = self.waiting.remove(at);
        chosen.max_concurrency = self.limits.get(&chosen.script_id).copied().flatten();
        self.running.push(chosen.clone());
        Some(chosen)
    }

    /// Scripts of which there is nothing are not remembered.
    fn forget(&mut self) {
        let Self { waiting, running, parked, limits } = self;
        let all = || waiting.iter().chain(&*running).chain(&*parked);
        limits.retain(|script, _| all().any(|it| it.script_id == *script));
    }
}

fn pick<T: Clone>(all: &[T], index: usize) -> Option<T> {
    all.get(index.checked_rem(all.len())?).cloned()
}

/// The event that it waits for when it is set aside.
fn until(waiting: &Waiting) -> &'static str {
    if waiting.script_id < 3 { "this" } else { "that" }
}

struct Trial {
    queue: Queue,
    model: Model,
    places: Vec<Place>,
    now: Duration,
    ids: u128,
}

impl Trial {
    fn new() -> Self {
        let (queue, model) = (Queue::new(NODE, LIMIT), Model::default());
        Self { queue, model, places: Vec::new(), now: at(30), ids: 0 }
    }

    fn arriving(&mut self, waiting: Waiting) -> Waiting {
        self.ids += 1;
        // Not in the order of arrival.
        let id = Uuid::from_u128(self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_003);
        Waiting { id, since: self.now.saturating_sub(waiting.since), ..waiting }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Reserve => self.reserve(),
            Event::Release => {
                if let Some(place) = self.places.pop() {
                    self.queue.release(place);
                }
            }
            Event::Push(waiting) => {
                let waiting = self.arriving(waiting);
                self.reserve();
                if let Some(place) = self.places.pop() {
                    assert!(self.queue.push(place, waiting.clone()));
                    self.model.restore(waiting);
                }
            }
            Event::Restore(waiting) => {
                let waiting = self.arriving(waiting);
                assert!(self.queue.restore(waiting.clone()));
                self.model.restore(waiting);
            }
            Event::Adopt(waiting) => {
                let waiting = self.arriving(waiting);
                assert!(self.queue.adopt(&waiting));
                assert!(!self.queue.adopt(&waiting), "once");
                self.model.limit(waiting.script_id, waiting.max_concurrency);
                self.model.running.push(waiting);
            }
            Event::RestoreKnown(index) => {
                let Model { waiting, running, parked, .. } = &self.model;
                let known = [&waiting[..], &running[..], &parked[..]].concat();
                if let Some(known) = pick(&known, index) {
                    let again = Waiting { max_concurrency: Some(2), ..known };
                    self.model.limit(again.script_id, again.max_concurrency);
                    assert!(!self.queue.restore(again));
                }
            }
            Event::Next => self.next(),
            Event::Finish(index) => {
                let Some(ended) = pick(&self.model.running, index) else { return };
                self.model.running.retain(|it| it.id != ended.id);
                assert!(self.queue.finished(ended.id) && !self.queue.finished(ended.id));
            }
            Event::Requeue(_) | Event::Park(_) | Event::Resume(_) | Event::Cancel(_) => {
                self.waits_differently(event);
            }
            Event::Limit(script_id, limit) => {
                self.queue.set_max_concurrency(script_id, limit);
                self.model.limit(script_id, limit);
            }
            Event::Pass(time) => {
                let could_run = self.queue.choose(self.now).is_some();
                self.now += time;
                let can_run = self.queue.choose(self.now).is_some();
                assert!(could_run || !can_run, "time alone makes nothing runnable");
            }
        }
        self.model.forget();
    }

    fn waits_differently(&mut self, event: Event) {
        match event {
            Event::Requeue(index) => {
                let Some(again) = pick(&self.model.running, index) else { return };
                self.model.running.retain(|it| it.id != again.id);
                self.model.waiting.push(again.clone());
                assert!(self.queue.requeue(again.clone()) && !self.queue.requeue(again));
            }
            Event::Park(index) => {
                let Some(parked) = pick(&self.model.running, index) else { return };
                self.model.running.retain(|it| it.id != parked.id);
                self.model.parked.push(parked.clone());
                let until = until(&parked);
                assert!(self.queue.park(parked.clone(), until));
                assert!(!self.queue.park(parked, until));
            }
            Event::Resume(index) => {
                let Some(parked) = pick(&self.model.parked, index) else { return };
                let is_resumed = |it: &mut Waiting| until(it) == until(&parked);
                let resumed: Vec<_> = self.model.parked.extract_if(.., is_resumed).collect();
                assert_eq!(self.queue.resume(until(&parked)), resumed.len());
                assert_eq!(self.queue.resume(until(&parked)), 0);
                self.model.waiting.extend(resumed);
            }
            Event::Cancel(index) => {
                let Model { waiting, parked, .. } = &self.model;
                let Some(gone) = pick(&[&waiting[..], &parked[..]].concat(), index) else { return };
                self.model.waiting.retain(|it| it.id != gone.id);
                self.model.parked.retain(|it| it.id != gone.id);
                assert!(self.queue.cancel(gone.id) && !self.queue.cancel(gone.id));
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn reserve(&mut self) {
        let is_full = self.places.len() + self.model.all_waiting().count() >= LIMIT;
        match self.queue.reserve() {
            Ok(place) => {
                assert!(!is_full);
                self.places.push(place);
            }
            Err(full) => {
                assert!(is_full);
                assert_eq!(full, Full { limit: LIMIT });
            }
        }
    }

    fn next(&mut self) {
        let next = self.queue.next(self.now);
        assert_eq!(next, self.model.next(self.now));
        let Some(next) = next else { return };
        let limit = next.max_concurrency.map_or(usize::MAX, |limit| limit as usize);
        assert!(self.model.of_script(next.script_id) <= limit);
        let sum = |of: fn(&Waiting) -> u64| {
            self.model.running.iter().map(|it| u128::from(of(it))).sum::<u128>()
        };
        let is_within = sum(|it| it.demand.memory_bytes) <= u128::from(NODE.memory_bytes)
            && sum(|it| it.demand.nano_cpus) <= u128::from(NODE.nano_cpus);
        assert!(is_within || self.model.running.len() == 1);
    }

    fn agrees(&self) {
        assert_eq!(self.queue.waiting_len(), self.model.all_waiting().count());
        assert_eq!(self.queue.running_len(), self.model.running.len());
        for waiting in &self.model.waiting {
            assert!(self.queue.waiting.contains(waiting.id));
        }
        for script_id in 0..5 {
            let of_script = self.model.waiting.iter().filter(|it| it.script_id == script_id);
            assert_eq!(self.queue.waiting_of_script(script_id), of_script.count());
        }
        let oldest = self.model.all_waiting().map(|it| self.now.saturating_sub(it.since)).max();
        assert_eq!(self.queue.oldest_waiting(self.now), oldest);
        assert!((at(1)..=at(60)).contains(&self.queue.retry_after(self.now)));
    }

    /// Everything runs and ends, once; nothing is left over.
    fn ends(mut self) {
        for script_id in 0..5 {
            self.happens(Event::Limit(script_id, None));
        }
        while !self.model.parked.is_empty() {
            self.happens(Event::Resume(0));
        }
        while !self.model.waiting.is_empty() || !self.model.running.is_empty() {
            let before = self.model.running.len();
            self.next();
            if self.model.running.len() == before {
                assert!(before > 0, "some wait, and nothing runs");
                self.happens(Event::Finish(0));
            }
            self.agrees();
        }
        assert!(self.queue.waiting.is_forgotten());
        assert_eq!(self.queue.taken, Sum::default());
        assert_eq!(self.queue.reserved, self.places.len());
    }
}

proptest! {
    #[test]
    fn it_does_what_a_simple_one_does(events in vec(events(), 0..120)) {
        let mut trial = Trial::new();
        for event in events {
            trial.happens(event);
            trial.agrees();
        }
        trial.ends();
    }

    #[test]
    fn nobody_waits_for_longer_than_those_who_may_go_before(
        capacity in 1..4_u32, all in vec(executions(), 1..20), patient in executions(),
    ) {
        // Everyone runs for a second. Better ones come without end, one per second.
        let capacity = Capacity { executions: capacity, ..NODE };
        let patient = Waiting { id: id(u128::MAX), max_concurrency: None, script_id: 9, ..patient };
        let patient = Waiting { since: at(0), ..patient };
        let arriving = |second: u64| {
            let chosen = &all[usize::try_from(second).unwrap() % all.len()];
            let id = id(1 + u128::from(second));
            Waiting { id, since: at(second), priority: 10, max_concurrency: None, ..chosen.clone() }
        };
        let second = starts_at(capacity, patient, 1, arriving);
        prop_assert!(second <= 210, "{}", second);
    }
}

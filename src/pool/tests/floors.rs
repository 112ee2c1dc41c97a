//! Floors, the memory budget, and a machine that is short of memory.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;

/// Floors of these kinds, by the number of processes.
fn floors(asked: &[(u32, usize)]) -> Floors {
    let mut floors = Floors::default();
    asked.iter().for_each(|(pids, count)| floors.add(template(*pids), *count, &format!("s{pids}")));
    floors
}

impl Bench {
    fn set_floors(&self, asked: &[(u32, usize)]) {
        self.pool.set_floors(floors(asked), &HashSet::new());
    }

    /// A budget of so many bytes, on a machine whose available memory is to be set.
    fn set_budget(&self, memory_bytes: u64) -> Arc<AtomicU64> {
        let available = Arc::new(AtomicU64::new(u64::MAX));
        let read = Arc::clone(&available);
        let machine = Arc::new(move || {
            let available = read.load(Ordering::Relaxed);
            Some(MachineMemory { total: 8 << 30, available })
        });
        self.pool.set_budget(Budget { memory_bytes, machine });
        available
    }
}

#[tokio::test(start_paused = true)]
async fn a_floor_is_there_before_anybody_calls_and_again_after_every_call() {
    let bench = bench(8);
    bench.set_floors(&[(8, 3)]);
    assert_eq!(bench.soon().await.unused, 3);
    assert_eq!(bench.take(&template(8), 2), 2);
    assert_eq!(bench.soon().await.unused, 3);
    // Whatever time has passed.
    tokio::time::sleep(Duration::from_secs(7 * 24 * 3600)).await;
    let status = bench.pool.status();
    assert_eq!((status.unused, status.floor, status.floor_unmet), (3, 3, 0));
    bench.set_floors(&[]);
    assert_eq!(bench.soon().await.unused, 0);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn scripts_that_need_the_same_add_up() {
    let bench = bench(8);
    bench.set_floors(&[(8, 1), (8, 2)]);
    assert_eq!(bench.soon().await.unused, 3);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn of_floors_above_its_size_a_part_is_held_and_nobody_is_refused() {
    let bench = bench(4);
    bench.set_floors(&[(8, 3), (9, 3)]);
    let status = bench.soon().await;
    assert_eq!((status.unused, status.floor, status.floor_unmet), (4, 6, 2));
    // Others start cold, and take nobody's place.
    assert_eq!(bench.take(&template(10), 8), 0);
    bench.soon().await;
    assert_eq!(bench.take(&template(10), 1), 0);
    assert_eq!(bench.take(&template(8), 3) + bench.take(&template(9), 3), 4);
    bench.set_floors(&[(8, 3)]);
    let status = bench.soon().await;
    assert_eq!((status.floor, status.floor_unmet), (3, 0));
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn of_floors_above_the_budget_a_part_is_held() {
    let bench = bench(8);
    bench.set_budget(3 * BARE_BYTES + 1);
    bench.set_floors(&[(8, 5)]);
    let status = bench.soon().await;
    assert_eq!((status.unused, status.floor_unmet), (3, 2));
    assert_eq!(status.memory_bytes, 3 * BARE_BYTES);
    assert_eq!(status.memory_limit_bytes, Some(3 * BARE_BYTES + 1));
    bench.take(&template(9), 8);
    assert_eq!(bench.soon().await.unused, 3);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn without_any_budget_nothing_is_held() {
    let bench = bench(8);
    bench.set_budget(0);
    bench.set_floors(&[(8, 5)]);
    bench.take(&template(9), 2);
    assert_eq!(bench.soon().await.unused, 0);
    assert_eq!(bench.engine.calls(Verb::Create), 0);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_short_of_memory_has_all_of_it_back() {
    let bench = bench(8);
    let available = bench.set_budget(u64::MAX);
    bench.set_floors(&[(8, 3)]);
    bench.take(&template(9), 2);
    assert_eq!(bench.soon().await.unused, 5);
    available.store(64 * MIB, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = bench.pool.status();
    assert!(status.is_short_of_memory && status.unused == 0, "{status:?}");
    // Floors are not forgotten, and that is no lack of room.
    assert_eq!((status.floor, status.floor_unmet), (3, 0));
    bench.remover.drain().await;
    assert_eq!(bench.unused(), Vec::<String>::new());
    let before = bench.engine.calls(Verb::Create);
    assert_eq!(bench.take(&template(8), 4), 0);
    // A little more is not enough.
    available.store(512 * MIB, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.engine.calls(Verb::Create), before);
    available.store(4 << 30, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let status = bench.pool.status();
    assert!(!status.is_short_of_memory && status.unused >= 3, "{status:?}");
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_needs_any_more_is_dropped_at_once_and_what_is_in_use_is_not() {
    let bench = bench(8);
    bench.take(&template(8), 2);
    bench.take(&template(9), 2);
    bench.soon().await;
    let in_use = bench.pool.take(template(8)).unwrap();
    bench.soon().await;
    assert!(bench.pool.kinds().contains(&Arc::new(template(8))));
    bench.pool.set_floors(
        Floors::default(),
        &HashSet::from([Arc::new(template(8)), Arc::new(template(10))]),
    );
    assert_eq!(bench.pool.kinds(), HashSet::from([Arc::new(template(9))]));
    let status = bench.soon().await;
    assert_eq!((status.kinds, status.unused), (1, 2));
    let mut in_use = in_use;
    assert!(in_use.is_waiting());
    drop(in_use);
    // A floor counts more than what was said of others.
    bench.pool.set_floors(floors(&[(9, 1)]), &HashSet::from([Arc::new(template(9))]));
    assert_eq!(bench.soon().await.unused, 2);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_being_started_and_not_needed_any_more_is_removed() {
    let bench = bench(2);
    bench.engine.inject(Verb::Start, Fault::Late(Duration::from_secs(5)));
    bench.set_floors(&[(8, 1)]);
    assert_eq!(bench.soon().await.starting, 1);
    bench.pool.set_floors(Floors::default(), &HashSet::from([Arc::new(template(8))]));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(bench.pool.status(), PoolStatus { size: 2, ..PoolStatus::default() });
    bench.remover.drain().await;
    assert_eq!(bench.unused(), Vec::<String>::new());
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn kinds_are_bounded_and_floors_stay_among_them() {
    let bench = bench(8);
    bench.set_floors(&[(7, 2)]);
    bench.soon().await;
    for round in 0..2 {
        for kind in 0..1_000 {
            bench.take(&template(8 + kind), 1);
        }
        let status = bench.pool.status();
        assert!(status.kinds <= 256, "{round}: {status:?}");
    }
    assert_eq!(bench.take(&template(7), 2), 2);
    let many: Vec<_> = (8..1_000).map(|kind| (kind, 1)).collect();
    bench.set_floors(&many);
    let status = bench.soon().await;
    assert!(status.kinds <= 256 && status.unused + status.starting <= 8, "{status:?}");
    assert_eq!((status.floor, status.floor_unmet), (992, 984));
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_floor_that_cannot_be_started_is_tried_ever_less_often_and_seen() {
    let bench = bench(2);
    for _ in 0..8 {
        bench.engine.inject(Verb::Create, Fault::Error(unreachable()));
    }
    bench.set_floors(&[(8, 1)]);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let calls = bench.engine.calls(Verb::Create);
    assert!((2..=8).contains(&calls), "{calls}");
    let status = bench.pool.status();
    assert_eq!((status.unused, status.failing), (0, 1));
    assert_eq!(bench.take(&template(8), 1), 0);
    // It is there as soon as that works again.
    tokio::time::sleep(Duration::from_secs(300)).await;
    let status = bench.pool.status();
    assert_eq!((status.unused, status.failing), (1, 0));
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_floor_in_an_image_that_is_forgotten_waits_for_the_next_word() {
    let bench = bench(2);
    bench.set_floors(&[(8, 2)]);
    bench.soon().await;
    bench.pool.evict_image(IMAGE);
    assert_eq!(bench.soon().await.kinds, 0);
    bench.set_floors(&[(8, 2)]);
    assert_eq!(bench.soon().await.unused, 2);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_places_says_that_it_meets_no_floor() {
    let bench = bench(0);
    bench.set_floors(&[(8, 3)]);
    let unmet = PoolStatus { floor: 3, floor_unmet: 3, ..PoolStatus::default() };
    assert_eq!(bench.soon().await, unmet);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_drained_holds_nothing() {
    let bench = bench(4);
    bench.set_floors(&[(8, 2)]);
    bench.soon().await;
    bench.pool.drain().await;
    bench.set_floors(&[(8, 2)]);
    assert_eq!(bench.soon().await.unused, 0);
    bench.ends().await;
}

/// Event that may happen to a pool.
#[derive(Debug, Clone)]
enum Event {
    Take(u32, usize),
    Hold(Vec<(u32, usize)>),
    Drop(u32),
    Forget,
    Available(u64),
    Fail(usize),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let kind = 8..20_u32;
    let floors = proptest::collection::vec((8..20_u32, 0..7_usize), 0..6);
    prop_oneof![
        (kind.clone(), 1..6_usize).prop_map(|(kind, count)| Event::Take(kind, count)),
        floors.prop_map(Event::Hold),
        kind.prop_map(Event::Drop),
        Just(Event::Forget),
        prop_oneof![Just(0), Just(600 * MIB), Just(u64::MAX)].prop_map(Event::Available),
        (1..4_usize).prop_map(Event::Fail),
        (1..100_000_u64).prop_map(Event::Pass),
    ]
}

async fn stays_within_bounds(events: Vec<Event>) {
    const SIZE: usize = 4;
    let bench = bench(SIZE);
    let available = bench.set_budget(3 * BARE_BYTES);
    for event in events {
        match event {
            Event::Take(kind, count) => drop(bench.take(&template(kind), count)),
            Event::Hold(asked) => bench.set_floors(&asked),
            Event::Drop(kind) => {
                bench
                    .pool
                    .set_floors(Floors::default(), &HashSet::from([Arc::new(template(kind))]));
            }
            Event::Forget => bench.pool.evict_image(IMAGE),
            Event::Available(bytes) => available.store(bytes, Ordering::Relaxed),
            Event::Fail(times) => (0..times).for_each(|_| {
                bench.engine.inject(Verb::Create, Fault::Error(unreachable()));
            }),
            Event::Pass(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        }
        let status = bench.pool.status();
        // Those that are being started when others are to be there come on top.
        assert!(status.unused + status.starting <= SIZE + 2, "{status:?}");
        assert!(status.floor_unmet <= status.floor, "{status:?}");
    }
    available.store(u64::MAX, Ordering::Relaxed);
    bench.set_floors(&[(8, 2)]);
    // Longer than any demand or failure is remembered.
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    let status = bench.pool.status();
    assert_eq!((status.unused, status.kinds, status.failing), (2, 1, 0), "{status:?}");
    bench.ends().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_happens_it_stays_within_its_bounds_and_recovers(
        events in proptest::collection::vec(event(), 0..40),
    ) {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(stays_within_bounds(events));
    }
}

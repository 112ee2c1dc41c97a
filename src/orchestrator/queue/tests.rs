use super::*;

mod model;

const CPU: u64 = 1_000_000_000;
const SMALL: Demand = Demand { memory_bytes: 100, nano_cpus: CPU, disk_bytes: 0 };
const LARGE: Demand = Demand { memory_bytes: 400, nano_cpus: 4 * CPU, disk_bytes: 0 };
const NODE: Capacity =
    Capacity { executions: 4, memory_bytes: 400, nano_cpus: 4 * CPU, disk_bytes: 1000 };

/// Of script 1, without a limit, small, of priority 0.
fn waiting(id: u128, since_secs: u64) -> Waiting {
    Waiting {
        id: Uuid::from_u128(id),
        script_id: 1,
        priority: 0,
        max_concurrency: None,
        demand: SMALL,
        since: at(since_secs),
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn id(id: u128) -> Uuid {
    Uuid::from_u128(id)
}

fn queue_of(capacity: Capacity, all: impl IntoIterator<Item = Waiting>) -> Queue {
    let mut queue = Queue::new(capacity, 100);
    for waiting in all {
        assert!(queue.restore(waiting));
    }
    queue
}

/// The ids of all that run now, in the order in which they start.
fn started(queue: &mut Queue, now: Duration) -> Vec<u128> {
    std::iter::from_fn(|| queue.next(now)).map(|it| it.id.as_u128()).collect()
}

fn one_at_a_time() -> Capacity {
    Capacity { executions: 1, ..NODE }
}

/// The order in which all run, one after the other.
fn order(all: impl IntoIterator<Item = Waiting>, now: Duration) -> Vec<u128> {
    let mut queue = queue_of(one_at_a_time(), all);
    std::iter::from_fn(|| {
        let next = queue.next(now)?;
        assert!(queue.finished(next.id));
        Some(next.id.as_u128())
    })
    .collect()
}

#[test]
fn who_came_first_runs_first() {
    assert_eq!(order([waiting(1, 3), waiting(2, 1), waiting(3, 2)], at(4)), [2, 3, 1]);
    assert_eq!(order([waiting(2, 1), waiting(1, 1)], at(4)), [1, 2]);
}

#[test]
fn greater_priority_runs_first() {
    let [mut low, middle, mut high] = [waiting(1, 0), waiting(2, 1), waiting(3, 2)];
    (low.priority, high.priority) = (-1, 1);
    assert_eq!(order([low, middle, high], at(3)), [3, 2, 1]);
}

#[test]
fn a_step_of_priority_is_worth_ten_seconds() {
    let higher = Waiting { priority: 1, ..waiting(1, 10) };
    assert_eq!(order([higher.clone(), waiting(2, 0)], at(10)), [2, 1], "equal: who came first");
    assert_eq!(order([higher, waiting(2, 1)], at(11)), [1, 2]);
}

#[test]
fn what_lies_outside_the_priorities_counts_as_the_nearest() {
    let wild = Waiting { priority: i8::MAX, ..waiting(1, 1) };
    let best = Waiting { priority: 10, ..waiting(2, 0) };
    assert_eq!(order([wild, best], at(1)), [2, 1]);
}

#[test]
fn ageing_goes_beyond_the_best_priority() {
    let old = Waiting { priority: -10, ..waiting(1, 0) };
    let best = |since| Waiting { priority: 10, ..waiting(2, since) };
    assert_eq!(order([old.clone(), best(199)], at(199)), [2, 1]);
    assert_eq!(order([old, best(201)], at(201)), [1, 2]);
}

#[test]
fn no_more_run_than_the_node_takes() {
    let mut queue = queue_of(NODE, (1..=6).map(|id| waiting(id, 0)));
    assert_eq!(started(&mut queue, at(0)), [1, 2, 3, 4]);
    assert!(queue.finished(id(2)));
    assert_eq!(started(&mut queue, at(0)), [5]);
    assert_eq!((queue.running_len(), queue.waiting_len()), (4, 1));
}

#[test]
fn a_node_for_no_executions_runs_none() {
    let none = Capacity { executions: 0, ..NODE };
    let mut queue = queue_of(none, [waiting(1, 0)]);
    assert_eq!(queue.next(at(1)), None);
    assert!(!queue.fits(&SMALL));
}

#[test]
fn a_script_at_its_limit_holds_up_nobody() {
    let limited = |id| Waiting { max_concurrency: Some(1), ..waiting(id, 0) };
    let other = Waiting { script_id: 2, ..waiting(9, 99) };
    let mut queue = queue_of(NODE, [limited(1), limited(2), limited(3), other]);
    assert_eq!(started(&mut queue, at(99)), [1, 9]);
    assert_eq!(queue.waiting_of_script(1), 2);
    assert!(queue.finished(id(1)));
    assert_eq!(started(&mut queue, at(99)), [2]);
}

#[test]
fn a_changed_limit_counts_for_those_who_wait() {
    let limited = |id| Waiting { max_concurrency: Some(1), ..waiting(id, 0) };
    let mut queue = queue_of(NODE, (1..=4).map(limited));
    assert_eq!(started(&mut queue, at(0)), [1]);
    queue.set_max_concurrency(1, Some(2));
    let second = queue.next(at(0)).unwrap();
    assert_eq!(second.max_concurrency, Some(2), "the present one");
    assert_eq!(queue.next(at(0)), None);
    queue.set_max_concurrency(1, None);
    assert_eq!(started(&mut queue, at(0)), [3, 4]);
}

#[test]
fn a_lowered_limit_lets_what_runs_go_on() {
    let mut queue = queue_of(NODE, (1..=3).map(|id| waiting(id, 0)));
    let first = queue.next(at(0)).unwrap();
    assert!(queue.next(at(0)).is_some());
    queue.set_max_concurrency(1, Some(1));
    assert!(queue.finished(first.id));
    assert_eq!((queue.running_len(), queue.next(at(0))), (1, None));
    assert!(queue.finished(id(2)));
    assert_eq!(started(&mut queue, at(0)), [3]);
}

#[test]
fn smaller_ones_overtake_for_a_while_only() {
    let first = Waiting { priority: 10, ..waiting(1, 0) };
    let large = Waiting { priority: 9, demand: LARGE, ..waiting(2, 0) };
    let mut queue = queue_of(NODE, [first, large, waiting(3, 0), waiting(4, 0)]);
    assert_eq!(queue.next(at(0)).unwrap().id, id(1));
    assert_eq!(queue.next(PATIENCE).unwrap().id, id(3));
    let later = PATIENCE + Duration::from_nanos(1);
    assert_eq!(queue.next(later), None);
    assert!(queue.finished(id(1)) && queue.finished(id(3)));
    assert_eq!(started(&mut queue, later), [2]);
    assert!(queue.finished(id(2)));
    assert_eq!(started(&mut queue, later), [4]);
}

#[test]
fn who_is_cancelled_holds_up_nobody() {
    let large = Waiting { priority: 1, demand: LARGE, ..waiting(2, 0) };
    let mut queue = queue_of(NODE, [waiting(1, 0), large, waiting(3, 0)]);
    queue.running.insert(id(9), Lane::of(&waiting(9, 0)));
    queue.taken = Sum::default().plus(SMALL);
    assert_eq!(queue.next(at(60)), None);
    assert!(queue.cancel(id(2)));
    assert_eq!(started(&mut queue, at(60)), [1, 3]);
}

#[test]
fn what_exceeds_the_node_runs_alone() {
    // Beyond the memory only, and beside it one that needs no memory at all.
    let excessive = Demand { memory_bytes: u64::MAX, ..Demand::default() };
    let weightless = Demand { nano_cpus: 1, ..Demand::default() };
    let mut queue = queue_of(NODE, [waiting(1, 0)]);
    assert!(!queue.fits(&excessive) && queue.fits(&weightless) && queue.fits(&LARGE));
    assert_eq!(started(&mut queue, at(0)), [1]);
    assert!(queue.restore(Waiting { demand: excessive, ..waiting(2, 1) }));
    assert!(queue.restore(Waiting { demand: weightless, ..waiting(3, 2) }));
    assert_eq!(queue.next(at(60)), None);
    assert!(queue.finished(id(1)));
    assert_eq!(started(&mut queue, at(60)), [2]);
    assert!(queue.finished(id(2)));
    assert_eq!(started(&mut queue, at(60)), [3]);
}

#[test]
fn a_full_queue_takes_no_submission_but_what_is_there() {
    let mut queue = Queue::new(NODE, 2);
    let (first, second) = (queue.reserve().unwrap(), queue.reserve().unwrap());
    let full = queue.reserve().unwrap_err();
    assert_eq!(full.to_string(), "the queue is full: 2 executions may wait");
    assert!(full.hint().contains("GANTRY_QUEUE_LIMIT"));
    assert!(queue.push(first, waiting(1, 0)));
    assert_eq!(queue.reserve(), Err(Full { limit: 2 }));
    queue.release(second);
    let third = queue.reserve().unwrap();
    assert!(queue.restore(waiting(2, 0)) && queue.restore(waiting(3, 0)));
    assert!(queue.push(third, waiting(4, 0)));
    assert_eq!(queue.waiting_len(), 4);
    assert_eq!(started(&mut queue, at(0)).len(), 4);
    assert!(queue.reserve().is_ok());
}

#[test]
fn what_is_known_is_not_taken_twice() {
    let mut queue = queue_of(NODE, [waiting(1, 0)]);
    let place = queue.reserve().unwrap();
    assert!(!queue.push(place, waiting(1, 5)));
    assert_eq!(queue.reserved, 0);
    assert_eq!(started(&mut queue, at(9)), [1]);
    assert!(!queue.restore(waiting(1, 0)));
    assert!(queue.finished(id(1)) && !queue.finished(id(1)) && !queue.cancel(id(1)));
    assert!(queue.waiting.is_forgotten());
}

#[test]
fn what_did_not_start_keeps_its_age_and_the_present_limit() {
    let limited = |id, since| Waiting { max_concurrency: Some(1), ..waiting(id, since) };
    let mut queue = queue_of(NODE, [limited(1, 0), limited(2, 1)]);
    let first = queue.next(at(2)).unwrap();
    queue.set_max_concurrency(1, Some(2));
    assert!(queue.requeue(first.clone()));
    assert!(!queue.requeue(first), "it waits already");
    assert_eq!(started(&mut queue, at(3)), [1, 2]);
    assert!(!queue.requeue(waiting(7, 0)), "it never ran");
}

#[test]
fn the_oldest_is_told() {
    let mut queue = queue_of(NODE, [waiting(1, 7), waiting(2, 5)]);
    assert_eq!(queue.oldest_waiting(at(9)), Some(at(4)));
    assert_eq!(queue.oldest_waiting(at(1)), Some(at(0)), "clocks differ");
    assert!(queue.cancel(id(1)) && queue.cancel(id(2)));
    assert_eq!(queue.oldest_waiting(at(9)), None);
}

#[test]
fn the_time_to_try_again_follows_the_pace() {
    let mut queue = queue_of(one_at_a_time(), (0..100).map(|id| waiting(id, 0)));
    assert_eq!(queue.retry_after(at(100)), at(5), "nothing is known");
    for second in 0..64 {
        let next = queue.next(at(100 + 3 * second)).unwrap();
        assert!(queue.finished(next.id));
    }
    assert_eq!(queue.retry_after(at(100 + 3 * 64)), at(3));
    assert_eq!(queue.retry_after(at(100 + 3 * 63)), at(3), "rounded up");
    assert_eq!(queue.retry_after(at(0)), at(1), "clocks differ");
    assert_eq!(queue.retry_after(at(1_000_000)), at(60));
}

/// One second after the other: what runs for its time ends, `arrivals` come, and
/// all that can start does. When does `wanted` start?
fn starts_at(
    capacity: Capacity,
    wanted: Waiting,
    run_secs: u64,
    arrivals: impl Fn(u64) -> Waiting,
) -> u64 {
    let wanted_id = wanted.id;
    let mut queue = queue_of(capacity, [wanted]);
    let mut ends = Vec::new();
    for second in 0..10_000 {
        ends.retain(|(end, id)| *end > second || !queue.finished(*id));
        assert!(queue.restore(arrivals(second)));
        while let Some(next) = queue.next(at(second)) {
            if next.id == wanted_id {
                return second;
            }
            ends.push((second + run_secs, next.id));
        }
    }
    panic!("it never ran");
}

#[test]
fn the_worst_priority_runs_while_the_best_never_ends() {
    let worst = Waiting { priority: -10, ..waiting(0, 0) };
    let best = |second| Waiting { priority: 10, ..waiting(1 + u128::from(second), second) };
    // As many as can run: those of the first 200 s go first.
    let second = starts_at(one_at_a_time(), worst, 1, best);
    assert!((200..=202).contains(&second), "{second}");
}

#[test]
fn a_large_one_runs_while_small_ones_never_end() {
    let large = Waiting { demand: LARGE, ..waiting(0, 0) };
    // There are always three that run, and places for one more.
    let small = |second| Waiting { script_id: 2, ..waiting(1 + u128::from(second), second) };
    let second = starts_at(NODE, Waiting { since: at(1), ..large }, 3, small);
    assert!((6..=10).contains(&second), "{second}");
}

#[test]
fn what_is_set_aside_knows_the_limit_that_came_meanwhile() {
    let limited = |id, limit| Waiting { max_concurrency: limit, ..waiting(id, 0) };
    let mut queue = queue_of(NODE, [limited(1, None), limited(2, None)]);
    let taken: Vec<_> = std::iter::from_fn(|| queue.next(at(1))).collect();
    for it in taken {
        assert!(queue.park(it, "image"));
    }
    queue.set_max_concurrency(1, Some(1));
    assert_eq!(queue.resume("image"), 2);
    assert_eq!(queue.next(at(1)).and_then(|it| it.max_concurrency), Some(1));
    assert_eq!(queue.next(at(1)), None);
}

/// A small one that needs so much of the disk.
fn on_disk(disk_bytes: u64) -> Demand {
    Demand { disk_bytes, ..SMALL }
}

fn needs(id: u128, since_secs: u64, disk_bytes: u64) -> Waiting {
    Waiting { demand: on_disk(disk_bytes), ..waiting(id, since_secs) }
}

#[test]
fn room_on_the_disk_is_reserved_and_comes_back() {
    let mut queue = queue_of(NODE, [needs(1, 0, 600), needs(2, 1, 600), needs(3, 2, 400)]);
    assert_eq!(started(&mut queue, at(2)), [1, 3]);
    assert_eq!(queue.disk_wanted(), (1000, true));
    assert!(queue.finished(id(1)));
    assert_eq!(started(&mut queue, at(2)), [2]);
    assert_eq!(queue.disk_wanted(), (1000, false));
}

#[test]
fn who_waits_for_room_that_is_not_there_holds_up_nobody() {
    let mut queue = queue_of(NODE, [needs(1, 0, 900), needs(2, 1, 100), waiting(3, 2)]);
    assert!(queue.fits(&on_disk(1000)) && !queue.fits(&on_disk(1001)));
    assert!(!queue.set_disk(500));
    assert_eq!(started(&mut queue, at(600)), [2, 3], "the first has waited for long");
    assert!(queue.finished(id(2)) && queue.finished(id(3)));
    assert_eq!(queue.next(at(600)), None, "not even alone");
    assert!(queue.set_disk(900));
    assert_eq!(started(&mut queue, at(600)), [1]);
}

#[test]
fn who_waits_for_others_room_on_the_disk_is_not_overtaken_for_ever() {
    let mut queue = queue_of(NODE, [needs(1, 0, 600)]);
    assert_eq!(started(&mut queue, at(0)), [1]);
    assert!(queue.restore(needs(2, 1, 900)) && queue.restore(needs(3, 2, 100)));
    assert!(queue.restore(waiting(4, 3)));
    assert_eq!(started(&mut queue, at(60)), [4], "it needs no disk");
    assert!(queue.finished(id(1)));
    assert_eq!(started(&mut queue, at(60)), [2, 3]);
}

#[test]
fn a_disk_that_shrinks_below_what_runs_stops_none_that_needs_none() {
    let mut queue = queue_of(NODE, [needs(1, 0, 900), needs(2, 1, 50), waiting(3, 2)]);
    assert_eq!(queue.next(at(2)).map(|it| it.id), Some(id(1)));
    queue.set_disk(100);
    assert_eq!(started(&mut queue, at(2)), [3]);
}

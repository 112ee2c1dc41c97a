//! Whatever happens and whenever, the script ends in time and for one reason.

use super::*;
use proptest::prelude::*;

const DEADLINE: Duration = Duration::from_millis(1000);
const GRACE: Duration = Duration::from_millis(500);

fn stop() -> Stop {
    Stop::new(DEADLINE, GRACE)
}

fn at(milliseconds: u64) -> Facts {
    Facts {
        now: Duration::from_millis(milliseconds),
        cancelled: false,
        over_disk: false,
        main_ended: false,
        output_ended: false,
        output_held_up: false,
        alone: false,
    }
}

#[test]
fn a_script_that_ends_is_not_stopped() {
    let mut stop = stop();
    assert_eq!(stop.next(at(999)), None);
    let ended = Facts { main_ended: true, output_ended: true, ..at(1000) };
    assert_eq!(stop.next(ended), Some(Action::Kill), "whoever is left");
    assert_eq!(stop.next(Facts { alone: true, ..ended }), None);
    assert!(stop.is_over());
    assert_eq!(stop.stopped(), None);
}

#[test]
fn at_the_deadline_comes_term_and_after_grace_kill() {
    let mut stop = stop();
    assert_eq!(stop.next(at(1000)), Some(Action::Terminate));
    assert_eq!(stop.next(at(1000)), None);
    assert_eq!(stop.next(at(1499)), None);
    assert_eq!(stop.next(at(1500)), Some(Action::Kill));
    assert_eq!(stop.next(at(1519)), None);
    assert_eq!(stop.next(at(1520)), Some(Action::Kill), "again");
    assert_eq!(stop.stopped(), Some(Stopped::Deadline));
}

#[test]
fn the_first_cause_wins() {
    let mut cancelled_first = stop();
    let cancelled = Facts { cancelled: true, ..at(10) };
    assert_eq!(cancelled_first.next(cancelled), Some(Action::Terminate));
    assert_eq!(cancelled_first.next(Facts { cancelled: true, ..at(2000) }), Some(Action::Kill));
    assert_eq!(cancelled_first.stopped(), Some(Stopped::Cancelled));

    let mut deadline_first = stop();
    assert_eq!(deadline_first.next(at(1000)), Some(Action::Terminate));
    assert_eq!(deadline_first.next(Facts { cancelled: true, ..at(1001) }), None);
    assert_eq!(deadline_first.stopped(), Some(Stopped::Deadline));
}

#[test]
fn whoever_holds_the_output_gets_some_time() {
    let mut stop = stop();
    let held = |milliseconds| Facts { main_ended: true, ..at(milliseconds) };
    assert_eq!(stop.next(held(100)), None);
    assert_eq!(stop.next(held(100 + LINGER_MS - 1)), None);
    assert_eq!(stop.next(held(100 + LINGER_MS)), Some(Action::Kill));
}

#[test]
fn a_slow_reader_takes_nothing_of_that_time() {
    let mut stop = stop();
    let ended = |milliseconds| Facts { main_ended: true, ..at(milliseconds) };
    assert_eq!(stop.next(ended(100)), None);
    let held_up = |milliseconds| Facts { output_held_up: true, ..ended(milliseconds) };
    assert_eq!(stop.next(held_up(250)), None);
    assert_eq!(stop.next(ended(250 + LINGER_MS - 1)), None);
    assert_eq!(stop.next(held_up(1499)), None);
    assert_eq!(stop.next(held_up(1500)), Some(Action::Kill), "deadline and grace are over");
}

#[test]
fn a_process_that_can_not_be_killed_does_not_hold_the_result() {
    let mut stop = stop();
    let ended = |milliseconds| Facts { main_ended: true, output_ended: true, ..at(milliseconds) };
    assert_eq!(stop.next(ended(0)), Some(Action::Kill));
    assert_eq!(stop.next(ended(1999)), Some(Action::Kill));
    assert_eq!(stop.next(ended(2000)), None);
    assert!(stop.is_over());
}

#[test]
fn endless_times_are_endless() {
    let mut stop = Stop::new(Duration::MAX, Duration::MAX);
    assert_eq!(stop.next(at(u64::MAX)), None);
    let cancelled = Facts { cancelled: true, ..at(u64::MAX) };
    assert_eq!(stop.next(cancelled), Some(Action::Terminate));
    assert_eq!(stop.next(cancelled), None);
}

/// Milliseconds until something happens, or never.
fn moment() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0..3000_u64).prop_map(Some)]
}

/// A sandbox with one script, as far as the machine can see it.
#[derive(Debug, Clone)]
struct World {
    deadline: u64,
    grace: u64,
    cancelled_at: Option<u64>,
    main_ends_at: Option<u64>,
    /// After TERM, if it obeys.
    main_obeys_after: Option<u64>,
    output_ends_at: Option<u64>,
    output_held_up: Vec<bool>,
    wakes: Vec<u64>,
}

fn world() -> impl Strategy<Value = World> {
    let times = (0..2000_u64, 0..1000_u64);
    let ends = (moment(), moment(), moment(), moment());
    let noise = (
        proptest::collection::vec(any::<bool>(), 1..20),
        proptest::collection::vec(0..4000_u64, 0..50),
    );
    (times, ends, noise).prop_map(|((deadline, grace), ends, (output_held_up, wakes))| {
        let (cancelled_at, main_ends_at, main_obeys_after, output_ends_at) = ends;
        World {
            deadline,
            grace,
            cancelled_at,
            main_ends_at,
            main_obeys_after,
            output_ends_at,
            output_held_up,
            wakes,
        }
    })
}

/// Times of the actions and ends, in milliseconds.
#[derive(Debug, Default)]
struct History {
    terminated_at: Option<u64>,
    killed_at: Option<u64>,
    main_ended_at: Option<u64>,
    main_was_killed: bool,
    over_at: u64,
}

/// Lives through `world`, waking when the machine asks for it and at odd times.
fn live(world: &World, stop: &mut Stop) -> Result<History, TestCaseError> {
    let mut history = History::default();
    let mut wakes = world.wakes.clone();
    wakes.sort_unstable();
    wakes.reverse();
    let (mut now, mut turn) = (0, 0);
    while !stop.is_over() {
        let has_come = |moment: Option<u64>| moment.is_some_and(|moment| moment <= now);
        let obeyed = history.terminated_at.zip(world.main_obeys_after).map(|(a, b)| a + b);
        if has_come(world.main_ends_at) || has_come(obeyed) || has_come(history.killed_at) {
            history.main_ended_at.get_or_insert(now);
        }
        let facts = Facts {
            cancelled: has_come(world.cancelled_at),
            over_disk: false,
            main_ended: history.main_ended_at.is_some(),
            output_ended: has_come(world.output_ends_at) || has_come(history.killed_at),
            output_held_up: world.output_held_up[turn % world.output_held_up.len()],
            alone: has_come(history.killed_at),
            ..at(now)
        };
        match stop.next(facts) {
            Some(Action::Terminate) => {
                prop_assert_eq!(history.terminated_at, None, "one TERM");
                prop_assert_eq!(history.killed_at, None, "TERM comes first");
                history.terminated_at = Some(now);
            }
            Some(Action::Kill) => {
                history.killed_at.get_or_insert(now);
                history.main_was_killed |= !facts.main_ended;
            }
            None if stop.is_over() => {}
            None => {
                turn += 1;
                let asked_for = stop.look_again_at().map(|at| at.as_millis() as u64);
                prop_assert!(asked_for.is_none_or(|at| at > now), "no busy waiting");
                while wakes.last().is_some_and(|&wake| wake <= now) {
                    wakes.pop();
                }
                let events = [world.main_ends_at, world.cancelled_at, obeyed, wakes.pop()];
                let next = events.into_iter().chain([asked_for]).flatten().filter(|&at| at > now);
                now = next.min().unwrap_or(now);
            }
        }
    }
    history.over_at = now;
    Ok(history)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_script_ends_in_time_and_for_one_reason(world in world()) {
        let mut stop = Stop::new(
            Duration::from_millis(world.deadline),
            Duration::from_millis(world.grace),
        );
        let history = live(&world, &mut stop)?;
        let cancelled_at = world.cancelled_at.unwrap_or(u64::MAX);
        let due = world.deadline.min(cancelled_at);
        let ended_by_itself = world.main_ends_at.is_some_and(|end| end <= due);

        prop_assert_eq!(history.terminated_at, (!ended_by_itself).then_some(due));
        let expected = match history.terminated_at {
            None => None,
            Some(_) if cancelled_at <= world.deadline => Some(Stopped::Cancelled),
            Some(_) => Some(Stopped::Deadline),
        };
        prop_assert_eq!(stop.stopped(), expected);

        prop_assert!(history.over_at <= world.deadline + world.grace);
        if history.main_was_killed {
            let at = history.killed_at;
            prop_assert_eq!(at, Some(due + world.grace), "nobody is killed without his grace");
        }
    }
}

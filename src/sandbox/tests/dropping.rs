//! Futures that are dropped at any moment while they wait for a sandbox.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::*;
use crate::engine::fake::{Ended, Fault, program};

/// More wake-ups than any of these futures needs.
const ENOUGH: usize = 10_000;

/// Moment at which a future is dropped.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The awaited call is in progress.
    Waiting,
    /// The awaited call has returned, and the future was not polled since.
    Woken,
}

/// Polls a future this often and drops it; true if it has ended before.
async fn ends_within(polls: usize, moment: Moment, future: impl Future) -> bool {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match (future.as_mut().poll(context), moment) {
            (Poll::Ready(_), _) => Poll::Ready(true),
            (Poll::Pending, Moment::Waiting) if left == 0 => Poll::Ready(false),
            (Poll::Pending, _) => Poll::Pending,
        }
    })
    .await
}

/// Drops a run at each of its wake-ups in turn, on a new bench each time.
async fn drop_everywhere(bench: impl Fn() -> Bench) {
    for moment in [Moment::Waiting, Moment::Woken] {
        let mut polls = 0;
        loop {
            let bench = bench();
            let ended = ends_within(polls, moment, bench.ending()).await;
            bench.assert_nothing_is_left().await;
            if ended {
                break;
            }
            polls += 1;
            assert!(polls < ENOUGH, "it never ended");
        }
        assert!(polls > 5, "it was dropped at {polls} places only");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_wherever_an_execution_is_dropped() {
    drop_everywhere(|| Bench::running(program::echo())).await;
    drop_everywhere(|| Bench::running(program::dies_after_started(Ended::KILLED))).await;
    drop_everywhere(|| Bench::running(program::silent())).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_wherever_it_is_dropped_when_removals_fail_at_first() {
    drop_everywhere(|| {
        let bench = Bench::running(program::echo());
        bench.engine.inject(Verb::Remove, Fault::Error(unreachable()));
        bench.engine.inject(Verb::Remove, Fault::Hang);
        bench
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_creation_that_comes_after_nobody_waits() {
    for seconds in [0, 1, 3] {
        let bench = Bench::running(program::echo());
        bench.engine.inject(Verb::Create, Fault::Late(Duration::from_secs(seconds)));
        assert!(!ends_within(1, Moment::Waiting, bench.start()).await);
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_nobody_used_is_removed() {
    let bench = Bench::running(program::echo());
    let sandbox = bench.start().await.unwrap();
    assert_eq!(bench.engine.containers(), [NAME]);
    drop(sandbox);
    bench.assert_nothing_is_left().await;
}

//! How much one kind of sandbox is asked for. Pure: times are arguments, since any
//! fixed moment.

use std::collections::VecDeque;
use std::time::Duration;

/// How long the largest burst counts in full.
const HOLD: Duration = Duration::from_secs(120);

/// In this time, then, it counts half as much; and so do calls, from the first.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// Calls of a burst that are estimated_bytes at most.
const MAX_BURST: usize = 1024;

/// What is remembered of the calls for one kind of sandbox.
#[derive(Debug, Clone, Default)]
pub(super) struct Demand {
    /// The calls of the present burst.
    burst: VecDeque<Duration>,
    /// The largest burst, and when it was.
    peak: DecayingCount,
    /// The calls, and when the last was.
    calls: DecayingCount,
}

/// Something that estimated_bytes so much at a time.
#[derive(Debug, Clone, Copy, Default)]
struct DecayingCount {
    value: f64,
    since: Duration,
}

impl DecayingCount {
    /// What it counts when this time has passed, of which `hold` does not count.
    fn after(self, now: Duration, hold: Duration) -> f64 {
        let passed = now.saturating_sub(self.since).saturating_sub(hold);
        self.value * (-passed.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
    }
}

impl Demand {
    /// One was asked for. Calls within `window` count as a burst: that many are
    /// needed at once, because none can be made ready in less.
    pub(super) fn called(&mut self, now: Duration, window: Duration) {
        self.burst.push_back(now);
        let begin = now.saturating_sub(window);
        while self.burst.len() > MAX_BURST || self.burst.front().is_some_and(|it| *it < begin) {
            self.burst.pop_front();
        }
        #[expect(clippy::cast_precision_loss, reason = "at most MAX_BURST")]
        let burst = self.burst.len() as f64;
        if burst >= self.peak.after(now, HOLD) {
            self.peak = DecayingCount { value: burst, since: now };
        }
        self.calls = DecayingCount { value: self.calls(now) + 1.0, since: now };
    }

    /// How many are worth holding: the largest burst of late, and none for what
    /// nobody has called for a while.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to MAX_BURST")]
    pub(super) fn wanted(&self, now: Duration) -> usize {
        self.peak.after(now, HOLD).round() as usize
    }

    /// How often it is called, for a comparison with others.
    pub(super) fn calls(&self, now: Duration) -> f64 {
        self.calls.after(now, Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(300);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn called(times: impl IntoIterator<Item = u64>) -> Demand {
        let mut demand = Demand::default();
        times.into_iter().for_each(|millis| demand.called(at(millis), WINDOW));
        demand
    }

    #[test]
    fn nothing_is_held_for_what_nobody_calls() {
        assert_eq!(Demand::default().wanted(at(0)), 0);
        let demand = called([0]);
        assert_eq!(demand.wanted(at(1)), 1);
        assert_eq!(demand.wanted(at(180_000)), 1);
        assert_eq!(demand.wanted(at(181_000)), 0);
    }

    #[test]
    fn calls_far_apart_want_one_and_a_burst_wants_as_many() {
        assert_eq!(called((0..100).map(|call| call * 1_000)).wanted(at(100_000)), 1);
        assert_eq!(called(std::iter::repeat_n(5, 8)).wanted(at(6)), 8);
        assert_eq!(called((0..8).map(|call| call * 30)).wanted(at(211)), 8);
    }

    #[test]
    fn a_burst_is_held_and_then_forgotten_by_halves() {
        let mut demand = called(std::iter::repeat_n(0, 8));
        assert_eq!(demand.wanted(at(120_000)), 8);
        assert_eq!(demand.wanted(at(180_000)), 4);
        // One call is no burst, and does not make it be remembered for longer.
        demand.called(at(180_000), WINDOW);
        assert_eq!(demand.wanted(at(240_000)), 2);
        demand.called(at(400_000), WINDOW);
        assert_eq!(demand.wanted(at(400_000)), 1);
        assert_eq!(demand.wanted(at(3_600_000)), 0);
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut demand = called([1_000_000]);
        demand.called(at(0), WINDOW);
        assert!(demand.wanted(at(0)) <= 2);
    }
}

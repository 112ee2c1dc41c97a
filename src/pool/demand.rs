//! Demand for one kind of sandbox. Pure: times are arguments, measured from any fixed
//! moment.

use std::collections::VecDeque;
use std::time::Duration;

/// Time for which the largest burst counts in full.
const HOLD: Duration = Duration::from_secs(120);

/// Half-life of the largest burst after [`HOLD`], and of the number of calls from the
/// start.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// Largest number of calls that is counted in a burst.
const MAX_BURST: usize = 1024;

/// Recent calls for one kind of sandbox.
#[derive(Debug, Clone, Default)]
pub(super) struct RecentCalls {
    /// Times of the calls in the current burst.
    burst: VecDeque<Duration>,
    /// Size and time of the largest burst.
    peak: DecayingCount,
    /// Decaying number of calls, and the time of the last one.
    calls: DecayingCount,
}

/// A number that decays with time.
#[derive(Debug, Clone, Copy, Default)]
struct DecayingCount {
    value: f64,
    since: Duration,
}

impl DecayingCount {
    /// Value at `now`, if the decay starts `hold` after `since`.
    fn after(self, now: Duration, hold: Duration) -> f64 {
        let passed = now.saturating_sub(self.since).saturating_sub(hold);
        self.value * (-passed.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
    }
}

impl RecentCalls {
    /// Records a call. Calls within `window` count as a burst: that many sandboxes are
    /// needed at once, because none can be started in less time.
    pub(super) fn record(&mut self, now: Duration, window: Duration) {
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

    /// Number of sandboxes worth holding: the largest recent burst, or none after a while
    /// without calls.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to MAX_BURST")]
    pub(super) fn wanted(&self, now: Duration) -> usize {
        self.peak.after(now, HOLD).round() as usize
    }

    /// Decaying number of calls, for comparison with other kinds.
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

    fn called(times: impl IntoIterator<Item = u64>) -> RecentCalls {
        let mut demand = RecentCalls::default();
        times.into_iter().for_each(|millis| demand.record(at(millis), WINDOW));
        demand
    }

    #[test]
    fn nothing_is_held_for_what_nobody_calls() {
        assert_eq!(RecentCalls::default().wanted(at(0)), 0);
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
        // A single call is not a burst, and does not keep the old one alive.
        demand.record(at(180_000), WINDOW);
        assert_eq!(demand.wanted(at(240_000)), 2);
        demand.record(at(400_000), WINDOW);
        assert_eq!(demand.wanted(at(400_000)), 1);
        assert_eq!(demand.wanted(at(3_600_000)), 0);
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut demand = called([1_000_000]);
        demand.record(at(0), WINDOW);
        assert!(demand.wanted(at(0)) <= 2);
    }
}

//! The pace of the queue, for a caller who finds it full. It is an
//! estimate for a header and must never decide anything.

use std::collections::VecDeque;
use std::time::Duration;

/// Starts that are remembered.
const STARTS: usize = 32;

/// Answer while nothing is known.
const UNKNOWN: Duration = Duration::from_secs(5);

/// The bounds of what is answered, in seconds.
const LEAST_SECONDS: u64 = 1;
const MOST_SECONDS: u64 = 60;

/// Times at which executions left the queue to run, of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    starts: VecDeque<Duration>,
}

impl Pace {
    pub(super) fn started(&mut self, now: Duration) {
        if self.starts.len() >= STARTS {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
    }

    /// The mean time between the latest starts, rounded up to whole seconds. The
    /// time since the last one counts, so that a queue that stands still says so.
    pub(super) fn retry_after(&self, now: Duration) -> Duration {
        let Some(first) = self.starts.front() else { return UNKNOWN };
        let starts = u32::try_from(self.starts.len()).unwrap_or(u32::MAX).max(1);
        let mean = now.saturating_sub(*first) / starts;
        let rounded_up = mean.as_secs().saturating_add(u64::from(mean.subsec_nanos() > 0));
        Duration::from_secs(rounded_up.clamp(LEAST_SECONDS, MOST_SECONDS))
    }
}

//! Limits how often a repeated failure is logged, and counts the suppressed lines. Callers
//! choose the message.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// Throttle of one kind of log line.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl LogThrottle {
    /// Number of lines suppressed since the last one, if a line may be logged now;
    /// otherwise counts this one as suppressed.
    #[must_use]
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            said.unsaid += 1;
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_then_one_of_many_with_their_number() {
        let throttle = LogThrottle::default();
        let begun = Instant::now();
        assert_eq!(throttle.admit_at(begun), Some(0));
        for _ in 0..7 {
            assert_eq!(throttle.admit_at(begun + EVERY / 2), None);
        }
        assert_eq!(throttle.admit_at(begun + EVERY), Some(7));
        assert_eq!(throttle.admit_at(begun + EVERY * 2), Some(0));
    }
}

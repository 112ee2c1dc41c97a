//! The times at which all scripts are read again: a pure rule, without a clock.

use std::time::{Duration, Instant};

use crate::store::ScriptsStamp;

/// Pause while nothing has changed, and the first one while an image is missing.
pub(super) const LOOK: Duration = Duration::from_secs(10);

/// Everything is read again after this time at the latest: clocks of nodes differ,
/// and a stamp may not show a change.
const LONGEST: Duration = Duration::from_secs(300);

/// Remembers the last reading.
#[derive(Debug)]
pub(super) struct ReadingSchedule<S = ScriptsStamp> {
    /// The stamp before it, and the time at which it is repeated in any case.
    last: Option<(S, Instant)>,
    /// Time until the next reading while an image is missing: ever longer.
    pause: Duration,
}

impl<S: PartialEq> ReadingSchedule<S> {
    /// Nothing was read yet.
    pub(super) fn new() -> Self {
        Self { last: None, pause: LOOK }
    }

    /// Something has changed: the next reading is due at once.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// A reading has failed, and is due again. The pause stays.
    pub(super) fn failed(&mut self) {
        self.last = None;
    }

    /// True if scripts with this stamp are to be read now.
    pub(super) fn is_due(&self, stamp: &S, now: Instant) -> bool {
        self.last.as_ref().is_none_or(|(last, until)| last != stamp || now >= *until)
    }

    /// Scripts were read, at `now` with this stamp.
    pub(super) fn read(&mut self, stamp: S, now: Instant, is_complete: bool) {
        let pause = if is_complete { LONGEST } else { self.pause };
        self.last = Some((stamp, now + pause));
        self.pause = if is_complete { LOOK } else { (self.pause * 2).min(LONGEST) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scripts_are_read_when_the_stamp_changes_and_when_it_is_old() {
        let now = Instant::now();
        let mut schedule = ReadingSchedule::new();
        assert!(schedule.is_due(&1, now));
        schedule.read(1, now, true);
        assert!(!schedule.is_due(&1, now + LONGEST / 2));
        assert!(schedule.is_due(&2, now));
        assert!(schedule.is_due(&1, now + LONGEST));
        schedule.reset();
        assert!(schedule.is_due(&1, now));
    }

    proptest! {
        #[test]
        fn missing_images_are_asked_for_after_ever_longer_pauses(
            readings in proptest::collection::vec(any::<bool>(), 1..30),
        ) {
            let mut now = Instant::now();
            let mut schedule = ReadingSchedule::new();
            let mut last_pause = Duration::ZERO;
            for is_complete in readings {
                prop_assert!(schedule.is_due(&(), now));
                schedule.read((), now, is_complete);
                let (_, until) = schedule.last.unwrap();
                let pause = until - now;
                prop_assert!(pause >= LOOK && pause <= LONGEST);
                prop_assert!(is_complete || pause >= last_pause);
                prop_assert!(!schedule.is_due(&(), until - Duration::from_nanos(1)));
                last_pause = if is_complete { Duration::ZERO } else { pause };
                now = until;
            }
        }
    }
}

//! The number of attempts at an execution whose script has not started, and the pauses
//! between them: a pure rule.

use std::time::Duration;

use crate::domain::outcome::ErrorKind;

/// Attempts while the engine is out. The pauses between them are 66 s together: so long
/// an engine may refuse everything before anything fails. A start that hangs is waited
/// for besides, each time (`engine::deadline`).
const MAX_ATTEMPTS: u32 = 12;

/// Attempts when the engine is well and sandboxes do not come up: the image or the
/// engine's runtime may be broken, and a killed container is no reason to fail.
const MAX_ATTEMPTS_AT_SANDBOXES: u32 = 4;

/// Pause between two attempts, times the number of the attempt that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest pause between two attempts.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(15);

/// The attempts at one execution.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AttemptPolicy {
    /// The present attempt, from 1.
    number: u32,
}

impl Default for AttemptPolicy {
    fn default() -> Self {
        Self { number: 1 }
    }
}

impl AttemptPolicy {
    /// The next attempt, and the pause before it; `None` when this one was the last.
    pub(super) fn after_failure(self, kind: Option<ErrorKind>) -> Option<(Self, Duration)> {
        let is_outage = kind == Some(ErrorKind::EngineUnavailable);
        let most = if is_outage { MAX_ATTEMPTS } else { MAX_ATTEMPTS_AT_SANDBOXES };
        let pause = (PAUSE * self.number).min(MAX_PAUSE);
        (self.number < most).then_some((Self { number: self.number + 1 }, pause))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OUTAGE: Option<ErrorKind> = Some(ErrorKind::EngineUnavailable);
    const SANDBOX: Option<ErrorKind> = Some(ErrorKind::SandboxFailed);

    /// The pauses that are made when attempts fail like this, one after the other.
    fn pauses(kinds: impl IntoIterator<Item = Option<ErrorKind>>) -> Vec<Duration> {
        let mut policy = AttemptPolicy::default();
        let mut pauses = Vec::new();
        for kind in kinds {
            let Some((next, pause)) = policy.after_failure(kind) else { break };
            policy = next;
            pauses.push(pause);
        }
        pauses
    }

    #[test]
    fn an_outage_is_waited_out_for_66_seconds_and_a_broken_sandbox_is_tried_four_times() {
        let outage = pauses(std::iter::repeat(OUTAGE));
        assert_eq!(outage.iter().sum::<Duration>(), Duration::from_secs(66));
        assert_eq!(pauses(std::iter::repeat(SANDBOX)).len(), 3);
    }

    proptest! {
        #[test]
        fn attempts_end_and_pauses_grow_up_to_their_bound(
            outages in proptest::collection::vec(any::<bool>(), 0..40),
        ) {
            let kinds: Vec<_> =
                outages.iter().map(|&is_outage| if is_outage { OUTAGE } else { SANDBOX }).collect();
            let pauses = pauses(kinds.iter().copied());
            prop_assert!(pauses.len() < MAX_ATTEMPTS as usize);
            prop_assert!(pauses.is_sorted() && pauses.iter().all(|it| *it <= MAX_PAUSE));
            // Another attempt follows as often as the failures allow, and no oftener.
            let number = u32::try_from(pauses.len()).unwrap() + 1;
            let most = |kind: &_| {
                if *kind == OUTAGE { MAX_ATTEMPTS } else { MAX_ATTEMPTS_AT_SANDBOXES }
            };
            let is_last = kinds.get(pauses.len()).is_none_or(|kind| number >= most(kind));
            prop_assert!(is_last);
        }
    }
}

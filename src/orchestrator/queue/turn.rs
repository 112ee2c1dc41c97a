//! The turns of executions: the order in which they run, as a key
//! that is fixed at submission. It must never depend on the time of asking.
//!
//! An execution's effective priority is its own plus one for each `AGEING` that it
//! has waited, fractions included. The difference of two such priorities is the
//! same at every moment, so comparing the submission times, each moved back by
//! `AGEING` for each step of priority, gives the same order.

use std::time::Duration;

use uuid::Uuid;

use super::{AGEING, PRIORITIES, Waiting};

/// A place in the order; the least is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// Nanoseconds: the submission, moved by the priority.
    moved: i64,
    /// The submission: among equals, who came first.
    since: Duration,
    id: Uuid,
}

impl Turn {
    /// Before all others.
    pub(super) const FIRST: Self = Self { moved: i64::MIN, since: Duration::ZERO, id: Uuid::nil() };
    /// After all others.
    pub(super) const LAST: Self = Self { moved: i64::MAX, since: Duration::MAX, id: Uuid::max() };

    pub(super) fn of(waiting: &Waiting) -> Self {
        let priority = waiting.priority.clamp(*PRIORITIES.start(), *PRIORITIES.end());
        let head_start = i64::from(priority).saturating_mul(nanos(AGEING));
        let moved = nanos(waiting.since).saturating_sub(head_start);
        Self { moved, since: waiting.since, id: waiting.id }
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// The time since its submission.
    pub(super) fn waited(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }
}

/// Enough for 292 years, since 1970 too.
fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

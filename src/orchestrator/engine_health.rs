//! Whether the engine starts sandboxes. An engine can answer everything and start
//! nothing, so it is well only as far as starts succeed: from one that failed until
//! another one did, it is not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What the last start has said.
#[derive(Debug, Default)]
pub(super) struct EngineHealth {
    fault: Mutex<Option<Arc<str>>>,
    failed: Notify,
}

impl EngineHealth {
    /// A start has failed.
    pub(super) fn failed(&self, reason: &str) {
        *self.lock() = Some(reason.into());
        self.failed.notify_one();
    }

    /// A start has succeeded. True if the one before had not.
    pub(super) fn started(&self) -> bool {
        self.lock().take().is_some()
    }

    /// Why nothing starts; `None` when all is well as far as is known.
    pub(super) fn fault(&self) -> Option<Arc<str>> {
        self.lock().clone()
    }

    /// Waits for the next failure, or for one that nobody has waited for yet.
    pub(super) async fn next_failure(&self) {
        self.failed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_well_from_a_failure_to_a_success() {
        let health = EngineHealth::default();
        assert_eq!(health.fault(), None);
        assert!(!health.started(), "it was well");
        health.failed("first");
        health.failed("second");
        assert_eq!(health.fault().as_deref(), Some("second"));
        assert!(health.started());
        assert_eq!(health.fault(), None);
    }

    #[tokio::test]
    async fn a_failure_is_not_missed_by_who_comes_late() {
        let health = EngineHealth::default();
        health.failed("first");
        health.next_failure().await;
    }
}

//! Closed while the engine starts nothing: then no execution is started. An engine can
//! answer every question and start nothing, so only starts count: a failed one closes
//! the gate, and the next that succeeds opens it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::shared_queue::SharedQueue;
use crate::orchestrator::observer::Observer;
use crate::orchestrator::run_error::RunError;

/// A start that takes longer closes the gate before it fails: a wedged engine takes a
/// minute to fail.
const SLOW: Duration = Duration::from_secs(15);

/// The result of the last start on this engine.
pub(super) struct EngineGate {
    fault: Mutex<Option<Arc<str>>>,
    closed: Notify,
    observer: Arc<dyn Observer>,
    queue: Arc<SharedQueue>,
}

impl EngineGate {
    /// An open gate. The queue is nudged when it opens again.
    pub(super) fn new(observer: Arc<dyn Observer>, queue: Arc<SharedQueue>) -> Self {
        Self { fault: Mutex::default(), closed: Notify::new(), observer, queue }
    }

    /// The reason that the engine starts nothing; `None` when it does, as far as is known.
    pub(super) fn fault(&self) -> Option<Arc<str>> {
        self.lock().clone()
    }

    /// Closes the gate after a start that failed.
    pub(super) fn close(&self, reason: &str) {
        self.observer.engine_started(false);
        *self.lock() = Some(reason.into());
        self.closed.notify_one();
    }

    /// Opens the gate after a start that succeeded.
    pub(super) fn open(&self) {
        self.observer.engine_started(true);
        let was_closed = self.lock().take().is_some();
        if was_closed {
            tracing::info!("the engine starts sandboxes again");
            self.queue.nudge();
        }
    }

    /// Waits until the gate is closed, also by a failure that nobody has waited for.
    pub(super) async fn next_closing(&self) {
        self.closed.notified().await;
    }

    /// Waits for a start, and closes the gate when it takes too long.
    pub(super) async fn watch<T>(
        &self,
        starting: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, RunError> {
        tokio::pin!(starting);
        if let Ok(started) = tokio::time::timeout(SLOW, &mut starting).await {
            return started;
        }
        let seconds = SLOW.as_secs();
        self.close(&format!("a sandbox has not started within {seconds} s"));
        starting.await
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::observer::Unobserved;
    use crate::orchestrator::queue::{Capacity, Queue};

    fn gate() -> EngineGate {
        let capacity = Capacity { executions: 1, memory_bytes: 1, nano_cpus: 1, disk_bytes: 0 };
        let queue = Arc::new(SharedQueue::new(Queue::new(capacity, 1)));
        EngineGate::new(Arc::new(Unobserved), queue)
    }

    #[tokio::test]
    async fn it_is_closed_from_a_failure_to_a_success_which_nudges_the_queue() {
        let gate = gate();
        assert_eq!(gate.fault(), None);
        gate.close("first");
        gate.close("second");
        assert_eq!(gate.fault().as_deref(), Some("second"));
        gate.open();
        assert_eq!(gate.fault(), None);
        gate.queue.nudged().await;
    }

    #[tokio::test]
    async fn a_failure_is_not_missed_by_a_watch_that_comes_late() {
        let gate = gate();
        gate.close("first");
        gate.next_closing().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_takes_too_long_closes_it_before_it_ends() {
        let gate = gate();
        let start = async {
            tokio::time::sleep(SLOW * 2).await;
            Ok(())
        };
        let watch = gate.watch(start);
        tokio::pin!(watch);
        let early = tokio::time::timeout(SLOW + Duration::from_secs(1), &mut watch).await;
        assert!(early.is_err() && gate.fault().is_some());
        assert!(watch.await.is_ok());
    }
}

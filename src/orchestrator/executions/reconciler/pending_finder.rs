//! Queueing stored executions that wait and that this process does not know of: an
//! earlier process, or another one, has accepted them or given them back.

use std::sync::Arc;

use crate::orchestrator::executions::shared_queue::{SharedQueue, waiting};
use crate::store::{Store, StoreError};

/// Executions that are read at once.
const PAGE: u32 = 1_000;

/// Finds executions that wait.
pub(super) struct PendingFinder {
    store: Store,
    queue: Arc<SharedQueue>,
}

impl PendingFinder {
    pub(super) fn new(store: Store, queue: Arc<SharedQueue>) -> Self {
        Self { store, queue }
    }

    /// Queues those that are not queued yet.
    pub(super) async fn find(&self) {
        if let Err(error) = self.queue_all().await {
            tracing::warn!(?error, "pending executions could not be read");
        }
        self.queue.nudge();
    }

    async fn queue_all(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let found = self.store.pending(after, PAGE).await?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.id);
            let is_whole = found.len() < PAGE as usize;
            for pending in &found {
                self.queue.lock().restore(waiting(pending));
            }
            if is_whole {
                return Ok(());
            }
        }
    }
}

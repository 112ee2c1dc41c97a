//! Adopting running executions of this node that lack a task.

use std::sync::Arc;

use crate::orchestrator::executions::shared_queue::waiting;
use crate::orchestrator::executions::task::{AdoptedTask, TaskContext};
use crate::store::{ClaimedRow, Store, StoreError};

/// Adopts executions.
pub(super) struct Adopter {
    store: Store,
    node: String,
    context: Arc<TaskContext>,
}

impl Adopter {
    pub(super) fn new(store: Store, node: String, context: Arc<TaskContext>) -> Self {
        Self { store, node, context }
    }

    /// Takes over the running executions of this database's only node, whatever its
    /// name was, and adopts them.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is adopted then.
    pub(super) async fn take_over(&self) -> Result<Vec<ClaimedRow>, StoreError> {
        self.store.take_over(&self.node).await?;
        self.adopt_all().await
    }

    /// Adopts every running execution of this node that lacks a task. Answers with all
    /// of its running executions.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is adopted then.
    pub(super) async fn adopt_all(&self) -> Result<Vec<ClaimedRow>, StoreError> {
        let TaskContext { queue, live, shutdown, .. } = &*self.context;
        let all = self.store.claimed_by(&self.node).await?;
        for taken in &all {
            let id = taken.pending.id;
            // A task has its slot until after the end is stored.
            let is_adopted = queue.lock().adopt(&waiting(&taken.pending));
            if is_adopted {
                let slot = queue.slot(id);
                let task = AdoptedTask::new(Arc::clone(&self.context), taken.clone(), slot);
                shutdown.spawn(task.run());
            } else if taken.is_cancel_requested
                && let Some(live) = live.find(id)
            {
                // It was requested from another node, or an earlier process.
                live.cancel.cancel();
            }
        }
        Ok(all)
    }
}

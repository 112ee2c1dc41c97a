//! Waiting for an execution's end.

use std::time::Duration;

use uuid::Uuid;

use super::LOOK;
use super::subscription::Subscription;
use crate::domain::execution::Execution;
use crate::orchestrator::live::LiveExecution;
use crate::store::{Runnable, Store, StoreError};

/// Waits for the end of an execution.
pub struct Waiter {
    store: Store,
    subscription: Subscription,
    /// It came before anything could happen to the execution.
    is_first: bool,
}

impl Waiter {
    pub(super) fn new(store: Store, subscription: Subscription) -> Self {
        Self { store, subscription, is_first: false }
    }

    /// A waiter for an execution that is not stored yet.
    pub(super) fn first(store: Store, subscription: Subscription) -> Self {
        Self { is_first: true, ..Self::new(store, subscription) }
    }

    /// Leaves what is to be run to the execution's task.
    pub(in crate::orchestrator) fn bring(&self, runnable: Runnable) {
        if let Some(entry) = self.subscription.entry() {
            entry.bring(runnable);
        }
    }

    /// Waits until the execution has ended, or the time is over. Answers with the
    /// execution as it is stored, when it has ended here and is small; `None`: it
    /// is to be read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wait(mut self, at_most: Duration) -> Result<Option<Execution>, StoreError> {
        let over = tokio::time::sleep(at_most);
        tokio::pin!(over);
        // Nothing happens to an execution that is not stored yet: the first waiter has
        // missed nothing.
        let mut is_to_be_asked = !self.is_first;
        loop {
            if is_to_be_asked && self.has_ended(self.subscription.id).await? {
                return Ok(None);
            }
            is_to_be_asked = true;
            let closed = self.subscription.changes.wait_for(|stage| stage.is_closed);
            tokio::select! {
                // The store is asked also when the entry went away without a word.
                closed = closed => if closed.is_ok() { break },
                () = &mut over => return Ok(None),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(self.subscription.entry().and_then(LiveExecution::end).cloned())
    }

    async fn has_ended(&self, id: Uuid) -> Result<bool, StoreError> {
        let found = self.store.execution_summary(id).await?;
        Ok(found.is_none_or(|it| it.status.has_ended()))
    }
}

//! Waiting for an execution's end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::Executions;
use crate::domain::execution::Execution;
use crate::orchestrator::{LiveExecution, LiveRegistry, Stage};
use crate::store::{Runnable, StoreError};

/// How often the store is asked: signals are hints, and another process may run
/// the execution.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// Bytes of an execution that is handed over in memory instead of being read back:
/// so few that there is no need to have room for them first.
pub(super) const MAX_HANDED_OVER: usize = 64 * 1024;

/// An entry of the registry for as long as somebody is interested in it.
pub(super) struct Subscription {
    registry: LiveRegistry,
    id: Uuid,
    entry: Option<Arc<LiveExecution>>,
    pub(super) changes: watch::Receiver<Stage>,
}

impl Subscription {
    pub(super) fn new(registry: &LiveRegistry, id: Uuid) -> Self {
        let entry = registry.entry(id);
        let changes = entry.changes();
        Self { registry: registry.clone(), id, entry: Some(entry), changes }
    }

    pub(super) fn entry(&self) -> Option<&LiveExecution> {
        self.entry.as_deref()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.registry.leave(self.id, entry);
        }
    }
}

/// Somebody who waits for the end of an execution.
pub struct Waiter {
    executions: Executions,
    visit: Subscription,
    /// It came before anything could happen to the execution.
    is_first: bool,
}

impl Executions {
    /// Somebody who waits for the end of an execution, which may have ended.
    #[must_use]
    pub fn waiter(&self, id: Uuid) -> Waiter {
        let visit = Subscription::new(&self.inner.live, id);
        Waiter { executions: self.clone(), visit, is_first: false }
    }

    /// Somebody who waits for the end of an execution that is not stored yet.
    pub(super) fn first_waiter(&self, id: Uuid) -> Waiter {
        Waiter { is_first: true, ..self.waiter(id) }
    }

    async fn has_ended(&self, id: Uuid) -> Result<bool, StoreError> {
        let found = self.inner.store.execution_summary(id).await?;
        Ok(found.is_none_or(|it| it.status.has_ended()))
    }
}

impl Waiter {
    /// Leaves what is to be run to the worker.
    pub(super) fn bring(&self, runnable: Runnable) {
        if let Some(entry) = self.visit.entry() {
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
        // Nothing happens to an execution that is not stored yet: whoever came first
        // has missed nothing.
        let mut is_to_be_asked = !self.is_first;
        loop {
            if is_to_be_asked && self.executions.has_ended(self.visit.id).await? {
                return Ok(None);
            }
            is_to_be_asked = true;
            let closed = self.visit.changes.wait_for(|stage| stage.is_closed);
            tokio::select! {
                // Also when the entry went away without a word: the store knows.
                closed = closed => if closed.is_ok() { break },
                () = &mut over => return Ok(None),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(self.visit.entry().and_then(LiveExecution::end).cloned())
    }
}

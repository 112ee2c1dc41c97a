//! Waiting for an execution's end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::Executions;
use crate::domain::execution::State;
use crate::orchestrator::{Hub, LiveExecution, Stage};
use crate::store::StoreError;

/// How often the store is asked: signals are hints, and another process may run
/// the execution.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// An entry of the hub for as long as somebody is interested in it.
pub(super) struct Visit {
    hub: Hub,
    id: Uuid,
    entry: Option<Arc<LiveExecution>>,
    pub(super) changes: watch::Receiver<Stage>,
}

impl Visit {
    pub(super) fn new(hub: &Hub, id: Uuid) -> Self {
        let entry = hub.entry(id);
        let changes = entry.changes();
        Self { hub: hub.clone(), id, entry: Some(entry), changes }
    }

    pub(super) fn entry(&self) -> Option<&LiveExecution> {
        self.entry.as_deref()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.hub.leave(self.id, entry);
        }
    }
}

impl Executions {
    /// Waits for the end of an execution; `None` when there is none such, and the
    /// state that it is in when the time is over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wait(&self, id: Uuid, at_most: Duration) -> Result<Option<State>, StoreError> {
        let mut visit = Visit::new(&self.inner.hub, id);
        let over = tokio::time::sleep(at_most);
        tokio::pin!(over);
        loop {
            let Some(state) = self.state(id).await? else { return Ok(None) };
            if state.has_ended() {
                return Ok(Some(state));
            }
            let closed = visit.changes.wait_for(|stage| stage.is_closed);
            tokio::select! {
                // Also when the entry went away without a word: the store knows.
                closed = closed => if let Ok(stage) = closed {
                    return Ok(Some(stage.state));
                },
                () = &mut over => return Ok(Some(state)),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn state(&self, id: Uuid) -> Result<Option<State>, StoreError> {
        Ok(self.inner.store.execution_summary(id).await?.map(|it| it.status))
    }
}

//! An entry of the live registry for as long as somebody is interested in it.

use std::sync::Arc;

use tokio::sync::watch;
use uuid::Uuid;

use crate::orchestrator::live::{LiveExecution, LiveRegistry, Stage};

/// Keeps an execution's entry in the live registry.
pub(super) struct Subscription {
    registry: LiveRegistry,
    pub(super) id: Uuid,
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

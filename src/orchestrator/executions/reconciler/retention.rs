//! Deleting executions that ended long ago, with their artifacts.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::orchestrator::artifact_storage::ArtifactStorage;
use crate::sandbox::Cancel;
use crate::store::{Ended, Store};

/// Pause between two runs.
const PERIOD: Duration = Duration::from_secs(600);

/// Executions that are deleted in one transaction: others write in between.
const BATCH: u32 = 500;

/// Deletes old executions.
pub(super) struct Retention {
    store: Store,
    artifacts: Arc<ArtifactStorage>,
    /// Time that executions are kept after their end.
    kept: Duration,
    stopping: Cancel,
}

impl Retention {
    pub(super) fn new(
        store: Store,
        artifacts: Arc<ArtifactStorage>,
        kept: Duration,
        stopping: Cancel,
    ) -> Self {
        Self { store, artifacts, kept, stopping }
    }

    /// Deletes until the service stops.
    pub(super) async fn run(self) {
        loop {
            if let Err(error) = self.delete_old().await {
                tracing::warn!(error, "old executions are kept for now");
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = self.stopping.cancelled() => return,
            }
        }
    }

    /// Artifacts go first: without their execution nobody would find them. An
    /// execution whose artifacts can't be removed is kept until the next run.
    async fn delete_old(&self) -> Result<(), String> {
        let kept = chrono::TimeDelta::from_std(self.kept).map_err(|error| error.to_string())?;
        let before = clock::now() - kept;
        let store = &self.store;
        let mut last = None;
        while !self.stopping.is_cancelled() {
            let page = store.ended_before(before, last, BATCH).await;
            let page = page.map_err(|it| it.to_string())?;
            let Some(end) = page.last() else { break };
            last = Some(*end);
            let mut bare = Vec::with_capacity(page.len());
            for Ended { id, .. } in page {
                match self.artifacts.forget(id).await {
                    Ok(()) => bare.push(id),
                    Err(error) => tracing::warn!(
                        execution = %id, %error,
                        "the execution is kept: its artifacts can't be removed"
                    ),
                }
            }
            store.forget(&bare).await.map_err(|it| it.to_string())?;
            tracing::info!(executions = bare.len(), "old executions are deleted");
        }
        // Receipts of executions that are deleted now; looking for them takes a while.
        if last.is_some() {
            store.forget_receipts(clock::now()).await.map_err(|it| it.to_string())?;
        }
        Ok(())
    }
}

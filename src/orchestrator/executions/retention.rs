//! Forgetting executions that ended long ago, with their artifacts.

use std::time::Duration;

use super::Executions;
use crate::clock;
use crate::store::Ended;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(600);

/// Executions that are forgotten in one transaction: others write in between.
const BATCH: u32 = 500;

impl Executions {
    /// Forgets until this process is to end.
    pub(super) async fn forget_old(self) {
        let Some(kept) = self.inner.settings.retention else { return };
        loop {
            if let Err(error) = self.forget_ended(kept).await {
                tracing::warn!(error, "old executions are kept for now");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.inner.stopping.cancelled() => return,
            }
        }
    }

    /// Artifacts go first: without their execution nobody would find them. An
    /// execution whose artifacts can't be removed is kept, and met again by the
    /// next look.
    async fn forget_ended(&self, kept: Duration) -> Result<(), String> {
        let kept = chrono::TimeDelta::from_std(kept).map_err(|error| error.to_string())?;
        let before = clock::now() - kept;
        let store = &self.inner.store;
        let mut last = None;
        while !self.inner.stopping.is_cancelled() {
            let page = store.ended_before(before, last, BATCH).await;
            let page = page.map_err(|it| it.to_string())?;
            let Some(end) = page.last() else { break };
            last = Some(*end);
            let mut bare = Vec::with_capacity(page.len());
            for Ended { id, .. } in page {
                match self.inner.artifacts.forget(id).await {
                    Ok(()) => bare.push(id),
                    Err(error) => tracing::warn!(
                        execution = %id, %error,
                        "the execution is kept: its artifacts can't be removed"
                    ),
                }
            }
            store.forget(&bare).await.map_err(|it| it.to_string())?;
            tracing::info!(executions = bare.len(), "old executions are forgotten");
        }
        // What an execution had that is forgotten now; to look for it takes a while.
        if last.is_some() {
            store.forget_receipts(clock::now()).await.map_err(|it| it.to_string())?;
        }
        Ok(())
    }
}

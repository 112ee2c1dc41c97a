//! Ending an execution before its time, whatever state it is in.

use std::time::Duration;

use uuid::Uuid;

use super::Executions;
use crate::clock;
use crate::domain::execution::{Report, State};
use crate::store::StoreError;

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not begun, and never will.
    Done,
    /// It runs, and its end is on the way.
    Asked,
    /// It had ended before.
    Ended(State),
    /// There is no such execution.
    Unknown,
}

/// Looks at an execution that changes between pending and running meanwhile.
const LOOKS: u32 = 3;

impl Executions {
    /// Cancels an execution.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cancel(&self, id: Uuid) -> Result<Cancelled, StoreError> {
        let outcome = Self::cancelled_outcome();
        for _ in 0..LOOKS {
            if self.inner.store.end_pending(id, &outcome, clock::now()).await? {
                self.queue().cancel(id);
                if let Some(live) = self.inner.live.find(id) {
                    // Somebody may be about to begin it.
                    live.cancel.cancel();
                }
                let name = self.inner.store.execution_summary(id).await.ok().flatten();
                let name = name.map(|it| it.script_name).unwrap_or_default();
                let report = Report::unstarted(outcome, clock::now());
                self.ended(&name, id, &report, Duration::ZERO);
                return Ok(Cancelled::Done);
            }
            let Some(summary) = self.inner.store.execution_summary(id).await? else {
                return Ok(Cancelled::Unknown);
            };
            match summary.status {
                State::Ended(_) => return Ok(Cancelled::Ended(summary.status)),
                State::Running => {
                    // For whoever goes on with it if this process does not live.
                    self.inner.store.request_cancel(id).await?;
                    tracing::info!(execution = %id, "asked to end");
                    let Some(live) = self.inner.live.find(id) else {
                        // Another node has it, or nobody yet since a restart: whoever
                        // does reads that it was asked.
                        return Ok(Cancelled::Asked);
                    };
                    live.cancel.cancel();
                    return self.asked(id).await;
                }
                State::Pending => {}
            }
        }
        Ok(Cancelled::Asked)
    }

    /// Whether there is still somebody to have heard it: an entry that was made
    /// for one that has ended meanwhile would stay for ever.
    async fn asked(&self, id: Uuid) -> Result<Cancelled, StoreError> {
        match self.inner.store.execution_summary(id).await?.map(|it| it.status) {
            Some(state) if state.has_ended() => {
                self.inner.live.close(id, state);
                Ok(Cancelled::Ended(state))
            }
            _ => Ok(Cancelled::Asked),
        }
    }
}

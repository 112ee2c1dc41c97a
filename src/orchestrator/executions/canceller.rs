//! Ending an execution before its time, whatever state it is in.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::shared_queue::SharedQueue;
use super::transitions::{Transitions, cancelled_outcome};
use crate::clock;
use crate::domain::execution::{Report, State};
use crate::orchestrator::live::LiveRegistry;
use crate::store::{Store, StoreError};

/// Result of a request to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not started, and never will.
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

/// Cancels executions.
pub(super) struct Canceller {
    store: Store,
    queue: Arc<SharedQueue>,
    live: LiveRegistry,
    transitions: Transitions,
}

impl Canceller {
    pub(super) fn new(
        store: Store,
        queue: Arc<SharedQueue>,
        live: LiveRegistry,
        transitions: Transitions,
    ) -> Self {
        Self { store, queue, live, transitions }
    }

    /// Cancels an execution.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn cancel(&self, id: Uuid) -> Result<Cancelled, StoreError> {
        for _ in 0..LOOKS {
            if self.cancel_pending(id).await? {
                return Ok(Cancelled::Done);
            }
            let Some(summary) = self.store.execution_summary(id).await? else {
                return Ok(Cancelled::Unknown);
            };
            match summary.status {
                State::Ended(_) => return Ok(Cancelled::Ended(summary.status)),
                State::Running => return self.cancel_running(id).await,
                State::Pending => {}
            }
        }
        Ok(Cancelled::Asked)
    }

    /// False if it does not wait.
    async fn cancel_pending(&self, id: Uuid) -> Result<bool, StoreError> {
        let outcome = cancelled_outcome();
        if !self.store.end_pending(id, &outcome, clock::now()).await? {
            return Ok(false);
        }
        self.queue.lock().cancel(id);
        if let Some(live) = self.live.find(id) {
            // Its task may be about to start it.
            live.cancel.cancel();
        }
        let name = self.store.execution_summary(id).await.ok().flatten();
        let name = name.map(|it| it.script_name).unwrap_or_default();
        let report = Report::unstarted(outcome, clock::now());
        self.transitions.announce(&name, id, &report, Duration::ZERO);
        Ok(true)
    }

    async fn cancel_running(&self, id: Uuid) -> Result<Cancelled, StoreError> {
        // For the next process, if this one ends first.
        self.store.request_cancel(id).await?;
        tracing::info!(execution = %id, "the execution is asked to end");
        let Some(live) = self.live.find(id) else {
            // Another node runs it, or nobody yet since a restart: its task will read
            // the request.
            return Ok(Cancelled::Asked);
        };
        live.cancel.cancel();
        // An entry that was made for one that has ended meanwhile would stay for ever.
        match self.store.execution_summary(id).await?.map(|it| it.status) {
            Some(state) if state.has_ended() => {
                self.live.close(id, state);
                Ok(Cancelled::Ended(state))
            }
            _ => Ok(Cancelled::Asked),
        }
    }
}

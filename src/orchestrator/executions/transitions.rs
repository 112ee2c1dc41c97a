//! The states of executions in the store. Each change is written however long the
//! store is unavailable, unless this process leaves first, and an end is announced to
//! everybody once it is stored.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::claimed::ClaimedExecution;
use super::shutdown::Shutdown;
use crate::clock;
use crate::domain::execution::{Execution, ExecutionSummary, Report, SandboxReceipt, State};
use crate::domain::outcome::{Ending, ErrorKind, Outcome, classify};
use crate::orchestrator::live::{LiveExecution, LiveRegistry, MAX_HANDED_OVER};
use crate::orchestrator::observer::Observer;
use crate::store::{Claim, Runnable, Store, StoreError};

/// Writes the states of this node's executions.
#[derive(Clone)]
pub(super) struct Transitions {
    store: Store,
    node: String,
    live: LiveRegistry,
    observer: Arc<dyn Observer>,
    shutdown: Shutdown,
}

impl Transitions {
    pub(super) fn new(
        store: Store,
        node: String,
        live: LiveRegistry,
        observer: Arc<dyn Observer>,
        shutdown: Shutdown,
    ) -> Self {
        Self { store, node, live, observer, shutdown }
    }

    /// The name of this node.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Reads an execution that waits; `None` when it does not wait any more, can't be
    /// read, which ends it, or this process leaves.
    pub(super) async fn read_pending(&self, id: Uuid) -> Option<Box<Runnable>> {
        let read = || self.store.runnable(id);
        match self.shutdown.retry_while_unavailable("the execution is read", read).await? {
            Ok(runnable) => runnable.map(Box::new),
            Err(error) => {
                tracing::error!(?error, "the execution can't be read");
                let outcome = Outcome::failed(ErrorKind::SandboxFailed, error.to_string());
                self.end_pending(id, "", outcome).await;
                None
            }
        }
    }

    /// Reads an execution that this node has claimed. `Ok(None)` when it is not claimed
    /// any more; `None` when this process leaves.
    pub(super) async fn read_claimed(
        &self,
        id: Uuid,
        attempt: u32,
    ) -> Option<Result<Option<Box<Runnable>>, StoreError>> {
        let read = || self.store.running(id, &self.node, attempt);
        let read = self.shutdown.retry_while_unavailable("the execution is adopted", read).await;
        read.map(|it| it.map(|runnable| runnable.map(Box::new)))
    }

    /// From pending to running. The number of the attempt, or `Ok(None)` when the
    /// execution does not wait any more; `None` when this process leaves.
    pub(super) async fn claim(
        &self,
        id: Uuid,
        receipt: &SandboxReceipt,
        at: DateTime<Utc>,
        deadline: DateTime<Utc>,
    ) -> Option<Result<Option<u32>, StoreError>> {
        let claim = Claim {
            id,
            node: &self.node,
            container: &receipt.container_id,
            image: &receipt.image,
            warm: receipt.warm,
            at,
            deadline,
        };
        let claiming = || self.store.claim(&claim);
        self.shutdown.retry_while_unavailable("the execution is claimed", claiming).await
    }

    /// From running back to pending: the script has not started. False when this
    /// process leaves first: then the next one finds the execution as it was.
    pub(super) async fn give_back(&self, id: Uuid, attempt: u32, live: &LiveExecution) -> bool {
        let give = || self.store.give_back(id, &self.node, attempt, clock::now());
        match self.shutdown.retry_while_unavailable("the execution is given back", give).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => tracing::error!(?error, "the execution can't be given back"),
            None => return false,
        }
        live.set_state(State::Pending);
        true
    }

    /// From running to an end. False when this process leaves first: then the next one
    /// finds the execution as it was.
    pub(super) async fn store_end(&self, claimed: &ClaimedExecution, report: &Report) -> bool {
        let finish = || self.write_end(claimed, report);
        match self.shutdown.retry_while_unavailable("the execution's end is stored", finish).await {
            Some(Ok(stored)) => {
                match stored {
                    Some(summary) => hand_over(claimed, summary, report),
                    // By an attempt to store it whose answer was lost.
                    None => tracing::warn!("the execution's end had been stored before"),
                }
                self.announce_claimed(claimed, report);
                true
            }
            Some(Err(error)) => {
                tracing::error!(?error, "the execution's end can't be stored");
                self.store_bare_end(claimed, report).await;
                true
            }
            None => {
                tracing::warn!("the execution's end is left to the next process");
                false
            }
        }
    }

    /// Stores the end without anything that the database may have refused.
    async fn store_bare_end(&self, claimed: &ClaimedExecution, report: &Report) {
        let message = "what the execution left can't be stored";
        let outcome = Outcome::failed(ErrorKind::SandboxFailed, message);
        let bare = Report::unstarted(outcome, report.completed_at);
        let finish = || self.write_end(claimed, &bare);
        let goal = "the execution's bare end is stored";
        match self.shutdown.retry_while_unavailable(goal, finish).await {
            Some(Ok(_)) => self.announce_claimed(claimed, &bare),
            other => tracing::error!(?other, "failed to store the execution's terminal state"),
        }
    }

    async fn write_end(
        &self,
        claimed: &ClaimedExecution,
        report: &Report,
    ) -> Result<Option<ExecutionSummary>, StoreError> {
        let ClaimedExecution { runnable, attempt, queued, .. } = claimed;
        self.store.finish(runnable.id, &self.node, *attempt, *queued, report).await
    }

    /// From running to an end, for an execution whose request can't be read any more.
    pub(super) async fn end_unreadable(&self, id: Uuid, attempt: u32, outcome: Outcome) {
        let report = Report::unstarted(outcome, clock::now());
        let queued = Duration::ZERO;
        let finish = || self.store.finish(id, &self.node, attempt, queued, &report);
        let goal = "the lost execution's end is stored";
        match self.shutdown.retry_while_unavailable(goal, finish).await {
            Some(Ok(Some(ended))) => self.announce(&ended.script_name, id, &report, queued),
            Some(Ok(None)) | None => {}
            Some(Err(error)) => {
                tracing::error!(?error, execution = %id, "the execution's end can't be stored");
            }
        }
    }

    /// From pending to an end, if the execution still waits.
    pub(super) async fn end_pending(&self, id: Uuid, script: &str, outcome: Outcome) {
        let now = clock::now();
        let end = || self.store.end_pending(id, &outcome, now);
        let goal = "the end of the execution, which never started, is stored";
        match self.shutdown.retry_while_unavailable(goal, end).await {
            Some(Ok(true)) => {
                let report = Report::unstarted(outcome, now);
                self.announce(script, id, &report, Duration::ZERO);
            }
            Some(Ok(false)) | None => {}
            Some(Err(error)) => tracing::error!(?error, "the execution can't be ended"),
        }
    }

    fn announce_claimed(&self, claimed: &ClaimedExecution, report: &Report) {
        let Runnable { script_name, id, .. } = &*claimed.runnable;
        self.announce(script_name, *id, report, claimed.queued);
    }

    /// Announces an end that is stored.
    pub(super) fn announce(&self, script: &str, id: Uuid, report: &Report, queued: Duration) {
        let state = State::Ended(report.outcome.status);
        let kind = report.outcome.error_kind.map(ErrorKind::name);
        let duration_ms = report.duration.map(|it| it.as_millis());
        tracing::info!(execution = %id, status = %state, kind, duration_ms, "execution ended");
        self.observer.execution_ended(script, report, queued);
        self.live.close(id, state);
    }
}

/// The outcome of an execution that was cancelled before its script started.
pub(super) fn cancelled_outcome() -> Outcome {
    classify(&Ending::RemovedOnCancel)
}

/// Leaves what was stored to those who wait for it, so that they need not read it
/// back. What is large is read: then there is room for it first.
fn hand_over(claimed: &ClaimedExecution, summary: ExecutionSummary, report: &Report) {
    let input = claimed.runnable.input.as_str();
    let output = report.output.as_ref().map_or(0, |it| it.get().len());
    let bytes = input.len() + output + report.log.stdout().len() + report.log.stderr().len();
    // Names of artifacts may be stored in other words.
    let is_without_files =
        report.artifacts.is_empty() && claimed.runnable.snapshot.files.inputs.is_empty();
    let is_handed_over = bytes <= MAX_HANDED_OVER && is_without_files;
    if is_handed_over && claimed.live.is_followed() {
        claimed.live.keep_end(Execution::ended(summary, input, report));
    }
}

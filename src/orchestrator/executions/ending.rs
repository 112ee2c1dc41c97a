//! Writing an execution's end, however long the store is away, and telling
//! everybody.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Executions;
use super::wait::MAX_HANDED_OVER;
use crate::clock;
use crate::domain::execution::{Execution, ExecutionSummary, Report, State};
use crate::domain::outcome::{Ending, ErrorKind, Outcome, classify};
use crate::orchestrator::LiveExecution;
use crate::store::{Runnable, StoreError};

/// An execution that this node has taken.
pub(super) struct ClaimedExecution<'a> {
    pub(super) runnable: &'a Runnable,
    pub(super) attempt: u32,
    /// From its acceptance to its turn.
    pub(super) queued: Duration,
    pub(super) live: &'a Arc<LiveExecution>,
}

impl Executions {
    /// Writes the end of an execution that this node has taken. False when this
    /// process is to end first: then the next one finds it as it was.
    pub(super) async fn finish(&self, taken: &ClaimedExecution<'_>, report: &Report) -> bool {
        let finish = || self.write_end(taken, report);
        match self.retry_while_unavailable("an execution's end is stored", finish).await {
            Some(Ok(stored)) => {
                match stored {
                    Some(summary) => hand_over(taken, summary, report),
                    // It may have been written by an attempt whose answer was lost.
                    None => tracing::warn!("the end was stored before"),
                }
                let Runnable { script_name, id, .. } = taken.runnable;
                self.ended(script_name, *id, report, taken.queued);
                true
            }
            Some(Err(error)) => {
                tracing::error!(?error, "the execution's end can't be stored");
                self.finish_bare(taken, report).await;
                true
            }
            None => {
                tracing::warn!("the execution's end is left to be stored by the next process");
                false
            }
        }
    }

    /// The end without anything that the database may have refused.
    async fn finish_bare(&self, taken: &ClaimedExecution<'_>, report: &Report) {
        let message = "what the execution left can't be stored";
        let outcome = Outcome::failed(ErrorKind::SandboxFailed, message);
        let bare = Report::unstarted(outcome, report.completed_at);
        let finish = || self.write_end(taken, &bare);
        match self.retry_while_unavailable("an execution's bare end is stored", finish).await {
            Some(Ok(_)) => {
                let Runnable { script_name, id, .. } = taken.runnable;
                self.ended(script_name, *id, &bare, taken.queued);
            }
            other => tracing::error!(?other, "not even that it ended"),
        }
    }

    async fn write_end(
        &self,
        taken: &ClaimedExecution<'_>,
        report: &Report,
    ) -> Result<Option<ExecutionSummary>, StoreError> {
        let ClaimedExecution { runnable, attempt, queued, .. } = *taken;
        let node = self.inner.settings.node.as_str();
        self.inner.store.finish(runnable.id, node, attempt, queued, report).await
    }

    /// Ends an execution that was not taken, if it still waits.
    pub(super) async fn end_unstarted(&self, id: Uuid, script: &str, outcome: Outcome) {
        let now = clock::now();
        let end = || self.inner.store.end_pending(id, &outcome, now);
        match self.retry_while_unavailable("an execution that never began is ended", end).await {
            Some(Ok(true)) => {
                let report = Report::unstarted(outcome, now);
                self.ended(script, id, &report, Duration::ZERO);
            }
            Some(Ok(false)) | None => {}
            Some(Err(error)) => tracing::error!(?error, "the execution can't be ended"),
        }
    }

    /// Says that the end of an execution is stored.
    pub(super) fn ended(&self, script: &str, id: Uuid, report: &Report, queued: Duration) {
        let state = State::Ended(report.outcome.status);
        let kind = report.outcome.error_kind.map(ErrorKind::name);
        let duration_ms = report.duration.map(|it| it.as_millis());
        tracing::info!(execution = %id, status = %state, kind, duration_ms, "ended");
        self.inner.observer.execution_ended(script, report, queued);
        self.inner.live.close(id, state);
    }

    /// The outcome of an execution that was cancelled before it began.
    pub(super) fn cancelled_outcome() -> Outcome {
        classify(&Ending::Withdrawn)
    }
}

/// Leaves what was stored to those who wait for it, so that they need not read it
/// back. What is large is read: then there is room for it first.
fn hand_over(taken: &ClaimedExecution<'_>, summary: ExecutionSummary, report: &Report) {
    let input = taken.runnable.input.as_str();
    let output = report.output.as_ref().map_or(0, |it| it.get().len());
    let bytes = input.len() + output + report.log.stdout().len() + report.log.stderr().len();
    // Names of artifacts may be stored in other words.
    let is_handed_over = bytes <= MAX_HANDED_OVER && report.artifacts.is_empty();
    if is_handed_over && taken.live.is_followed() {
        taken.live.keep_end(Execution::ended(summary, input, report));
    }
}

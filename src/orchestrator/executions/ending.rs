//! Writing an execution's end, however long the store is away, and telling
//! everybody.

use std::time::Duration;

use uuid::Uuid;

use super::Executions;
use crate::clock;
use crate::domain::execution::{Report, State};
use crate::domain::outcome::{Ending, ErrorKind, Outcome, classify};
use crate::store::Runnable;

impl Executions {
    /// Writes the end of an execution that this node has taken.
    pub(super) async fn finish(
        &self,
        runnable: &Runnable,
        attempt: u32,
        queued: Duration,
        report: &Report,
    ) {
        let node = self.inner.settings.node.as_str();
        let id = runnable.id;
        let finish = || self.inner.store.finish(id, node, attempt, queued, report);
        match self.insist("an execution's end is stored", finish).await {
            Some(Ok(is_written)) => {
                if !is_written {
                    // It may have been written by an attempt whose answer was lost.
                    tracing::warn!("the end was stored before");
                }
                self.ended(&runnable.script_name, id, report, queued);
            }
            Some(Err(error)) => {
                tracing::error!(?error, "the execution's end can't be stored");
                self.finish_bare(runnable, attempt, queued, report).await;
            }
            None => tracing::error!("the execution's end was not stored before the server's"),
        }
    }

    /// The end without anything that the database may have refused.
    async fn finish_bare(
        &self,
        runnable: &Runnable,
        attempt: u32,
        queued: Duration,
        report: &Report,
    ) {
        let message = "what the execution left can't be stored";
        let outcome = Outcome::failed(ErrorKind::SandboxFailed, message);
        let bare = Report::unstarted(outcome, report.completed_at);
        let node = self.inner.settings.node.as_str();
        let id = runnable.id;
        let finish = || self.inner.store.finish(id, node, attempt, queued, &bare);
        match self.insist("an execution's bare end is stored", finish).await {
            Some(Ok(_)) => self.ended(&runnable.script_name, id, &bare, queued),
            other => tracing::error!(?other, "not even that it ended"),
        }
    }

    /// Ends an execution that was not taken, if it still waits.
    pub(super) async fn end_unstarted(&self, id: Uuid, script: &str, outcome: Outcome) {
        let now = clock::now();
        let end = || self.inner.store.end_pending(id, &outcome, now);
        match self.insist("an execution that never began is ended", end).await {
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
        self.inner.hub.close(id, state);
    }

    /// The outcome of an execution that was cancelled before it began.
    pub(super) fn withdrawn() -> Outcome {
        classify(&Ending::Withdrawn)
    }
}

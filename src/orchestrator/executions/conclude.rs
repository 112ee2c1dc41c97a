//! From what was seen of a run to its stored end, or to another attempt. Whoever ran
//! it, this process from the first instruction or another one before, it ends here.

use std::sync::Arc;

use uuid::Uuid;

use super::Executions;
use super::begin::Started;
use super::ending::ClaimedExecution;
use super::work::AttemptOutcome;
use crate::clock;
use crate::domain::execution::{Report, State};
use crate::domain::outcome::{ErrorKind, Status};
use crate::orchestrator::runner::Executed;
use crate::orchestrator::{Capture, LiveExecution, RunError};
use crate::sandbox::{Cancel, RunSignals};
use crate::store::Runnable;

impl Executions {
    /// Has a claimed execution run, and stores its end.
    pub(super) async fn run_claimed(
        &self,
        runnable: &Runnable,
        begun: Started,
        live: &Arc<LiveExecution>,
        end: &Cancel,
    ) -> AttemptOutcome {
        let Started { prepared, attempt, queued } = begun;
        live.set_state(State::Running);
        let id = runnable.id;
        tracing::info!(script = runnable.script_name, attempt, "running");
        let capture = Capture::new(Arc::clone(live), self.inner.artifacts.stage(id, attempt));
        let signals = RunSignals { cancel: end, detach: &self.inner.giving_up };
        let executed = self.inner.runner.execute(prepared, capture, signals).await;
        let taken = ClaimedExecution { runnable, attempt, queued, live };
        self.conclude(&taken, executed).await
    }

    /// Stores the end of an execution that this node has taken, or gives it back when
    /// its script never started. Of one that is left nothing is stored. Its container
    /// is there until then, and stays when the store is away until this process ends:
    /// all of it can be read once more.
    pub(super) async fn conclude(
        &self,
        taken: &ClaimedExecution<'_>,
        executed: Option<Executed>,
    ) -> AttemptOutcome {
        let ClaimedExecution { runnable, attempt, live, .. } = *taken;
        let kept = match executed {
            Some(executed) => self.keep(taken, executed).await,
            None => None,
        };
        let Some((Executed { mut report, error, container }, kept)) = kept else {
            tracing::info!(attempt, "its script runs on, and the next process goes on with it");
            return AttemptOutcome::Over;
        };
        if let Some(sandbox) = &mut report.sandbox {
            sandbox.node = Some(self.inner.settings.node.clone());
        }
        if let Some(error) = &error {
            tracing::warn!(?error, "the execution did not run as it should");
            report.outcome.error_message =
                report.outcome.error_message.map(|_| error.public_message());
        }
        if live.cancel.is_cancelled() && report.started_at.is_none() {
            report.outcome = Self::cancelled_outcome();
        }
        if self.is_to_be_tried_again(&report, error.as_ref(), live) {
            if !self.give_back(runnable.id, attempt, live).await {
                container.detach();
                return AttemptOutcome::Over;
            }
            return AttemptOutcome::Again(runnable.script_name.clone(), report.outcome);
        }
        self.check_output(runnable, &mut report).await;
        kept.unwrap_or_else(|lost| lost.note(&mut report.outcome));
        if !self.finish(taken, &report).await {
            container.detach();
            return AttemptOutcome::Over;
        }
        // Until here the next process could have read all of it once more.
        drop(container);
        AttemptOutcome::Over
    }

    /// What has not come to its script's first instruction is worth another attempt
    /// when the engine was at fault, and is left to the next process when this one is
    /// to end.
    fn is_to_be_tried_again(
        &self,
        report: &Report,
        error: Option<&RunError>,
        live: &LiveExecution,
    ) -> bool {
        if report.started_at.is_some() || live.cancel.is_cancelled() {
            return false;
        }
        let is_warm = report.sandbox.as_ref().is_some_and(|it| it.warm);
        // One that has died in the pool, or before it had anything to do.
        let was_unused = error
            .is_some_and(|error| error.is_not_ready() || (is_warm && error.is_unused_sandbox()));
        let is_outage = report.outcome.error_kind == Some(ErrorKind::EngineUnavailable);
        let is_given_up = self.inner.giving_up.is_cancelled();
        let was_cut = is_given_up && report.outcome.status == Status::Cancelled;
        was_unused || is_outage || was_cut
    }

    /// Lets an execution wait again whose script has not started. False when this
    /// process is to end first: then the next one finds it as it was.
    pub(super) async fn give_back(&self, id: Uuid, attempt: u32, live: &LiveExecution) -> bool {
        self.inner.artifacts.unstage(id, attempt).await;
        let node = self.inner.settings.node.as_str();
        let give = || self.inner.store.give_back(id, node, attempt, clock::now());
        match self.retry_while_unavailable("an execution is given back", give).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => tracing::error!(?error, "the execution can't be given back"),
            None => return false,
        }
        live.set_state(State::Pending);
        true
    }
}

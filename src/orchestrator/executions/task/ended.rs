//! The states after a script has run, whoever started it: what it left is kept, and
//! then its end is stored or the execution is given back.

use super::artifact_retry::keep_artifacts;
use super::output::check_output;
use super::outputs;
use super::settlement::{Settlement, settlement};
use super::{AttemptOutcome, TaskContext};
use crate::domain::outcome::{ErrorKind, Outcome, Status};
use crate::orchestrator::artifact_storage::ArtifactError;
use crate::orchestrator::executions::claimed::ClaimedExecution;
use crate::orchestrator::executions::transitions::cancelled_outcome;
use crate::orchestrator::runner::Executed;

/// A claimed execution whose script has ended, or never started. Its container is there
/// until the end is stored: all of it can be read once more.
pub(super) struct EndedRun {
    claimed: ClaimedExecution,
    executed: Executed,
}

/// An ended execution whose artifacts are kept, or can't be.
struct KeptRun {
    claimed: ClaimedExecution,
    executed: Executed,
    kept: Result<(), ArtifactError>,
}

impl EndedRun {
    /// `None` without an end: this process leaves, and the script runs on.
    pub(super) fn of(claimed: ClaimedExecution, executed: Option<Executed>) -> Option<Self> {
        match executed {
            Some(executed) => Some(Self { claimed, executed }),
            None => {
                left_to_next_process(&claimed);
                None
            }
        }
    }

    /// Keeps what the script left, and stores the end or gives the execution back.
    pub(super) async fn finish(self, context: &TaskContext) -> AttemptOutcome {
        match self.keep(context).await {
            Some(kept) => kept.settle(context).await,
            None => AttemptOutcome::Over,
        }
    }

    async fn keep(self, context: &TaskContext) -> Option<KeptRun> {
        let Self { claimed, executed } = self;
        match keep_artifacts(context, &claimed, executed).await {
            Some((executed, kept)) => Some(KeptRun { claimed, executed, kept }),
            None => {
                left_to_next_process(&claimed);
                None
            }
        }
    }
}

impl KeptRun {
    async fn settle(self, context: &TaskContext) -> AttemptOutcome {
        let Self { claimed, executed, kept } = self;
        let Executed { mut report, error, container, .. } = executed;
        let is_cancelled = claimed.live.cancel.is_cancelled();
        if let Some(sandbox) = &mut report.sandbox {
            sandbox.node = Some(context.transitions.node().to_owned());
        }
        if let Some(error) = &error {
            tracing::warn!(?error, "the execution did not run as it should");
            let message = report.outcome.error_message;
            report.outcome.error_message = message.map(|_| error.public_message());
        }
        note_disk_stop(&claimed, &mut report.outcome);
        if is_cancelled && report.started_at.is_none() {
            report.outcome = cancelled_outcome();
        }
        let is_leaving = context.shutdown.leaving.is_cancelled();
        let is_settled = match settlement(&report, error.as_ref(), is_cancelled, is_leaving) {
            Settlement::GiveBack => {
                let (id, attempt) = (claimed.runnable.id, claimed.attempt);
                context.artifacts.unstage(id, attempt).await;
                if context.transitions.give_back(id, attempt, &claimed.live).await {
                    let script = claimed.runnable.script_name;
                    return AttemptOutcome::Again { script, outcome: report.outcome };
                }
                false
            }
            Settlement::StoreEnd => {
                check_output(&context.schemas, &claimed.runnable, &mut report).await;
                kept.unwrap_or_else(|lost| lost.note(&mut report.outcome));
                let runnable = &claimed.runnable;
                outputs::declare(&runnable.definition.outputs, &mut report);
                let keep = runnable.snapshot.files.keep;
                report.kept_until = keep.and_then(|it| it.until(report.completed_at));
                context.transitions.store_end(&claimed, &report).await
            }
        };
        // The next process reads all of it once more; otherwise the container goes now.
        if !is_settled {
            container.detach();
        }
        AttemptOutcome::Over
    }
}

/// An execution that was stopped for room on the disk was not cancelled by anybody.
fn note_disk_stop(claimed: &ClaimedExecution, outcome: &mut Outcome) {
    if let Some(reason) = claimed.live.disk_stop()
        && outcome.status == Status::Cancelled
    {
        let (exit_code, signal) = (outcome.exit_code, outcome.signal);
        *outcome = Outcome { exit_code, signal, ..Outcome::failed(ErrorKind::OutOfDisk, reason) };
    }
}

fn left_to_next_process(claimed: &ClaimedExecution) {
    let attempt = claimed.attempt;
    tracing::info!(attempt, "the script runs on, and the next process adopts its execution");
}

//! Keeping a script's artifacts on a disk that may be full. As long as its container
//! stays, the engine has all of them, so they are read once more when there is room: no
//! execution fails because a disk was full for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::TaskContext;
use crate::clock;
use crate::orchestrator::artifact_storage::{ArtifactError, Cause};
use crate::orchestrator::capture::Capture;
use crate::orchestrator::executions::claimed::ClaimedExecution;
use crate::orchestrator::runner::{Adopted, Executed};
use crate::sandbox::RunSignals;

/// Bound of the wait for room. A disk that is full for longer needs an operator, and
/// what is too large for it never fits.
const ROOM_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Pause before the artifacts are read once more.
const PAUSE: Duration = Duration::from_secs(2);

/// Keeps the artifacts of an execution, and waits for room where there is none.
/// `None` when it is left to the next process.
pub(super) async fn keep_artifacts(
    context: &TaskContext,
    claimed: &ClaimedExecution,
    mut executed: Executed,
) -> Option<(Executed, Result<(), ArtifactError>)> {
    let begun = Instant::now();
    loop {
        let is_waited_for = begun.elapsed() < ROOM_WITHIN;
        let is_cut = executed.found_no_room();
        if !is_cut || !is_waited_for {
            let (id, attempt) = (claimed.runnable.id, claimed.attempt);
            let artifacts = &mut executed.report.artifacts;
            let kept = match executed.left.is_empty() {
                true => context.artifacts.keep(id, attempt, artifacts).await,
                false => context.artifacts.keep_left(id, &executed.left, artifacts).await,
            };
            let cause = kept.as_ref().err().map(|lost| lost.cause);
            if cause == Some(Cause::Outage) {
                // The end could not be stored either.
                tracing::warn!(
                    "the database is unavailable; retrying until the files of the execution are kept"
                );
                if !pauses(context).await {
                    executed.container.detach();
                    return None;
                }
                continue;
            }
            if cause != Some(Cause::Room) || !is_waited_for {
                return Some((executed, kept));
            }
        }
        tracing::warn!("there is no room for what the script left: it is read again");
        if !pauses(context).await {
            executed.container.detach();
            return None;
        }
        executed = read_again(context, claimed, executed).await?;
    }
}

/// Pauses. False when this process leaves first.
async fn pauses(context: &TaskContext) -> bool {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => true,
        () = context.shutdown.leaving.cancelled() => false,
    }
}

/// Reads all that an execution has left once more, from the first byte.
async fn read_again(
    context: &TaskContext,
    claimed: &ClaimedExecution,
    executed: Executed,
) -> Option<Executed> {
    let ClaimedExecution { runnable, attempt, live, .. } = claimed;
    let Executed { report, left, error, container } = executed;
    // Without a sandbox there is nothing to be read.
    let Some(receipt) = report.sandbox.clone() else {
        return Some(Executed { report, left, error, container });
    };
    container.detach();
    context.artifacts.unstage(runnable.id, *attempt).await;
    let staged = context.artifacts.stage(runnable.id, *attempt);
    let now = clock::now();
    let begun_at = report.started_at.unwrap_or(now);
    let capture = Capture::new(Arc::clone(live), staged).begun_at(begun_at);
    let since = now - TimeDelta::from_std(report.took).unwrap_or_default();
    // Only a script that has ended leaves artifacts.
    let adopted = Adopted {
        receipt,
        output_limits: claimed.output_limits(),
        time_left: Duration::ZERO,
        since,
    };
    let signals = RunSignals { cancel: &live.cancel, detach: &context.shutdown.leaving };
    context.runner.resume(adopted, capture, signals).await
}

//! Keeping what a script has left, on a disk that may be full. As long as its container
//! stays, the engine has all of it, so it is read once more when there is room: nobody's
//! result fails because a disk was full for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::Executions;
use super::adopt::output_limits;
use super::ending::ClaimedExecution;
use crate::clock;
use crate::orchestrator::Capture;
use crate::orchestrator::artifact_storage::ArtifactError;
use crate::orchestrator::runner::{Adopted, Executed};
use crate::sandbox::RunSignals;

/// How long room is waited for. A disk that is full for longer needs an operator, and
/// what is too large for it never fits.
const ROOM_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Waits before it is read once more.
const PAUSE: Duration = Duration::from_secs(2);

impl Executions {
    /// Keeps the artifacts of an execution, and waits for room where there is none.
    /// `None` when it is left to the next process.
    pub(super) async fn keep(
        &self,
        taken: &ClaimedExecution<'_>,
        mut executed: Executed,
    ) -> Option<(Executed, Result<(), ArtifactError>)> {
        let begun = Instant::now();
        loop {
            let is_waited_for = begun.elapsed() < ROOM_WITHIN;
            let is_cut = executed.found_no_room();
            if !is_cut || !is_waited_for {
                let (id, attempt) = (taken.runnable.id, taken.attempt);
                let artifacts = &mut executed.report.artifacts;
                let kept = self.inner.artifacts.keep(id, attempt, artifacts).await;
                let is_final = !kept.as_ref().is_err_and(|lost| lost.is_for_want_of_room);
                if is_final || !is_waited_for {
                    return Some((executed, kept));
                }
            }
            tracing::warn!("there is no room for what the script left: it is read again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.inner.giving_up.cancelled() => {
                    executed.container.detach();
                    return None;
                }
            }
            executed = self.read_again(taken, executed).await?;
        }
    }

    /// Reads all that an execution has left once more, from the first byte.
    async fn read_again(
        &self,
        taken: &ClaimedExecution<'_>,
        executed: Executed,
    ) -> Option<Executed> {
        let ClaimedExecution { runnable, attempt, live, .. } = *taken;
        let Executed { report, error, container } = executed;
        // Without a sandbox there is nothing to be read.
        let Some(receipt) = report.sandbox.clone() else {
            return Some(Executed { report, error, container });
        };
        container.detach();
        self.inner.artifacts.unstage(runnable.id, attempt).await;
        let staged = self.inner.artifacts.stage(runnable.id, attempt);
        let now = clock::now();
        let begun_at = report.started_at.unwrap_or(now);
        let capture = Capture::new(Arc::clone(live), staged).begun_at(begun_at);
        let since = now - TimeDelta::from_std(report.took).unwrap_or_default();
        // Only a script that has ended leaves artifacts.
        let adopted = Adopted {
            receipt,
            output_limits: output_limits(runnable),
            time_left: Duration::ZERO,
            since,
        };
        let signals = RunSignals { cancel: &live.cancel, detach: &self.inner.giving_up };
        self.inner.runner.resume(adopted, capture, signals).await
    }
}

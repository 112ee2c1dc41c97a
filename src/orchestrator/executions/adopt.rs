//! Going on with executions that are taken by this node and that nobody here works on:
//! an earlier process has begun them, or the task that had them broke. Their scripts
//! may have started, so they are not run again: what they said is read from the
//! engine's log, from the first byte, and what they say from now on.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tracing::Instrument;

use super::Executions;
use super::dispatch::{Slot, waiting};
use super::ending::ClaimedExecution;
use super::work::AttemptOutcome;
use crate::clock;
use crate::domain::execution::{Report, SandboxReceipt, State};
use crate::domain::job::artifact_caps;
use crate::domain::limits::{GRACE, Timeout};
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::orchestrator::runner::Adopted;
use crate::orchestrator::{Capture, LiveExecution};
use crate::sandbox::{OutputLimits, RunSignals};
use crate::store::{ClaimedRow, Runnable, StoreError};

impl Executions {
    /// Adopts everything that this node has taken and does not work on. Answers with
    /// all that it has taken.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is adopted then.
    pub(super) async fn adopt_all(&self) -> Result<Vec<ClaimedRow>, StoreError> {
        let all = self.inner.store.claimed_by(&self.inner.settings.node).await?;
        for taken in &all {
            let id = taken.pending.id;
            // Whoever works on one has its slot until after its end is stored.
            if self.queue().adopt(&waiting(&taken.pending)) {
                let slot = Slot::of(self, id);
                let span = tracing::info_span!("adopted", execution = %id);
                let adoption = self.clone().adopt(taken.clone(), slot);
                self.inner.tasks.spawn(adoption.instrument(span));
            } else if taken.is_cancel_requested
                && let Some(live) = self.inner.live.find(id)
            {
                // Asked of another node, or of an earlier process.
                live.cancel.cancel();
            }
        }
        Ok(all)
    }

    async fn adopt(self, taken: ClaimedRow, slot: Slot) {
        let id = taken.pending.id;
        let node = self.inner.settings.node.as_str();
        let read = || self.inner.store.running(id, node, taken.attempt);
        let found = match self.retry_while_unavailable("an execution is adopted", read).await {
            // It has ended, or been given back, just before its slot was free.
            Some(Ok(None)) | None => return,
            Some(Ok(Some(runnable))) => self.place(&taken).map(|place| (runnable, place)),
            Some(Err(error)) => {
                tracing::error!(?error, "what was begun can't be read");
                None
            }
        };
        let Some((runnable, receipt)) = found else { return self.end_lost(&taken).await };
        let live = self.inner.live.entry(id);
        if taken.is_cancel_requested {
            live.cancel.cancel();
        }
        let attempt = self.resume(&runnable, &taken, receipt, &live).await;
        drop(slot);
        if let AttemptOutcome::Again(_, outcome) = attempt {
            tracing::info!(reason = outcome.error_message, "the execution waits again");
            self.queue().restore(waiting(&taken.pending));
            self.inner.nudge.notify_one();
        }
        self.inner.live.leave(id, live);
    }

    async fn resume(
        &self,
        runnable: &Runnable,
        taken: &ClaimedRow,
        receipt: SandboxReceipt,
        live: &Arc<LiveExecution>,
    ) -> AttemptOutcome {
        let (id, attempt) = (runnable.id, taken.attempt);
        tracing::info!(container = receipt.container_id, attempt, "adopted");
        live.set_state(State::Running);
        self.inner.artifacts.unstage(id, attempt).await;
        let staged = self.inner.artifacts.stage(id, attempt);
        let capture = Capture::new(Arc::clone(live), staged).begun_at(taken.begun_at);
        let now = clock::now();
        let adopted = Adopted {
            receipt,
            output_limits: output_limits(runnable),
            time_left: time_left(taken.deadline - now, runnable.snapshot.timeout_secs),
            since: taken.begun_at,
        };
        let signals = RunSignals { cancel: &live.cancel, detach: &self.inner.giving_up };
        let executed = self.inner.runner.resume(adopted, capture, signals).await;
        let queued = (taken.begun_at - runnable.created_at).to_std().unwrap_or_default();
        self.conclude(&ClaimedExecution { runnable, attempt, queued, live }, executed).await
    }

    fn place(&self, taken: &ClaimedRow) -> Option<SandboxReceipt> {
        let (container_id, image) = taken.place.clone()?;
        let node = Some(self.inner.settings.node.clone());
        let warm = taken.warm;
        Some(SandboxReceipt {
            image,
            container_id,
            node,
            warm,
            preloaded: None,
            preload_reason: None,
            confinement: None,
        })
    }

    /// Ends one of which not even its request can be read.
    async fn end_lost(&self, taken: &ClaimedRow) {
        if let Some((container, _)) = &taken.place {
            self.inner.runner.remover().remove(container.clone());
        }
        let (id, attempt) = (taken.pending.id, taken.attempt);
        let message = "Gantry ended while the script ran, and what it ran can't be read any more";
        let report = Report::unstarted(Outcome::failed(ErrorKind::Lost, message), clock::now());
        let node = &self.inner.settings.node;
        let queued = Duration::ZERO;
        let finish = || self.inner.store.finish(id, node, attempt, queued, &report);
        match self.retry_while_unavailable("a lost execution is ended", finish).await {
            Some(Ok(Some(ended))) => self.ended(&ended.script_name, id, &report, queued),
            Some(Ok(None)) | None => {}
            Some(Err(error)) => tracing::error!(?error, execution = %id, "it can't be ended"),
        }
    }
}

/// What is left until PID 1 has ended the script; never more than it has in all, should
/// the clock have been set back.
fn time_left(until_deadline: TimeDelta, timeout: Timeout) -> Duration {
    until_deadline.to_std().unwrap_or_default().min(timeout.duration() + GRACE)
}

/// What a script may leave, as it was frozen.
pub(super) fn output_limits(runnable: &Runnable) -> OutputLimits {
    let output_bytes = runnable.snapshot.limits.output_bytes;
    OutputLimits {
        stream_cap: output_bytes,
        output_file_cap: runnable.definition.output_file.as_ref().map(|_| output_bytes),
        artifacts: artifact_caps(),
        grace: GRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adopted_script_never_has_more_time_than_it_had_and_never_less_than_none() {
        let timeout = Timeout::default();
        let whole = timeout.duration() + GRACE;
        assert_eq!(time_left(TimeDelta::seconds(5), timeout), Duration::from_secs(5));
        assert_eq!(time_left(TimeDelta::seconds(-5), timeout), Duration::ZERO);
        assert_eq!(time_left(TimeDelta::days(5), timeout), whole, "the clock was set back");
    }
}

//! Going on with executions that this node has claimed and that no task has: an earlier
//! process has started them, or their task broke. Their scripts may have started, so
//! they are not run again: their frames are read from the engine's log, from the first
//! byte, and then as they come. A container that another installation has made is not
//! touched: this database is a copy of that installation's, which goes on with it.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tracing::Instrument;

use super::ended::EndedRun;
use super::{AttemptOutcome, TaskContext};
use crate::clock;
use crate::domain::execution::{SandboxReceipt, State};
use crate::domain::limits::{GRACE, Timeout};
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::orchestrator::capture::Capture;
use crate::orchestrator::executions::claimed::ClaimedExecution;
use crate::orchestrator::executions::shared_queue::{Slot, waiting};
use crate::orchestrator::live::LiveExecution;
use crate::orchestrator::runner::Adopted;
use crate::sandbox::RunSignals;
use crate::store::{ClaimedRow, Runnable};

/// Pause before the engine is asked again whose a container is.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Owner of an execution that is adopted.
pub(in crate::orchestrator::executions) struct AdoptedTask {
    context: Arc<TaskContext>,
    taken: ClaimedRow,
    slot: Slot,
}

/// A claimed execution whose sandbox another process has started.
struct AdoptedRun {
    claimed: ClaimedExecution,
    taken: ClaimedRow,
    receipt: SandboxReceipt,
}

impl AdoptedTask {
    pub(in crate::orchestrator::executions) fn new(
        context: Arc<TaskContext>,
        taken: ClaimedRow,
        slot: Slot,
    ) -> Self {
        Self { context, taken, slot }
    }

    /// Follows the execution to its end, or leaves it to the next process.
    pub(in crate::orchestrator::executions) async fn run(self) {
        let span = tracing::info_span!("adopted", execution = %self.taken.pending.id);
        self.adopt().instrument(span).await;
    }

    async fn adopt(self) {
        let Self { context, taken, slot } = self;
        let id = taken.pending.id;
        match is_foreign(&context, &taken).await {
            Some(true) => return end_foreign(&context, &taken).await,
            Some(false) => {}
            None => return,
        }
        let runnable = match context.transitions.read_claimed(id, taken.attempt).await {
            // It has ended, or was given back, just before its slot was free.
            Some(Ok(None)) | None => return,
            Some(Ok(Some(runnable))) => Some(runnable),
            Some(Err(error)) => {
                tracing::error!(?error, "the claimed execution can't be read");
                None
            }
        };
        let receipt = receipt(&taken, context.transitions.node());
        let Some((runnable, receipt)) = runnable.zip(receipt) else {
            return end_lost(&context, &taken).await;
        };
        let live = context.live.entry(id);
        if taken.is_cancel_requested {
            live.cancel.cancel();
        }
        let pending = taken.pending.clone();
        let run = AdoptedRun::new(runnable, taken, receipt, Arc::clone(&live));
        let outcome = match run.follow(&context).await {
            Some(ended) => ended.finish(&context).await,
            None => AttemptOutcome::Over,
        };
        drop(slot);
        if let AttemptOutcome::Again { outcome, .. } = outcome {
            tracing::info!(reason = outcome.error_message, "the execution waits again");
            context.queue.lock().restore(waiting(&pending));
            context.queue.nudge();
        }
        context.live.leave(id, live);
    }
}

impl AdoptedRun {
    fn new(
        runnable: Box<Runnable>,
        taken: ClaimedRow,
        receipt: SandboxReceipt,
        live: Arc<LiveExecution>,
    ) -> Self {
        let queued = (taken.begun_at - runnable.created_at).to_std().unwrap_or_default();
        let claimed = ClaimedExecution { runnable, attempt: taken.attempt, queued, live };
        Self { claimed, taken, receipt }
    }

    /// Follows the script to its end. `None` when this process leaves first.
    async fn follow(self, context: &TaskContext) -> Option<EndedRun> {
        let Self { claimed, taken, receipt } = self;
        let ClaimedExecution { runnable, attempt, live, .. } = &claimed;
        let (id, attempt) = (runnable.id, *attempt);
        tracing::info!(container = receipt.container_id, attempt, "execution adopted");
        live.set_state(State::Running);
        context.artifacts.unstage(id, attempt).await;
        let staged = context.artifacts.stage(id, attempt);
        let capture = Capture::new(Arc::clone(live), staged).begun_at(taken.begun_at);
        let until_deadline = taken.deadline - clock::now();
        let adopted = Adopted {
            receipt,
            output_limits: claimed.output_limits(),
            time_left: time_left(until_deadline, runnable.snapshot.timeout_secs),
            since: taken.begun_at,
        };
        let signals = RunSignals { cancel: &live.cancel, detach: &context.shutdown.leaving };
        let executed = context.runner.resume(adopted, capture, signals).await;
        EndedRun::of(claimed, executed)
    }
}

/// True if the container of an execution is another installation's. `None` when this
/// process leaves before the engine has answered.
async fn is_foreign(context: &TaskContext, taken: &ClaimedRow) -> Option<bool> {
    let Some((container, _)) = &taken.place else { return Some(false) };
    loop {
        match context.runner.is_foreign(container).await {
            Ok(is_foreign) => return Some(is_foreign),
            Err(error) => {
                tracing::warn!(%error, container, "failed to inspect a container to adopt; retrying");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_PAUSE) => {}
            () = context.shutdown.leaving.cancelled() => return None,
        }
    }
}

/// Ends an execution that another installation goes on with, and leaves its container.
async fn end_foreign(context: &TaskContext, taken: &ClaimedRow) {
    let container = taken.place.as_ref().map_or("", |(container, _)| container);
    tracing::warn!(container, "the container is another installation's; it is left alone");
    let message = format!(
        "the script ran in the container {container} of another installation of Gantry, which \
         this database is a copy of: its end is not known here"
    );
    let outcome = Outcome::failed(ErrorKind::Lost, message);
    context.transitions.end_unreadable(taken.pending.id, taken.attempt, outcome).await;
}

/// Ends an execution whose request can't be read.
async fn end_lost(context: &TaskContext, taken: &ClaimedRow) {
    if let Some((container, _)) = &taken.place {
        context.runner.remover().remove(container.clone());
    }
    let message = "Gantry ended while the script ran, and what it ran can't be read any more";
    let outcome = Outcome::failed(ErrorKind::Lost, message);
    context.transitions.end_unreadable(taken.pending.id, taken.attempt, outcome).await;
}

fn receipt(taken: &ClaimedRow, node: &str) -> Option<SandboxReceipt> {
    let (container_id, image) = taken.place.clone()?;
    Some(SandboxReceipt {
        image,
        container_id,
        node: Some(node.to_owned()),
        warm: taken.warm,
        preloaded: None,
        preload_reason: None,
        confinement: None,
    })
}

/// The time until PID 1 has ended the script; never more than it has in all, should
/// the clock have been set back.
fn time_left(until_deadline: TimeDelta, timeout: Timeout) -> Duration {
    until_deadline.to_std().unwrap_or_default().min(timeout.duration() + GRACE)
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

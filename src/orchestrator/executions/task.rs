//! One execution from its turn to its stored end. **One task owns it all the way**;
//! others ask it through its entry in the live registry. Its states consume themselves:
//! a state that is left can't be used again, and each holds what the next one needs.
//!
//! ```text
//!                      ┌───────────────── again, after a pause ───────────────┐
//!                      ▼                                                      │
//! dispatcher ─▶ read, image known? ─ yes ─▶ PendingRun                        │
//!                      │ no                     │ prepare: job loaded,        │
//!                      ▼                        │ sandbox started  ─ failed ─▶┤
//!        slot freed, parked until               ▼                             │
//!        the image is built              PreparedRun                          │
//!        (or ended: can't be)                   │ claim: running in the store │
//!                                               │ + request loaded ─ failed ─▶┤
//!                                               ▼                             │
//!                                         StartedRun                          │
//!                                               │ run: the script's end       │
//!                                               ▼                             │
//! adopter ─▶ AdoptedRun ── follow ────▶     EndedRun                          │
//!                                               │ keep artifacts (again       │
//!                                               ▼  when the disk was full)    │
//!                                           KeptRun ── settle ─▶ given back ──┘
//!                                               │
//!                                               ▼
//!                                  end stored, announced; container removed
//! ```
//!
//! Before its claim, an execution is pending in the store, and a failure changes nothing.
//! After it, one of three things follows: its end is stored, it is given back (its script
//! never started), or it is left to the next process, which adopts it.

mod adopted;
mod artifact_retry;
mod attempt_policy;
mod ended;
mod output;
mod outputs;
mod pending;
mod settlement;

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;
use uuid::Uuid;

use super::engine_gate::EngineGate;
use super::job_loader::JobLoader;
use super::shared_queue::{SharedQueue, Slot};
use super::shutdown::Shutdown;
use super::transitions::{Transitions, cancelled_outcome};
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::domain::script_type::ScriptType;
use crate::files::Files;
use crate::orchestrator::artifact_storage::ArtifactStorage;
use crate::orchestrator::environments::Environments;
use crate::orchestrator::live::{LiveExecution, LiveRegistry};
use crate::orchestrator::queue::Waiting;
use crate::orchestrator::runner::Runner;
use crate::orchestrator::schemas::Schemas;
use crate::sandbox::Cancel;
use crate::store::Runnable;
pub(super) use adopted::AdoptedTask;
use attempt_policy::{AttemptPolicy, MAX_PAUSE};
use pending::{NotStarted, PendingRun};

/// The services that the tasks of all executions share.
pub(super) struct TaskContext {
    pub(super) transitions: Transitions,
    pub(super) runner: Runner,
    pub(super) environments: Environments,
    pub(super) jobs: Arc<JobLoader>,
    pub(super) artifacts: Arc<ArtifactStorage>,
    pub(super) files: Files,
    pub(super) schemas: Arc<Schemas>,
    pub(super) engine: Arc<EngineGate>,
    pub(super) live: LiveRegistry,
    pub(super) queue: Arc<SharedQueue>,
    pub(super) shutdown: Shutdown,
}

/// Outcome of one attempt at an execution.
enum AttemptOutcome {
    /// Its end is stored, or it is not to be run any more, or not by this process.
    Over,
    /// Its image is not there.
    Unbuilt(Box<Runnable>),
    /// Its script has not started, and may yet; `outcome` is the end if it never does.
    Again { script: String, outcome: Outcome },
}

/// Owner of an execution whose turn has come.
pub(super) struct ExecutionTask {
    context: Arc<TaskContext>,
    waiting: Waiting,
    /// Kept between attempts: an engine that is out has no use for others.
    slot: Slot,
    live: Arc<LiveExecution>,
    /// Ends the attempt: somebody cancels the execution, or this process leaves.
    end: Cancel,
}

impl ExecutionTask {
    pub(super) fn new(context: Arc<TaskContext>, waiting: Waiting, slot: Slot) -> Self {
        let live = context.live.entry(waiting.id);
        let end = live.cancel.child_token();
        Self { context, waiting, slot, live, end }
    }

    /// Runs the execution to its end, or leaves it to the next process.
    pub(super) async fn run(self) {
        let id = self.waiting.id;
        let (context, live) = (Arc::clone(&self.context), Arc::clone(&self.live));
        let end = self.end.clone();
        async {
            {
                let attempts = self.attempts();
                tokio::pin!(attempts);
                tokio::select! {
                    () = &mut attempts => {}
                    () = context.shutdown.leaving.cancelled() => {
                        end.cancel();
                        attempts.await;
                    }
                }
            }
            context.live.leave(id, live);
        }
        .instrument(tracing::info_span!("work", execution = %id))
        .await;
    }

    async fn attempts(self) {
        let mut policy = AttemptPolicy::default();
        loop {
            let (script, outcome) = match self.attempt().await {
                AttemptOutcome::Over => return,
                AttemptOutcome::Unbuilt(runnable) => return self.wait_for_image(&runnable).await,
                AttemptOutcome::Again { script, outcome } => (script, outcome),
            };
            let Some((next, pause)) = policy.after_failure(outcome.error_kind) else {
                return self.end_pending(&script, outcome).await;
            };
            let reason = outcome.error_message.as_deref().unwrap_or_default();
            tracing::warn!(reason, pause_ms = pause.as_millis(), "the execution is tried again");
            if !self.pauses(pause).await {
                return;
            }
            policy = next;
        }
    }

    async fn attempt(&self) -> AttemptOutcome {
        let context = &*self.context;
        let Some(runnable) = self.read().await else { return AttemptOutcome::Over };
        let (key, script_type) = needed(&runnable);
        let Some(image) = context.environments.known(key, script_type) else {
            return AttemptOutcome::Unbuilt(runnable);
        };
        let pending = PendingRun::new(runnable, image, Arc::clone(&self.live), self.end.clone());
        match pending.start(context).await {
            Ok(Some(started)) => match started.run(context).await {
                Some(ended) => ended.finish(context).await,
                None => AttemptOutcome::Over,
            },
            Ok(None) => AttemptOutcome::Over,
            Err(failed) => self.not_started(*failed).await,
        }
    }

    /// Reads the execution, if it still waits. Its claim decides that; looking before
    /// only spares a sandbox, so what was just stored is not read back.
    async fn read(&self) -> Option<Box<Runnable>> {
        match self.live.take_brought() {
            Some(brought) => Some(brought),
            None => self.context.transitions.read_pending(self.waiting.id).await,
        }
    }

    async fn not_started(&self, failed: NotStarted) -> AttemptOutcome {
        let NotStarted { runnable, image, error } = failed;
        if error.is_cancelled() {
            self.end_if_cancelled(&runnable.script_name).await;
            return AttemptOutcome::Over;
        }
        tracing::warn!(?error, "the execution did not start");
        if error.is_missing_image() {
            self.context.environments.forget(&image);
            self.context.runner.forget_image(&image);
        }
        let outcome = error.outcome();
        if error.is_engine_outage() {
            self.context.engine.close(outcome.error_message.as_deref().unwrap_or_default());
        }
        if error.is_worth_another_attempt() {
            return AttemptOutcome::Again { script: runnable.script_name, outcome };
        }
        self.end_pending(&runnable.script_name, outcome).await;
        AttemptOutcome::Over
    }

    /// Waits without a slot: executions whose images are there go on.
    async fn wait_for_image(self, runnable: &Runnable) {
        let Self { context, waiting, slot, live, end } = self;
        let (key, script_type) = needed(runnable);
        let parked = Parked { id: waiting.id, until: key.unwrap_or(script_type.name()) };
        context.queue.lock().park(waiting, parked.until);
        drop(slot);
        let TaskContext { queue, transitions, .. } = &*context;
        let built = tokio::select! {
            built = context.environments.image(key, script_type) => built,
            () = context.shutdown.stopping.cancelled() => return,
            () = end.cancelled() => {
                queue.lock().cancel(parked.id);
                // Only a cancelled one ends: otherwise the next process runs it.
                if live.cancel.is_cancelled() {
                    let script = &runnable.script_name;
                    transitions.end_pending(parked.id, script, cancelled_outcome()).await;
                }
                return;
            }
        };
        if let Err(error) = built {
            let outcome = error.outcome();
            if outcome.error_kind != Some(ErrorKind::EngineUnavailable) {
                queue.lock().cancel(parked.id);
                return transitions.end_pending(parked.id, &runnable.script_name, outcome).await;
            }
            if !error.is_of_database() {
                context.engine.close(&error.public_message());
            }
            tracing::warn!(?error, "the execution's image can't be had for now");
            pauses(&context, MAX_PAUSE, &end).await;
        }
        queue.lock().resume(parked.until);
        queue.nudge();
    }

    /// Ends an execution that was cancelled; one that this process only leaves waits
    /// for the next process.
    async fn end_if_cancelled(&self, script: &str) {
        if self.live.cancel.is_cancelled() {
            self.end_pending(script, cancelled_outcome()).await;
        }
    }

    async fn end_pending(&self, script: &str, outcome: Outcome) {
        self.context.transitions.end_pending(self.waiting.id, script, outcome).await;
    }

    async fn pauses(&self, pause: Duration) -> bool {
        pauses(&self.context, pause, &self.end).await
    }
}

/// An execution that the queue has set aside, and what it waits for.
struct Parked<'a> {
    id: Uuid,
    until: &'a str,
}

/// Pauses. False when it was cut short: the execution is left to the next process, or
/// was cancelled.
async fn pauses(context: &TaskContext, pause: Duration, end: &Cancel) -> bool {
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = context.shutdown.stopping.cancelled() => false,
        () = end.cancelled() => false,
    }
}

/// The environment and the script type that the execution's image is of.
fn needed(runnable: &Runnable) -> (Option<&str>, ScriptType) {
    (runnable.environment_key.as_deref(), runnable.definition.script_type)
}

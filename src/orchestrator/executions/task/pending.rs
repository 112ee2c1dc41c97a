//! The states before a script runs: its sandbox is started or taken, and then the
//! execution is claimed while the sandbox gets its request, so that an execution that
//! is `running` is about to come to its script's first instruction. A failure before
//! leaves it pending.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use thiserror::Error;

use super::TaskContext;
use super::ended::EndedRun;
use crate::clock;
use crate::domain::execution::State;
use crate::domain::job::Job;
use crate::domain::limits::GRACE;
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::orchestrator::capture::Capture;
use crate::orchestrator::container_name::fresh_container_name;
use crate::orchestrator::executions::claimed::ClaimedExecution;
use crate::orchestrator::executions::job_loader::JobLoadError;
use crate::orchestrator::input_folder;
use crate::orchestrator::live::LiveExecution;
use crate::orchestrator::run_error::RunError;
use crate::orchestrator::runner::{Prepared, Ready};
use crate::sandbox::{Cancel, RunSignals};
use crate::store::Runnable;

/// An execution whose turn it is, and whose image is known.
pub(super) struct PendingRun {
    runnable: Box<Runnable>,
    image: String,
    /// Time from its acceptance to its turn.
    queued: Duration,
    live: Arc<LiveExecution>,
    end: Cancel,
}

/// A pending execution with a started sandbox.
struct PreparedRun {
    pending: PendingRun,
    ready: Ready,
}

/// A claimed execution whose sandbox waits for the word to run it.
pub(super) struct StartedRun {
    claimed: ClaimedExecution,
    prepared: Prepared,
    end: Cancel,
}

/// Outcome of a claim.
enum ClaimOutcome {
    Started(Box<StartedRun>),
    /// It is not pending any more, or this process leaves.
    Over,
    /// Its warm sandbox had died unused, which is no reason to wait.
    SandboxDied(PendingRun),
}

/// An execution that did not start, and is pending as before.
pub(super) struct NotStarted {
    pub(super) runnable: Box<Runnable>,
    pub(super) image: String,
    pub(super) error: StartError,
}

/// Failure to start an execution.
#[derive(Debug, Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Job(#[from] JobLoadError),
    #[error(transparent)]
    Run(#[from] RunError),
}

impl PendingRun {
    pub(super) fn new(
        runnable: Box<Runnable>,
        image: String,
        live: Arc<LiveExecution>,
        end: Cancel,
    ) -> Self {
        let queued = (clock::now() - runnable.created_at).to_std().unwrap_or_default();
        Self { runnable, image, queued, live, end }
    }

    /// Starts its sandbox, gives it the request, and claims the execution. `None` when
    /// it is not pending any more, or this process leaves: the sandbox goes unused.
    pub(super) async fn start(
        self,
        context: &TaskContext,
    ) -> Result<Option<Box<StartedRun>>, Box<NotStarted>> {
        let job = match context.jobs.load(&self.runnable).await {
            Ok(job) => job,
            Err(error) => return Err(self.not_started(error)),
        };
        let mut pending = self;
        loop {
            let prepared = pending.prepare(context, &job).await?;
            pending = match prepared.claim(context, &job).await? {
                ClaimOutcome::Started(started) => return Ok(Some(started)),
                ClaimOutcome::Over => return Ok(None),
                ClaimOutcome::SandboxDied(pending) => pending,
            };
        }
    }

    async fn prepare(
        self,
        context: &TaskContext,
        job: &Job,
    ) -> Result<PreparedRun, Box<NotStarted>> {
        match self.start_sandbox(context, job).await {
            Ok(ready) => Ok(PreparedRun { pending: self, ready }),
            Err(error) => Err(self.not_started(error)),
        }
    }

    async fn start_sandbox(&self, context: &TaskContext, job: &Job) -> Result<Ready, StartError> {
        let name = fresh_container_name(&job.execution_id);
        let starting = context.runner.start(job, name, self.image.clone(), &self.end);
        let ready = context.engine.watch(starting).await?;
        if !ready.receipt.warm {
            context.engine.open();
        }
        // The engine has looked where their links lead in between.
        context.jobs.check_all_mounts(job).await?;
        Ok(ready)
    }

    fn not_started(self, error: impl Into<StartError>) -> Box<NotStarted> {
        let Self { runnable, image, .. } = self;
        Box::new(NotStarted { runnable, image, error: error.into() })
    }
}

impl PreparedRun {
    /// Claims the execution while its sandbox gets the request: the one is of no use
    /// without the other, and neither waits for it.
    async fn claim(
        self,
        context: &TaskContext,
        job: &Job,
    ) -> Result<ClaimOutcome, Box<NotStarted>> {
        let Self { pending, ready } = self;
        let (receipt, folder) = (ready.receipt.clone(), ready.inputs_folder());
        let at = clock::now();
        let time = TimeDelta::from_std(job.timeout.duration() + GRACE).unwrap_or_default();
        let id = pending.runnable.id;
        let loading = context.runner.load(job, ready, &pending.end);
        let claiming = context.transitions.claim(id, &receipt, at, at + time);
        let placing = input_folder::place(&context.files, folder, &job.inputs);
        let (prepared, claimed, placed) = tokio::join!(loading, claiming, placing);
        let Some(claimed) = claimed else {
            // The store may have it as claimed: then the next process finds in the
            // sandbox that nothing has run.
            if let Ok(prepared) = prepared {
                prepared.detach();
            }
            return Ok(ClaimOutcome::Over);
        };
        let attempt = match claimed {
            Ok(Some(attempt)) => attempt,
            Ok(None) => return Ok(ClaimOutcome::Over),
            Err(error) => return Err(pending.not_started(JobLoadError::from(error))),
        };
        let error = match (prepared, placed) {
            (Ok(prepared), Ok(copied)) => {
                if copied > 0 {
                    tracing::info!(copied, "the execution's inputs were copied");
                }
                return Ok(pending.started(attempt, prepared));
            }
            (Err(error), _) => error,
            // The sandbox has the request, and is removed before it is told to go.
            (Ok(_), Err(error)) => RunError::Inputs(error),
        };
        context.artifacts.unstage(id, attempt).await;
        if !context.transitions.give_back(id, attempt, &pending.live).await {
            return Ok(ClaimOutcome::Over);
        }
        if !receipt.warm || !error.is_unused_sandbox() {
            return Err(pending.not_started(error));
        }
        tracing::warn!(%error, receipt.container_id, "a warm sandbox is replaced");
        Ok(ClaimOutcome::SandboxDied(pending))
    }
}

impl PendingRun {
    fn started(self, attempt: u32, prepared: Prepared) -> ClaimOutcome {
        let Self { runnable, queued, live, end, .. } = self;
        let claimed = ClaimedExecution { runnable, attempt, queued, live };
        ClaimOutcome::Started(Box::new(StartedRun { claimed, prepared, end }))
    }
}

impl StartedRun {
    /// Runs the script to its end. `None` when this process leaves first, and the
    /// script runs on.
    pub(super) async fn run(self, context: &TaskContext) -> Option<EndedRun> {
        let Self { claimed, prepared, end } = self;
        let ClaimedExecution { runnable, attempt, live, .. } = &claimed;
        live.set_state(State::Running);
        let (script, attempt) = (&runnable.script_name, *attempt);
        tracing::info!(script, attempt, "execution running");
        let staged = context.artifacts.stage(runnable.id, attempt);
        let capture = Capture::new(Arc::clone(live), staged);
        let signals = RunSignals { cancel: &end, detach: &context.shutdown.leaving };
        let executed = context.runner.execute(prepared, capture, signals).await;
        EndedRun::of(claimed, executed)
    }
}

impl StartError {
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Run(RunError::Cancelled))
    }

    pub(super) fn is_missing_image(&self) -> bool {
        matches!(self, Self::Run(error) if error.is_missing_image())
    }

    pub(super) fn is_engine_outage(&self) -> bool {
        let Self::Run(error) = self else { return false };
        error.outcome().error_kind == Some(ErrorKind::EngineUnavailable)
    }

    /// True if the same may work later.
    pub(super) fn is_worth_another_attempt(&self) -> bool {
        match self {
            Self::Job(JobLoadError::Store(error)) => error.is_outage(),
            Self::Job(_) => false,
            // A missing image is found or built anew in the next attempt.
            Self::Run(error) => {
                self.is_engine_outage()
                    || self.is_missing_image()
                    || error.is_not_ready()
                    || error.is_want_of_room()
                    || error.is_passing_fault_of_inputs()
            }
        }
    }

    /// The end of an execution that never starts. Callers see nothing of the server's
    /// own files.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Job(JobLoadError::Store(error)) if error.is_outage() => {
                Outcome::failed(ErrorKind::EngineUnavailable, error.to_string())
            }
            Self::Job(error) => Outcome::failed(ErrorKind::SandboxFailed, error.public_message()),
            Self::Run(error) => {
                let outcome = error.outcome();
                let message = outcome.error_message.as_ref().map(|_| error.public_message());
                Outcome { error_message: message, ..outcome }
            }
        }
    }
}

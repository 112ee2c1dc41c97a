//! From an execution that waits to one that runs: its sandbox is started or taken,
//! and then it is claimed while the sandbox gets its request, so that what is
//! `running` has come to its script's first instruction, or is about to. Whatever
//! breaks before leaves it as it was.

use std::time::Duration;

use chrono::TimeDelta;
use thiserror::Error;

use super::Executions;
use super::job::JobLoadError;
use crate::clock;
use crate::domain::execution::SandboxReceipt;
use crate::domain::job::Job;
use crate::domain::limits::GRACE;
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::orchestrator::container_name::fresh_container_name;
use crate::orchestrator::runner::Prepared;
use crate::orchestrator::{LiveExecution, RunError};
use crate::sandbox::Cancel;
use crate::store::{Claim, Runnable};

/// A claimed execution whose sandbox waits for the word to run it.
pub(super) struct Started {
    pub(super) prepared: Prepared,
    pub(super) attempt: u32,
    /// From its acceptance to its turn.
    pub(super) queued: Duration,
}

/// Why an execution has not begun.
#[derive(Debug, Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Job(#[from] JobLoadError),
    #[error(transparent)]
    Run(#[from] RunError),
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

    /// The same may work later.
    pub(super) fn is_worth_another_attempt(&self) -> bool {
        match self {
            Self::Job(JobLoadError::Store(error)) => error.is_outage(),
            Self::Job(_) => false,
            // It is found or built anew in the next attempt.
            Self::Run(error) => {
                self.is_engine_outage() || self.is_missing_image() || error.is_not_ready()
            }
        }
    }

    /// The end of an execution that never begins; callers are told nothing of the
    /// server's own files.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Job(JobLoadError::Store(error)) if error.is_outage() => {
                Outcome::failed(ErrorKind::EngineUnavailable, error.to_string())
            }
            Self::Job(error) => Outcome::failed(ErrorKind::SandboxFailed, error.public_message()),
            Self::Run(error) => {
                let outcome = error.outcome();
                let error_message = outcome.error_message.as_ref().map(|_| error.public_message());
                Outcome { error_message, ..outcome }
            }
        }
    }
}

impl Executions {
    /// Starts its sandbox, gives it the request, and claims the execution. `None` when
    /// it is not pending any more, or this process is to end: the sandbox goes unused.
    pub(super) async fn begin(
        &self,
        runnable: &Runnable,
        image: &str,
        live: &LiveExecution,
        end: &Cancel,
    ) -> Result<Option<Started>, StartError> {
        let queued = (clock::now() - runnable.created_at).to_std().unwrap_or_default();
        let job = self.job(runnable).await?;
        loop {
            let name = fresh_container_name(&job.execution_id);
            let starting = self.inner.runner.start(&job, name, image.to_owned(), end);
            let ready = self.watched(starting).await?;
            let is_warm = ready.receipt.warm;
            if !is_warm {
                self.engine_started();
            }
            // The engine has looked where their links lead in between.
            self.check_mounts(&job.mounts)?;
            let receipt = ready.receipt.clone();
            // The one is not of use without the other, and neither waits for it.
            let loading = self.inner.runner.load(&job, ready, end);
            let claiming = self.claim(runnable, &job, &receipt);
            let (prepared, claimed) = tokio::join!(loading, claiming);
            let Some(claimed) = claimed else {
                // The store may have it as claimed: then the next process finds in the
                // sandbox that nothing has run.
                if let Ok(prepared) = prepared {
                    prepared.detach();
                }
                return Ok(None);
            };
            let Some(attempt) = claimed? else { return Ok(None) };
            match prepared {
                Ok(prepared) => return Ok(Some(Started { prepared, attempt, queued })),
                Err(error) => {
                    if !self.give_back(runnable.id, attempt, live).await {
                        return Ok(None);
                    }
                    // One that has died in the pool is no reason to wait.
                    if !is_warm || !error.is_unused_sandbox() {
                        return Err(error.into());
                    }
                    tracing::warn!(%error, receipt.container_id, "a warm sandbox is replaced");
                }
            }
        }
    }

    /// The attempt that this is, if it is still to be had. `None` when this process is
    /// to end before the store has answered.
    async fn claim(
        &self,
        runnable: &Runnable,
        job: &Job,
        receipt: &SandboxReceipt,
    ) -> Option<Result<Option<u32>, JobLoadError>> {
        let at = clock::now();
        let claim = Claim {
            id: runnable.id,
            node: &self.inner.settings.node,
            container: &receipt.container_id,
            image: &receipt.image,
            warm: receipt.warm,
            at,
            deadline: at + TimeDelta::from_std(job.timeout.duration() + GRACE).unwrap_or_default(),
        };
        let claiming = || self.inner.store.claim(&claim);
        let claimed = self.retry_while_unavailable("an execution is claimed", claiming).await;
        claimed.map(|answer| answer.map_err(JobLoadError::from))
    }
}

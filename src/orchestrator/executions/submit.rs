//! Accepting an execution: everything that can be said against it is said here,
//! before anything is stored.

use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use super::Executions;
use super::wait::{MAX_HANDED_OVER, Waiter};
use crate::clock;
use crate::domain::execution::{
    Caller, ExecutionSnapshot, ExecutionSummary, IdempotencyKey, NewExecution, Priority,
};
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::job::check_arguments;
use crate::domain::json_input::JsonInput;
use crate::domain::limits::Timeout;
use crate::domain::quantities::{show_bytes, show_duration};
use crate::domain::registry::{RegisteredScript, ScriptVersion};
use crate::domain::token::Role;
use crate::domain::variables::Variables;
use crate::orchestrator::queue::{Demand, Full};
use crate::store::{Runnable, StoreError, Submitted};

/// Executions that may wait before those that come are read by their workers: what
/// is kept in memory for them is bounded, and the reading is not what they wait for.
const MAX_BROUGHT: usize = 64;

/// Most variables of one request that are said to be refused.
const MAX_REFUSED_VARIABLES: usize = 20;

/// Error for a variable that the script does not take from requests.
const NOT_ALLOWED: &str = "the script takes no such variable from a request; call it PARAM_…, or \
     have an admin add its name to the script's env_allowed";

/// What somebody wants to be run.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The script.
    pub script: RegisteredScript,
    /// One of its versions; `None` is the current one.
    pub version: Option<ScriptVersion>,
    /// Who asks.
    pub caller: Caller,
    /// The caller's role: an admin sets any variable.
    pub role: Role,
    /// The job that it is for.
    pub job_id: Option<String>,
    /// What the caller names the request by.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Who should run first.
    pub priority: Priority,
    /// Arguments behind the script's own.
    pub args: Vec<String>,
    /// Variables over the script's own.
    pub env: Variables,
    /// Less time than the script has.
    pub timeout: Option<Timeout>,
    /// What it reads.
    pub input: JsonInput,
}

/// An execution that can't get lost any more.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its id.
    pub id: Uuid,
    /// What was stored, if it was accepted now, and not when the same key came
    /// before.
    pub pending: Option<Box<ExecutionSummary>>,
}

/// Why an execution is not accepted.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// The script is disabled.
    #[error("the script {0} is disabled")]
    Disabled(String),
    /// Something of the request is wrong.
    #[error("the execution can't be accepted as it is")]
    Invalid(Vec<Fault>),
    /// Too many wait already.
    #[error("the queue is full: {limit} executions wait")]
    Full {
        /// How many may wait.
        limit: usize,
        /// When there will probably be a place.
        retry_after: Duration,
    },
    /// The key came before, with another request.
    #[error("this Idempotency-Key was used for another request, which is execution {0}")]
    KeyReused(Uuid),
    /// The server is about to end.
    #[error("the server is stopping")]
    Stopping,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SubmitError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Disabled(_) => Some("an operator can enable it"),
            Self::Full { .. } => {
                Some("submit it again later; GANTRY_QUEUE_LIMIT says how many may wait")
            }
            Self::KeyReused(_) => Some("use a new key for a new request"),
            Self::Stopping => Some("submit it again in a moment"),
            Self::Store(error) => error.hint(),
            Self::Invalid(_) => None,
        }
    }
}

impl Executions {
    /// Accepts an execution. When it has answered, the execution is stored; also
    /// when whoever called does not wait for the answer.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing is stored then.
    pub async fn submit(&self, submission: Submission) -> Result<Accepted, SubmitError> {
        match self.find_known(&submission).await? {
            Some(known) => accepted(known, None),
            None => self.accept(self.checked(submission).await?).await,
        }
    }

    /// The same for somebody who waits for its end, who spares it some looks at the
    /// store.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn submit_awaited(
        &self,
        submission: Submission,
    ) -> Result<(Accepted, Waiter), SubmitError> {
        if let Some(known) = self.find_known(&submission).await? {
            let accepted = accepted(known, None)?;
            let waiter = self.waiter(accepted.id);
            return Ok((accepted, waiter));
        }
        let checked = self.checked(submission).await?;
        let (id, input) = (checked.new.id, checked.new.input.as_str().len());
        let waiter = self.first_waiter(id);
        if input <= MAX_HANDED_OVER && self.queue().waiting_len() < MAX_BROUGHT {
            waiter.bring(checked.runnable());
        }
        let accepted = self.accept(checked).await?;
        let waiter = if accepted.id == id { waiter } else { self.waiter(accepted.id) };
        Ok((accepted, waiter))
    }

    /// Whatever has changed since it came first.
    async fn find_known(&self, submission: &Submission) -> Result<Option<Submitted>, SubmitError> {
        if self.inner.stopping.is_cancelled() {
            return Err(SubmitError::Stopping);
        }
        let Some(key) = &submission.idempotency_key else { return Ok(None) };
        Ok(self.inner.store.find_key(submission.caller.token_id, key).await?)
    }

    async fn accept(&self, checked: Checked) -> Result<Accepted, SubmitError> {
        let Checked { new, script_name, version, max_concurrency } = checked;
        let digest = version.definition.digest;
        let pending = ExecutionSummary::pending(&new, script_name, version.number, digest);
        let place = self.queue().reserve();
        let place = place.map_err(|Full { limit }| SubmitError::Full {
            limit,
            retry_after: self.queue().retry_after(clock::since_epoch()),
        })?;
        let id = new.id;
        let submitted = self.take(new, max_concurrency, place).await?;
        tracing::info!(execution = %id, ?submitted, "accepted");
        accepted(submitted, Some(pending))
    }

    async fn checked(&self, submission: Submission) -> Result<Checked, SubmitError> {
        if !submission.script.is_enabled {
            return Err(SubmitError::Disabled(submission.script.name.to_string()));
        }
        let version = submission.version.as_ref().unwrap_or(&submission.script.version);
        let mut faults = self.faults(&submission, version);
        if faults.is_empty() {
            faults = self.inner.schemas.check_input(version, &submission.input).await;
        }
        match faults.is_empty() {
            true => Ok(Checked::freeze(submission)),
            false => Err(SubmitError::Invalid(faults)),
        }
    }

    /// What is wrong with a request, but for what its schema says.
    fn faults(&self, submission: &Submission, version: &ScriptVersion) -> Vec<Fault> {
        let run_settings = submission.script.run_settings;
        let mut faults = Vec::new();
        let mut args = version.definition.args.clone();
        args.extend_from_slice(&submission.args);
        if let Err(error) = check_arguments(&args) {
            faults.push(Fault::new("/args", error.to_string()));
        }
        if let Err(error) = version.definition.env.merged(&submission.env) {
            faults.push(Fault::new("/env", error.to_string()));
        }
        if submission.role != Role::Admin {
            let refused = version.definition.env_allowed.refused(&submission.env);
            let refused = refused.take(MAX_REFUSED_VARIABLES);
            faults.extend(refused.map(|name| Fault::new(pointer_to("/env", name), NOT_ALLOWED)));
        }
        if let Some(timeout) = submission.timeout.filter(|it| *it > run_settings.timeout_secs) {
            faults.push(Fault::new("/timeout_secs", too_long(timeout, run_settings.timeout_secs)));
        }
        let (input, memory) =
            (submission.input.as_str().len() as u64, run_settings.limits.memory_bytes);
        if input > memory / 2 {
            let (input, memory) = (show_bytes(input), show_bytes(memory));
            let detail = format!("{input} are more than half of the memory limit of {memory}");
            faults.push(Fault::new("/input", detail));
        }
        let limits = run_settings.limits;
        let demand = Demand { memory_bytes: limits.memory_bytes, nano_cpus: limits.nano_cpus };
        if !self.queue().fits(&demand) {
            faults.push(Fault::new("/script", "its limits are more than this machine has"));
        }
        faults
    }
}

/// A submission that nothing can be said against, and what it stands on.
struct Checked {
    new: NewExecution,
    script_name: String,
    version: ScriptVersion,
    max_concurrency: Option<NonZeroU32>,
}

impl Checked {
    fn freeze(submission: Submission) -> Self {
        let script = submission.script;
        let version = submission.version.unwrap_or(script.version);
        let run_settings = script.run_settings;
        let new = NewExecution {
            id: Uuid::now_v7(),
            script_id: script.id,
            version_id: version.id,
            caller: submission.caller,
            job_id: submission.job_id,
            idempotency_key: submission.idempotency_key,
            priority: submission.priority,
            snapshot: ExecutionSnapshot {
                args: submission.args,
                env: submission.env,
                limits: run_settings.limits,
                timeout_secs: submission.timeout.unwrap_or(run_settings.timeout_secs),
            },
            input: submission.input,
            created_at: clock::now(),
        };
        let (script_name, max_concurrency) =
            (script.name.to_string(), run_settings.max_concurrency);
        Self { new, script_name, version, max_concurrency }
    }

    /// What the store would answer a worker with.
    fn runnable(&self) -> Runnable {
        let (new, version) = (&self.new, &self.version);
        Runnable {
            id: new.id,
            script_id: new.script_id,
            script_name: self.script_name.clone(),
            job_id: new.job_id.clone(),
            version_id: new.version_id,
            definition: version.definition.clone(),
            environment_key: version.environment_key.clone(),
            snapshot: new.snapshot.clone(),
            input: new.input.clone(),
            created_at: new.created_at,
        }
    }
}

fn accepted(
    submitted: Submitted,
    pending: Option<ExecutionSummary>,
) -> Result<Accepted, SubmitError> {
    match (submitted, pending) {
        (Submitted::New, Some(pending)) => {
            Ok(Accepted { id: pending.id, pending: Some(Box::new(pending)) })
        }
        (Submitted::New, None) => Err(SubmitError::Stopping),
        (Submitted::Known(known), _) => Ok(Accepted { id: known, pending: None }),
        (Submitted::KeyReused(other), _) => Err(SubmitError::KeyReused(other)),
    }
}

fn too_long(asked: Timeout, allowed: Timeout) -> String {
    let (asked, allowed) = (show_duration(asked.duration()), show_duration(allowed.duration()));
    format!("{asked} is more than the script's {allowed}; a request can only lower it")
}

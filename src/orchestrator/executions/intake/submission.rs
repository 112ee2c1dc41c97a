//! A submission and its answers.

use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use crate::domain::execution::{Caller, ExecutionSummary, IdempotencyKey, Priority};
use crate::domain::fault::Fault;
use crate::domain::input_files::{InputFile, RequestFiles};
use crate::domain::json_input::JsonInput;
use crate::domain::keep::Keep;
use crate::domain::limits::Timeout;
use crate::domain::registry::{RegisteredScript, ScriptVersion};
use crate::domain::share::ShareAccess;
use crate::domain::token::Role;
use crate::domain::variables::Variables;
use crate::store::StoreError;

/// A request to run a script.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The script.
    pub script: RegisteredScript,
    /// One of its versions; `None` is the current one.
    pub version: Option<ScriptVersion>,
    /// The token or session that asks.
    pub caller: Caller,
    /// The caller's role: an admin sets any variable.
    pub role: Role,
    /// The job that it is for.
    pub job_id: Option<String>,
    /// The caller's name of the request.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Its priority in the queue.
    pub priority: Priority,
    /// Arguments behind the script's own.
    pub args: Vec<String>,
    /// Variables over the script's own.
    pub env: Variables,
    /// Less time than the script has.
    pub timeout: Option<Timeout>,
    /// The script's stdin.
    pub input: JsonInput,
    /// Files that it takes.
    pub files: RequestFiles,
    /// Time for which its files are kept.
    pub keep: Option<Keep>,
    /// Ids of the scripts whose executions the caller may see; `None` is all.
    pub scope: Option<Vec<i64>>,
    /// Shares whose files the caller's executions may read.
    pub share_access: ShareAccess,
}

/// An execution that can't get lost any more.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Its id.
    pub id: Uuid,
    /// The stored execution, if it was accepted now, and not when the same key came
    /// before.
    pub pending: Option<Box<ExecutionSummary>>,
    /// The files that it takes, with the same exception.
    pub files: Vec<InputFile>,
}

/// Reason that an execution is not accepted.
#[derive(Debug, Error)]
pub enum SubmitError {
    /// The script is disabled.
    #[error("the script {0} is disabled")]
    Disabled(String),
    /// Something of the request is wrong.
    #[error("the execution can't be accepted as it is")]
    Invalid(Vec<Fault>),
    /// Files that it is to take are not there, or not the caller's.
    #[error("files that the execution is to take are missing")]
    InputsMissing(Vec<Fault>),
    /// Files that it is to take are those of executions that have not ended.
    #[error("an execution whose files it is to take has not ended")]
    InputsPending(Vec<Fault>),
    /// The store of files failed.
    #[error("the files that the execution is to take can't be read")]
    Files(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Too many wait already.
    #[error("the queue is full: {limit} executions wait")]
    Full {
        /// Bound of the queue.
        limit: usize,
        /// Time until there is probably a place.
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
    /// Advice for the caller.
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
            Self::InputsMissing(_) => Some("upload them again, or run again what left them"),
            Self::InputsPending(_) => {
                Some("wait for its end first: GET /api/v1/executions/{id}/events tells it")
            }
            Self::Invalid(_) | Self::Files(_) => None,
        }
    }
}

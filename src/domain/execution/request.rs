//! What an execution is asked to do: frozen when it is accepted, so that nothing
//! that changes afterwards changes it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::domain::json_input::JsonInput;
use crate::domain::limits::{Limits, Timeout};
use crate::domain::sanitize::sanitize;
use crate::domain::variables::Variables;

/// Longest job id, in characters.
pub const MAX_JOB_ID_CHARS: usize = 200;

/// Longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// What is wrong with a request for an execution.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestFault {
    /// The priority is out of its bounds.
    #[error("priority {0} is not between -10 and 10")]
    Priority(i64),
    /// The key is empty, too long, or has other than printable ASCII.
    #[error("Idempotency-Key {0:?} is not 1 to 255 printable ASCII characters")]
    Key(String),
    /// The job id is empty, too long, or has control characters.
    #[error("job_id {0:?} is not 1 to {MAX_JOB_ID_CHARS} characters without control characters")]
    JobId(String),
}

/// Who should run first, from −10 (last) to 10.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(i8);

impl Priority {
    /// The first to run.
    pub const MAX: i8 = 10;

    /// Checks its bounds.
    ///
    /// # Errors
    /// [`RequestFault::Priority`].
    pub fn new(value: i64) -> Result<Self, RequestFault> {
        match i8::try_from(value) {
            Ok(small) if small.abs() <= Self::MAX => Ok(Self(small)),
            _ => Err(RequestFault::Priority(value)),
        }
    }

    /// Its number.
    #[must_use]
    pub fn value(self) -> i8 {
        self.0
    }
}

/// What a caller names a request by, so that sending it twice runs it once.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's own word for it.
    pub key: String,
    /// SHA-256 of what was asked for: the same key with another request is a
    /// mistake.
    pub fingerprint: [u8; 32],
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "IdempotencyKey({:?})", self.key)
    }
}

impl IdempotencyKey {
    /// Checks the key.
    ///
    /// # Errors
    /// [`RequestFault::Key`].
    pub fn new(key: &str, fingerprint: [u8; 32]) -> Result<Self, RequestFault> {
        let is_printable = key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if key.is_empty() || key.len() > MAX_KEY_BYTES || !is_printable {
            return Err(RequestFault::Key(sanitize(key)));
        }
        Ok(Self { key: key.to_owned(), fingerprint })
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's id.
    pub token_id: i64,
    /// The token's name.
    pub name: String,
}

/// What is taken from the request and from the settings that operators change at
/// any time. What the script itself says stands in its version, which never
/// changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionSnapshot {
    /// Arguments behind the script's own.
    pub args: Vec<String>,
    /// Variables over the script's own.
    pub env: Variables,
    /// What it may use.
    pub limits: Limits,
    /// How long it may take.
    pub timeout_secs: Timeout,
}

/// An execution that is to be accepted.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// A UUID of version 7.
    pub id: Uuid,
    /// The script.
    pub script_id: i64,
    /// The row of its version.
    pub version_id: i64,
    /// Who asks.
    pub caller: Caller,
    /// The job that it is for.
    pub job_id: Option<String>,
    /// What the caller names it by.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Who should run first.
    pub priority: Priority,
    /// What it depends on.
    pub snapshot: ExecutionSnapshot,
    /// What it reads from stdin.
    pub input: JsonInput,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

impl NewExecution {
    /// Checks a job id.
    ///
    /// # Errors
    /// [`RequestFault::JobId`].
    pub fn check_job_id(job_id: &str) -> Result<(), RequestFault> {
        let count = job_id.chars().count();
        if count == 0 || count > MAX_JOB_ID_CHARS || job_id.chars().any(char::is_control) {
            return Err(RequestFault::JobId(sanitize(job_id)));
        }
        Ok(())
    }
}

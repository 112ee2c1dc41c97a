//! Request for an execution, fixed when it is accepted: later changes of the script do not
//! affect it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::FilesSnapshot;
use crate::domain::json_input::JsonInput;
use crate::domain::limits::{Limits, Timeout};
use crate::domain::sanitize::sanitize;
use crate::domain::variables::Variables;

/// Longest job id, in characters.
pub const MAX_JOB_ID_CHARS: usize = 200;

/// Longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// Fault of a request for an execution.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestFault {
    /// The priority is out of its bounds.
    #[error("priority {0} is not between -10 and 10")]
    Priority(i64),
    /// The key is empty, too long, or not printable ASCII.
    #[error("Idempotency-Key {0:?} is not 1 to 255 printable ASCII characters")]
    Key(String),
    /// The job id is empty, too long, or has control characters.
    #[error("job_id {0:?} is not 1 to {MAX_JOB_ID_CHARS} characters without control characters")]
    JobId(String),
}

/// Priority from −10 (last) to 10 (first).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(i8);

impl Priority {
    /// Highest priority; the negative of it is the lowest.
    pub const MAX: i8 = 10;

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`RequestFault::Priority`].
    pub fn new(value: i64) -> Result<Self, RequestFault> {
        match i8::try_from(value) {
            Ok(small) if small.abs() <= Self::MAX => Ok(Self(small)),
            _ => Err(RequestFault::Priority(value)),
        }
    }

    /// The priority as a number.
    #[must_use]
    pub fn value(self) -> i8 {
        self.0
    }
}

/// Caller's name for a request: sending it twice runs it once.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Key chosen by the caller.
    pub key: String,
    /// SHA-256 of the request. The same key with another request is refused.
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

/// Token that made the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Token id.
    pub token_id: i64,
    /// Token name.
    pub name: String,
}

/// Values fixed for one execution: those of the request, and those of the settings that
/// operators may change at any time. The script's definition is in its version, which never
/// changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionSnapshot {
    /// Arguments appended to the script's own.
    pub args: Vec<String>,
    /// Variables that override the script's own.
    pub env: Variables,
    /// Limits.
    pub limits: Limits,
    /// Time limit.
    pub timeout_secs: Timeout,
    /// Files.
    // Absent without any, so that older servers on the same database read it.
    #[serde(default, skip_serializing_if = "FilesSnapshot::is_empty")]
    pub files: FilesSnapshot,
}

/// Execution to accept.
#[derive(Debug, Clone)]
pub struct NewExecution {
    /// UUID of version 7.
    pub id: Uuid,
    /// Script id.
    pub script_id: i64,
    /// Row id of the script version.
    pub version_id: i64,
    /// Token that made the request.
    pub caller: Caller,
    /// Id of the job that it belongs to.
    pub job_id: Option<String>,
    /// Caller's name for the request.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Priority.
    pub priority: Priority,
    /// Values fixed at acceptance.
    pub snapshot: ExecutionSnapshot,
    /// JSON input.
    pub input: JsonInput,
    /// Time at which it is accepted.
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

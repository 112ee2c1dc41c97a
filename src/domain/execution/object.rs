//! Execution as clients see it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Artifact, NewExecution, Report, SandboxReceipt, State, Usage, log_text};
use crate::domain::input_files::InputFile;
use crate::domain::outcome::ErrorKind;

/// Most files of each kind that one execution lists.
pub const MAX_LISTED_FILES: usize = 1_000;

/// Execution without its input and output.
#[derive(Debug, Clone, Serialize)]
pub struct ExecutionSummary {
    /// UUID of version 7; later executions have greater ones.
    pub id: Uuid,
    /// Id of the registered script; null for `gantry run`.
    pub script_id: Option<i64>,
    /// Script name.
    pub script_name: String,
    /// Version of the script, from 1; null for `gantry run`.
    pub version: Option<i64>,
    /// SHA-256 of the script's bytes, in hexadecimal.
    pub digest: String,
    /// Id of the job that it belongs to, chosen by the caller.
    pub job_id: Option<String>,
    /// Name of the token that submitted it.
    pub triggered_by: Option<String>,
    /// State: pending, running, completed, failed, timeout or cancelled.
    pub status: State,
    /// Kind of failure; null if it did not fail.
    pub error_kind: Option<ErrorKind>,
    /// Description of the failure.
    pub error_message: Option<String>,
    /// Priority from −10 to 10; greater ones run first.
    pub priority: i32,
    /// Bytes that the script wrote to stdout, kept or not.
    pub stdout_bytes: u64,
    /// Bytes that the script wrote to stderr, kept or not.
    pub stderr_bytes: u64,
    /// True if part of stdout was not kept, or the script's end was not seen.
    pub stdout_truncated: bool,
    /// True if part of stderr was not kept, or the script's end was not seen.
    pub stderr_truncated: bool,
    /// Exit code; −1 if a signal ended it, null if it has not ended or never ran.
    pub exit_code: Option<i32>,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
    /// Run time of the script, in milliseconds.
    pub duration_ms: Option<f64>,
    /// Time spent in the queue, in milliseconds.
    pub queue_ms: Option<f64>,
    /// Time spent on environment, sandbox and transport, in milliseconds: all time that was
    /// neither queueing nor the script's own.
    pub overhead_ms: Option<f64>,
    /// Resources used.
    pub usage: Option<Usage>,
    /// Place where it ran; null if it never ran.
    pub sandbox: Option<SandboxReceipt>,
    /// Number of attempts; more than one if an engine failed before the script had started.
    pub attempt: u32,
    /// Time at which the script's first instruction ran.
    pub started_at: Option<DateTime<Utc>>,
    /// Time at which it ended.
    pub completed_at: Option<DateTime<Utc>>,
    /// Time at which it was accepted.
    pub created_at: DateTime<Utc>,
    /// Time of its last change.
    pub updated_at: DateTime<Utc>,
}

impl ExecutionSummary {
    /// Summary of an execution that was just accepted.
    #[must_use]
    pub fn pending(new: &NewExecution, script_name: String, version: i64, digest: String) -> Self {
        Self {
            id: new.id,
            script_id: Some(new.script_id),
            script_name,
            version: Some(version),
            digest,
            job_id: new.job_id.clone(),
            triggered_by: Some(new.caller.name.clone()),
            status: State::Pending,
            error_kind: None,
            error_message: None,
            priority: new.priority.value().into(),
            stdout_bytes: 0,
            stderr_bytes: 0,
            stdout_truncated: false,
            stderr_truncated: false,
            exit_code: None,
            signal: None,
            duration_ms: None,
            queue_ms: None,
            overhead_ms: None,
            usage: None,
            sandbox: None,
            attempt: 0,
            started_at: None,
            completed_at: None,
            created_at: new.created_at,
            updated_at: new.created_at,
        }
    }
}

/// Execution with its input and output.
#[derive(Debug, Clone, Serialize)]
pub struct Execution {
    /// Everything but the following fields.
    #[serde(flatten)]
    pub summary: ExecutionSummary,
    /// Input from stdin, byte for byte.
    pub input_data: Option<Box<RawValue>>,
    /// Result: stdout or the output file, if it is one JSON document.
    pub output_data: Option<Box<RawValue>>,
    /// Text of stdout, with non-UTF-8 bytes replaced and a note where it was cut.
    pub stdout_log: String,
    /// Text of stderr, in the same form.
    pub stderr_log: String,
    /// The first [`MAX_LISTED_FILES`] files that it takes, below `/work/in`.
    pub files: Vec<InputFile>,
    /// Number of all files that it takes.
    pub file_count: u64,
    /// The first [`MAX_LISTED_FILES`] files that it left, including those that were not
    /// kept.
    pub artifacts: Vec<Artifact>,
    /// Number of all files that it left, including those that were not kept.
    pub artifact_count: u64,
}

impl Execution {
    /// Execution that ended with `report`, took no files and left none; `summary` and
    /// `input` are the stored values.
    #[must_use]
    pub fn ended(summary: ExecutionSummary, input: &str, report: &Report) -> Self {
        let (stdout_log, stderr_log) =
            log_text(&report.log, summary.stdout_bytes, summary.stderr_bytes);
        Self {
            input_data: RawValue::from_string(input.to_owned()).ok(),
            output_data: report.output.clone(),
            stdout_log,
            stderr_log,
            files: Vec::new(),
            file_count: 0,
            artifacts: Vec::new(),
            artifact_count: 0,
            summary,
        }
    }
}

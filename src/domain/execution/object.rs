//! The execution as everybody sees it.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{NewExecution, Report, State, log_text};
use crate::domain::confinement::{Confinement, SealedConfinement};
use crate::domain::outcome::ErrorKind;

/// All of one execution but what it read and printed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExecutionSummary {
    /// A UUID of version 7: later ones are greater.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// The registered script; null for `gantry run`.
    pub script_id: Option<i64>,
    /// The script's name.
    pub script_name: String,
    /// The script's version, from 1; null for `gantry run`.
    pub version: Option<i64>,
    /// SHA-256 of the script's bytes, in hexadecimal.
    pub digest: String,
    /// The job that it was made for, in the words of whoever made it.
    pub job_id: Option<String>,
    /// The name of the token that it was made with.
    pub triggered_by: Option<String>,
    /// pending, running, completed, failed, timeout or cancelled.
    #[schema(value_type = String)]
    pub status: State,
    /// Why it failed; null when it did not.
    pub error_kind: Option<ErrorKind>,
    /// The same in words.
    pub error_message: Option<String>,
    /// Greater ones run first, from −10 to 10.
    pub priority: i32,
    /// Bytes that the script wrote to stdout, kept or not.
    pub stdout_bytes: u64,
    /// Bytes that the script wrote to stderr, kept or not.
    pub stderr_bytes: u64,
    /// Not all of stdout was kept, or the script's end was not seen.
    pub stdout_truncated: bool,
    /// Not all of stderr was kept, or the script's end was not seen.
    pub stderr_truncated: bool,
    /// −1 when a signal ended it; null when it has not ended or never ran.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The script's own time, in milliseconds.
    pub duration_ms: Option<f64>,
    /// The time that it waited for a worker, in milliseconds.
    pub queue_ms: Option<f64>,
    /// All the time that was neither waiting nor the script's own, in
    /// milliseconds: environment, sandbox, transport.
    pub overhead_ms: Option<f64>,
    /// What it used.
    pub usage: Option<Usage>,
    /// Where it ran; null when it never did.
    pub sandbox: Option<SandboxReceipt>,
    /// How often it was given to a worker: more than once when an engine failed
    /// before the script had started.
    pub attempt: u32,
    /// When the script's first instruction ran.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was accepted.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: DateTime<Utc>,
    /// When anything of it last changed.
    #[schema(value_type = String, format = "date-time")]
    pub updated_at: DateTime<Utc>,
}

impl ExecutionSummary {
    /// An execution that was accepted just now.
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

/// All of one execution.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Execution {
    /// All but the following.
    #[serde(flatten)]
    pub summary: ExecutionSummary,
    /// What it read from stdin, byte for byte.
    #[schema(value_type = Option<serde_json::Value>)]
    pub input_data: Option<Box<RawValue>>,
    /// stdout, or the output file, when it is one JSON document.
    #[schema(value_type = Option<serde_json::Value>)]
    pub output_data: Option<Box<RawValue>>,
    /// stdout, with what is not UTF-8 replaced and a note where it was cut.
    pub stdout_log: String,
    /// stderr, in the same way.
    pub stderr_log: String,
    /// The files that it left, and those that were not taken.
    pub artifacts: Vec<Artifact>,
}

impl Execution {
    /// One that has ended with `report`, and left no artifacts: `summary` and `input`
    /// are what is stored of it.
    #[must_use]
    pub fn ended(summary: ExecutionSummary, input: &str, report: &Report) -> Self {
        let (stdout_log, stderr_log) =
            log_text(&report.log, summary.stdout_bytes, summary.stderr_bytes);
        Self {
            input_data: RawValue::from_string(input.to_owned()).ok(),
            output_data: report.output.clone(),
            stdout_log,
            stderr_log,
            artifacts: Vec::new(),
            summary,
        }
    }
}

/// What an execution used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, ToSchema)]
pub struct Usage {
    /// CPU time, user and system, in milliseconds.
    pub cpu_ms: f64,
    /// Most memory at once, in bytes.
    pub peak_memory_bytes: u64,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: u64,
}

/// Where an execution ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SandboxReceipt {
    /// The image's id.
    pub image: String,
    /// The container's name, which was unique.
    pub container_id: String,
    /// The machine; null for `gantry run`.
    pub node: Option<String>,
    /// Its container had been started before the execution came.
    pub warm: bool,
    /// True when the script's interpreter waited in it with the modules imported, false
    /// when it started with the execution. Null for scripts that are not Python, until
    /// the execution has ended, and when its end was not seen.
    pub preloaded: Option<bool>,
    /// Why `preloaded` is false; null when it is not.
    pub preload_reason: Option<String>,
    /// How the container was confined, as the engine says. Left out of lists, until the
    /// execution has ended, and when the engine did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Confinement>, nullable = false)]
    pub confinement: Option<SealedConfinement>,
}

impl SandboxReceipt {
    /// Notes that the script's modules had been imported, or why they had not.
    pub fn note_preload(&mut self, preload: Result<(), String>) {
        self.preloaded = Some(preload.is_ok());
        self.preload_reason = preload.err();
    }
}

/// A file that a script left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Artifact {
    /// A relative path, with `/` between components.
    pub name: String,
    /// Its size in bytes; 0 when it was not taken.
    pub bytes: u64,
    /// Why it was not taken; null when it was.
    pub skipped: Option<String>,
}

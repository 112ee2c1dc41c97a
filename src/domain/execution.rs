//! An execution as everybody sees it: the object that CONTRACT fixes, with the
//! fields that are known once it has ended.

use serde::Serialize;
use serde_json::value::RawValue;

use super::outcome::{ErrorKind, Status};

/// One finished execution.
#[derive(Debug, Clone, Serialize)]
pub struct Execution {
    /// A UUID of version 7: later ones are greater.
    pub id: String,
    /// The script's name.
    pub script_name: String,
    /// SHA-256 of the script's bytes, in hexadecimal.
    pub digest: String,
    /// Its final state.
    pub status: Status,
    /// Why it failed.
    pub error_kind: Option<ErrorKind>,
    /// The same in words.
    pub error_message: Option<String>,
    /// What it read from stdin, byte for byte.
    pub input_data: Option<Box<RawValue>>,
    /// stdout, or the output file, when it is one JSON document.
    pub output_data: Option<Box<RawValue>>,
    /// stdout, with what is not UTF-8 replaced and a note where it was cut.
    pub stdout_log: String,
    /// stderr, in the same way.
    pub stderr_log: String,
    /// Bytes that the script wrote to stdout.
    pub stdout_bytes: u64,
    /// Bytes that the script wrote to stderr.
    pub stderr_bytes: u64,
    /// Not all of stdout was kept.
    pub stdout_truncated: bool,
    /// Not all of stderr was kept.
    pub stderr_truncated: bool,
    /// −1 when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The script's own time, in milliseconds.
    pub duration_ms: f64,
    /// All the time that was not the script's, in milliseconds: environment,
    /// sandbox, transport.
    pub overhead_ms: f64,
    /// What it used.
    pub usage: Usage,
    /// Where it ran; `None` when it never did.
    pub sandbox: Option<SandboxReceipt>,
    /// The files that it left, and those that were not taken.
    pub artifacts: Vec<Artifact>,
    /// RFC 3339, UTC.
    pub started_at: Option<String>,
    /// RFC 3339, UTC.
    pub completed_at: String,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// What an execution used.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    /// CPU time, user and system, in milliseconds.
    pub cpu_ms: f64,
    /// Most memory at once, in bytes.
    pub peak_memory_bytes: u64,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: u64,
}

/// Where an execution ran.
#[derive(Debug, Clone, Serialize)]
pub struct SandboxReceipt {
    /// The image's id.
    pub image: String,
    /// The container's name, which was unique.
    pub container_id: String,
    /// Its container had been started before the execution came.
    pub warm: bool,
}

/// A file that a script left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// A relative path, with `/` between components.
    pub name: String,
    /// Its size in bytes; 0 when it was not taken.
    pub bytes: u64,
    /// Why it was not taken.
    pub skipped: Option<&'static str>,
}

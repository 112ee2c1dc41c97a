//! Report of an ended execution, written once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::{Artifact, SandboxReceipt, Usage};
use crate::domain::json_input::JsonFault;
use crate::domain::outcome::Outcome;
use crate::domain::output_log::OutputLog;

/// End of an execution, with all its output.
#[derive(Debug, Clone)]
pub struct Report {
    /// Outcome.
    pub outcome: Outcome,
    /// Result: stdout or the output file, if it is one JSON document.
    pub output: Option<Box<RawValue>>,
    /// Place where the result is not JSON, if all of it was kept.
    pub output_fault: Option<JsonFault>,
    /// Kept parts of stdout and stderr.
    pub log: OutputLog,
    /// Bytes that the script wrote to stdout, kept or not.
    pub stdout_bytes: u64,
    /// Bytes that the script wrote to stderr, kept or not.
    pub stderr_bytes: u64,
    /// True if the script may have written more to stdout, because its end was not seen.
    pub is_stdout_unknown: bool,
    /// True if the script may have written more to stderr, because its end was not seen.
    pub is_stderr_unknown: bool,
    /// Run time of the script; `None` if it never ran.
    pub duration: Option<Duration>,
    /// Duration of the attempt.
    pub took: Duration,
    /// Resources used; `None` if it never ran.
    pub usage: Option<Usage>,
    /// Place where it ran; `None` if it never ran.
    pub sandbox: Option<SandboxReceipt>,
    /// Files that it left.
    pub artifacts: Vec<Artifact>,
    /// Time at which its files are given up; `None` if they stay as long as it does.
    pub kept_until: Option<DateTime<Utc>>,
    /// Time at which the script's first instruction ran.
    pub started_at: Option<DateTime<Utc>>,
    /// Time at which it ended.
    pub completed_at: DateTime<Utc>,
}

impl Report {
    /// Report of an execution that never reached a sandbox.
    #[must_use]
    pub fn unstarted(outcome: Outcome, completed_at: DateTime<Utc>) -> Self {
        Self {
            outcome,
            output: None,
            output_fault: None,
            log: OutputLog::default(),
            stdout_bytes: 0,
            stderr_bytes: 0,
            is_stdout_unknown: false,
            is_stderr_unknown: false,
            duration: None,
            took: Duration::ZERO,
            usage: None,
            sandbox: None,
            artifacts: Vec::new(),
            kept_until: None,
            started_at: None,
            completed_at,
        }
    }

    /// True if part of stdout was not kept, or may not have been.
    #[must_use]
    pub fn is_stdout_truncated(&self) -> bool {
        self.is_stdout_unknown || self.stdout_bytes > self.log.stdout().len() as u64
    }

    /// True if part of stderr was not kept, or may not have been.
    #[must_use]
    pub fn is_stderr_truncated(&self) -> bool {
        self.is_stderr_unknown || self.stderr_bytes > self.log.stderr().len() as u64
    }

    /// Duration of the attempt without the script's own run time.
    #[must_use]
    pub fn overhead(&self) -> Duration {
        self.took.saturating_sub(self.duration.unwrap_or_default())
    }
}

/// A duration in milliseconds, to the microsecond.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "f64 counts microseconds exactly for 285 years")]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// Both streams as text, with non-UTF-8 bytes replaced and a note where they were cut.
/// `stdout_bytes` and `stderr_bytes` are the sizes that the script wrote.
#[must_use]
pub fn log_text(log: &OutputLog, stdout_bytes: u64, stderr_bytes: u64) -> (String, String) {
    (
        stream_text(log.stdout(), stdout_bytes, "stdout"),
        stream_text(log.stderr(), stderr_bytes, "stderr"),
    )
}

fn stream_text(kept: &[u8], written: u64, name: &str) -> String {
    let mut text = String::from_utf8_lossy(kept).into_owned();
    let kept = kept.len() as u64;
    if written > kept {
        text.push_str(&format!(
            "\n[gantry: {name} was cut here, {kept} of {written} bytes kept]\n"
        ));
    }
    text
}

//! What is known of an execution once it has ended, and written once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use super::{Artifact, SandboxReceipt, Usage};
use crate::domain::json_input::JsonFault;
use crate::domain::outcome::Outcome;
use crate::domain::output_log::OutputLog;

/// How an execution ended, and everything that it left.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// stdout, or the output file, when it is one JSON document.
    pub output: Option<Box<RawValue>>,
    /// The place at which that is not one JSON document, when all of it was kept.
    pub output_fault: Option<JsonFault>,
    /// What was kept of stdout and stderr.
    pub log: OutputLog,
    /// Bytes that the script wrote to stdout, kept or not.
    pub stdout_bytes: u64,
    /// Bytes that the script wrote to stderr, kept or not.
    pub stderr_bytes: u64,
    /// The script may have written more to stdout than was heard: its end was not seen.
    pub is_stdout_unknown: bool,
    /// The same of stderr.
    pub is_stderr_unknown: bool,
    /// The script's own time; `None` when it never ran.
    pub duration: Option<Duration>,
    /// From the beginning of the attempt to its end.
    pub took: Duration,
    /// What it used; `None` when it never ran.
    pub usage: Option<Usage>,
    /// Where it ran; `None` when it never did.
    pub sandbox: Option<SandboxReceipt>,
    /// The files that it left.
    pub artifacts: Vec<Artifact>,
    /// When the script's first instruction ran.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
}

impl Report {
    /// The report of an execution that never came to a sandbox.
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
            started_at: None,
            completed_at,
        }
    }

    /// Not all of stdout was kept, or it is not known whether it was.
    #[must_use]
    pub fn is_stdout_truncated(&self) -> bool {
        self.is_stdout_unknown || self.stdout_bytes > self.log.stdout().len() as u64
    }

    /// Not all of stderr was kept, or it is not known whether it was.
    #[must_use]
    pub fn is_stderr_truncated(&self) -> bool {
        self.is_stderr_unknown || self.stderr_bytes > self.log.stderr().len() as u64
    }

    /// All of the attempt that was not the script's own time.
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

/// Both streams as text: what is not UTF-8 replaced, and a note where they were
/// cut. `stdout_bytes` and `stderr_bytes` are what the script wrote.
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

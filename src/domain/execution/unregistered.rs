//! Execution of an unregistered file, as `gantry run` shows it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::report::log_text;
use super::{Execution, ExecutionSummary, Report, State, milliseconds};
use crate::domain::job::Job;

impl Execution {
    /// Execution object of a job that was run without a server.
    #[must_use]
    pub fn unregistered(id: Uuid, job: &Job, created_at: DateTime<Utc>, report: Report) -> Self {
        let (stdout_log, stderr_log) =
            log_text(&report.log, report.stdout_bytes, report.stderr_bytes);
        Self {
            summary: summary(id, job, created_at, &report),
            // The input was checked to be one JSON document.
            input_data: job.input.as_ref().and_then(|it| serde_json::from_str(it.as_str()).ok()),
            output_data: report.output,
            stdout_log,
            stderr_log,
            files: Vec::new(),
            file_count: job.inputs.len() as u64,
            artifact_count: report.artifacts.len() as u64,
            artifacts: report.artifacts,
        }
    }
}

fn summary(id: Uuid, job: &Job, created_at: DateTime<Utc>, report: &Report) -> ExecutionSummary {
    let outcome = report.outcome.clone();
    ExecutionSummary {
        id,
        script_id: None,
        script_name: job.script_name.clone(),
        version: None,
        digest: job.script.digest(),
        job_id: None,
        triggered_by: None,
        status: State::Ended(outcome.status),
        error_kind: outcome.error_kind,
        error_message: outcome.error_message,
        priority: 0,
        stdout_bytes: report.stdout_bytes,
        stderr_bytes: report.stderr_bytes,
        stdout_truncated: report.is_stdout_truncated(),
        stderr_truncated: report.is_stderr_truncated(),
        exit_code: outcome.exit_code,
        signal: outcome.signal,
        duration_ms: report.duration.map(milliseconds),
        queue_ms: None,
        overhead_ms: Some(milliseconds(report.overhead())),
        usage: report.usage,
        sandbox: report.sandbox.clone(),
        attempt: 1,
        started_at: report.started_at,
        completed_at: Some(report.completed_at),
        created_at,
        updated_at: report.completed_at,
    }
}

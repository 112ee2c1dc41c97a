//! Test run of a script.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::execution_request::{RequestVariables, check_args};
use super::submit::{read_back, unread};
use crate::domain::execution::{Execution, Priority, State as Stage};
use crate::domain::fault::Fault;
use crate::domain::input_files::{RequestFiles, SentFiles};
use crate::domain::json_input::JsonInput;
use crate::domain::limits::{GRACE, Timeout};
use crate::http::auth::Identity;
use crate::http::executions::BudgetedExecution;
use crate::http::extract::{JsonBytes, WITH_INPUT};
use crate::http::fields::BodyFields;
use crate::http::offload::offload_if_large;
use crate::http::path::NamedScript;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::http::submission::{read_input, submission, submit_awaited};
use crate::orchestrator::Submission;

/// Longest wait for the queue and for an environment's build before the script starts.
const BEFORE: Duration = Duration::from_secs(600);

/// A test run of a script.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestRequest {
    /// The script's stdin, byte for byte; `{}` by default.
    #[schema(value_type = serde_json::Value)]
    #[expect(dead_code, reason = "it is taken out as it stands, before the rest is read")]
    #[serde(default)]
    test_data: Option<IgnoredAny>,
    /// Arguments after the script's own.
    #[serde(default)]
    args: Vec<String>,
    /// Environment variables that override the script's own.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    env: RequestVariables,
    /// Timeout in seconds; at most the script's own.
    #[schema(value_type = Option<f64>, minimum = 0.1, maximum = 86400)]
    timeout_secs: Option<Timeout>,
    /// Files that the script finds below `/work/in`, as executions take them.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    files: SentFiles,
}

/// Result of a test run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TestResult {
    /// Id of the execution, which stays in the history.
    #[schema(value_type = String, format = "uuid")]
    execution_id: Uuid,
    /// State of the execution.
    #[schema(value_type = String, example = "completed")]
    status: Stage,
    /// The error in words; null unless it failed.
    error_message: Option<String>,
    /// The script's stdout.
    stdout: String,
    /// The script's stderr.
    stderr: String,
    /// −1 if a signal ended the script.
    exit_code: Option<i32>,
    /// Run time of the script alone, in milliseconds.
    duration_ms: Option<f64>,
    /// stdout, or the output file, if it is one JSON document.
    #[schema(value_type = Option<serde_json::Value>)]
    parsed_output: Option<Box<RawValue>>,
}

impl From<Execution> for TestResult {
    fn from(execution: Execution) -> Self {
        let summary = execution.summary;
        Self {
            execution_id: summary.id,
            status: summary.status,
            error_message: summary.error_message,
            stdout: execution.stdout_log,
            stderr: execution.stderr_log,
            exit_code: summary.exit_code,
            duration_ms: summary.duration_ms,
            parsed_output: execution.output_data,
        }
    }
}

/// Tests a script
///
/// Runs the script with the highest priority and answers when the execution has ended.
/// Answers 202 if it has not: its environment took longer than ten minutes to build, the
/// server is stopping, the token was revoked meanwhile, too many requests are waiting, or
/// the result can't be read right now. The execution goes on if the caller disconnects.
#[utoipa::path(
    post, path = "/api/v1/admin/scripts/{id}/test", tag = "scripts",
    params(("id" = String, Path, description = "The script's id or name")),
    request_body(content = TestRequest, example = json!({"test_data": {"city": "Turin"}})),
    responses(
        (status = 200, description = "The execution has ended", body = TestResult),
        (status = 202, description = "The execution has not ended yet, or can't be read right now", body = TestResult),
        (status = 409, description = "The script is disabled"),
        (status = 429, description = "The queue is full"),
    )
)]
pub(super) async fn test_script(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(script): NamedScript,
    JsonBytes(body, held): JsonBytes<WITH_INPUT>,
) -> Result<Response, Problem> {
    let (request, input) = offload_if_large(body.len(), move || parse(&body)).await?;
    let (env, mut faults) = request.env.check("/env");
    check_args(&request.args, &mut |pointer, detail| faults.push(Fault::new(pointer, detail)));
    let files = request.files.check("/files").unwrap_or_else(|wrong| {
        faults.extend(wrong);
        RequestFiles::default()
    });
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let permit = state.streams().wait(identity.taker());
    let timeout = request.timeout_secs.unwrap_or(script.settings.timeout_secs);
    let at_most = timeout.duration() + GRACE + BEFORE;
    let submission = Submission {
        priority: Priority::new(Priority::MAX.into()).unwrap_or_default(),
        args: request.args,
        env,
        timeout: request.timeout_secs,
        files,
        ..submission(&identity, script, input)
    };
    let (accepted, waiter) = submit_awaited(&state, submission).await?;
    drop(held);
    let waiting = permit.as_ref().map(|_| (waiter, at_most));
    let read = read_back(&state, &identity, accepted.id, waiting).await;
    let BudgetedExecution { execution, held } = match (read, accepted.pending) {
        (Ok(whole), _) => whole,
        (Err(problem), Some(pending)) => unread(*pending, &problem),
        (Err(problem), None) => return Err(problem),
    };
    let has_ended = execution.summary.status.has_ended();
    let status = if has_ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(held.json(status, TestResult::from(execution)).await)
}

fn parse(body: &[u8]) -> Result<(TestRequest, JsonInput), Problem> {
    let mut fields = BodyFields::parse(body)?;
    let input = read_input(fields.take("test_data"), "/test_data")?;
    Ok((fields.into_value()?, input))
}

//! Submits an execution and waits for it.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::execution_request::{ExecutionRequest, ValidatedRequest};
use crate::access::AccessError;
use crate::domain::execution::{Execution, ExecutionSummary, IdempotencyKey, MAX_LISTED_FILES};
use crate::domain::input_files::InputFile;
use crate::http::auth::Identity;
use crate::http::executions::{BudgetedExecution, whole};
use crate::http::extract::{JsonBytes, WITH_INPUT};
use crate::http::headers::{idempotency_key, wait_preferred};
use crate::http::memory::MemoryPermit;
use crate::http::offload::offload_if_large;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::http::submission::{submission, submit, submit_awaited};
use crate::orchestrator::{Submission, Waiter};

/// Header with the applied preferences (RFC 7240, 3).
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Submits an execution
///
/// Stores the execution durably before it answers. With `Prefer: wait=SECONDS` (at most
/// 600) it waits for the end and answers 200; it answers 202 if the time is over first, if
/// the token is revoked meanwhile, or if the execution can't be read right now, and at
/// once, without `Preference-Applied`, if too many requests are waiting. The execution goes
/// on if the caller disconnects. A request with an `Idempotency-Key` that the same token
/// has sent before returns the first execution; a different request under the same key is
/// refused (422).
#[utoipa::path(
    post, path = "/api/v1/executions", tag = "executions",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII \
            characters: a request that is sent again runs once", max_length = 255),
        ("Prefer" = Option<String>, Header, description = "`wait=SECONDS` (RFC 7240)",
            example = "wait=30"),
    ),
    request_body(content = ExecutionRequest, example = json!({
        "script": "weather",
        "input": {"city": "Turin", "days": 3},
        "job_id": "nightly-2026-11-22",
        "timeout_secs": 30
    })),
    responses(
        (status = 200, description = "The execution has ended", body = Execution, headers(
            ("Location" = String, description = "URL of the execution"),
            ("Preference-Applied" = String, description = "`wait=SECONDS`"))),
        (status = 202, description = "The execution was accepted and has not ended, or can't \
            be read right now; `input_data` may be null then", body = Execution, headers(
            ("Location" = String, description = "URL of the execution"))),
        (status = 409, description = "The script is disabled, or an execution whose files it is to \
            take has not ended"),
        (status = 422, description = "The request is wrong, or files that it is to take are missing"),
        (status = 429, description = "The queue is full"),
    )
)]
pub(super) async fn submit_execution(
    State(state): State<AppState>,
    identity: Identity,
    headers: HeaderMap,
    JsonBytes(body, held): JsonBytes<WITH_INPUT>,
) -> Result<Response, Problem> {
    let preferred = wait_preferred(&headers)?;
    let key = idempotency_key(&headers)?;
    let (request, input) =
        offload_if_large(body.len(), move || ValidatedRequest::parse(&body)).await?;
    // Waiting is optional: a caller without a permit is answered on acceptance.
    let permit = preferred.and_then(|_| state.streams().wait(identity.taker()));
    let wait = preferred.filter(|_| permit.is_some());
    // A waiting caller gets the stored result.
    let input = input.filter(|_| wait.is_none());
    let (script, version) = request.resolve(&state, &identity).await?;
    let (request, idempotency_key) = keyed(request, key, script.id).await?;
    let submission = Submission {
        version,
        job_id: request.job_id,
        idempotency_key,
        priority: request.priority,
        args: request.args,
        env: request.env,
        timeout: request.timeout,
        files: request.files,
        keep: request.keep,
        ..submission(&identity, script, request.input)
    };
    let (accepted, waiting) = match wait {
        None => (submit(&state, submission).await?, None),
        Some(at_most) => {
            let (accepted, waiter) = submit_awaited(&state, submission).await?;
            (accepted, Some((waiter, at_most)))
        }
    };
    let id = accepted.id;
    if let (None, Some(pending)) = (wait, &accepted.pending) {
        let stored = as_stored((**pending).clone(), input, accepted.files);
        let stored = BudgetedExecution { held, ..stored };
        return Ok(answer(stored, None).await);
    }
    drop(held);
    let read = read_back(&state, &identity, id, waiting).await;
    drop(permit);
    match (read, accepted.pending) {
        (Ok(whole), _) => Ok(answer(whole, wait).await),
        // It is accepted; an error would make the caller send it again.
        (Err(problem), Some(pending)) => Ok(answer(unread(*pending, &problem), None).await),
        // It was submitted before under its key: a retry does not run twice.
        (Err(problem), None) => Err(problem),
    }
}

/// Returns the validated request and its idempotency key.
async fn keyed(
    request: ValidatedRequest,
    key: Option<String>,
    script_id: i64,
) -> Result<(ValidatedRequest, Option<IdempotencyKey>), Problem> {
    let Some(key) = key else { return Ok((request, None)) };
    offload_if_large(request.input.as_str().len(), move || {
        let key = IdempotencyKey::new(&key, request.fingerprint(script_id))
            .map_err(|error| Problem::parameter("Idempotency-Key", error.to_string()))?;
        Ok((request, Some(key)))
    })
    .await
}

/// Returns a whole execution after its end or after a time, whichever is first.
///
/// # Errors
/// [`AccessError::Unknown`] if the caller's token ends meanwhile.
pub(super) async fn read_back(
    state: &AppState,
    identity: &Identity,
    id: Uuid,
    waiting: Option<(Waiter, Duration)>,
) -> Result<BudgetedExecution, Problem> {
    if let Some((waiter, at_most)) = waiting {
        tokio::select! {
            ended = waiter.wait(at_most) => if let Some(execution) = ended? {
                return Ok(BudgetedExecution { execution, held: MemoryPermit::default() });
            },
            () = state.stopping.cancelled() => {}
            () = identity.until_expired(state) => return Err(AccessError::Unknown.into()),
        }
    }
    whole(state, identity, id).await
}

/// Returns an accepted execution that can't be read back, as it was accepted.
pub(super) fn unread(accepted: ExecutionSummary, problem: &Problem) -> BudgetedExecution {
    tracing::warn!(execution = %accepted.id, ?problem, "answered as it was accepted");
    as_stored(accepted, None, Vec::new())
}

/// Returns a newly stored execution without reading it back.
fn as_stored(
    summary: ExecutionSummary,
    input: Option<Box<RawValue>>,
    files: Vec<InputFile>,
) -> BudgetedExecution {
    let execution = Execution {
        summary,
        input_data: input,
        output_data: None,
        stdout_log: String::new(),
        stderr_log: String::new(),
        file_count: files.len() as u64,
        files: files.into_iter().take(MAX_LISTED_FILES).collect(),
        artifacts: Vec::new(),
        artifact_count: 0,
    };
    BudgetedExecution { execution, held: MemoryPermit::default() }
}

async fn answer(
    BudgetedExecution { execution, held }: BudgetedExecution,
    wait: Option<Duration>,
) -> Response {
    let has_ended = execution.summary.status.has_ended();
    let status = if has_ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    let id = execution.summary.id;
    let mut response = held.json(status, execution).await;
    let mut set = |name, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(LOCATION, format!("/api/v1/executions/{id}"));
    if let Some(wait) = wait {
        set(PREFERENCE_APPLIED, format!("wait={}", wait.as_secs()));
    }
    response
}

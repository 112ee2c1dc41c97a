//! Submissions of executions, whichever entrance they come in by.

use serde_json::value::RawValue;
use tracing::field::display;

use super::auth::Identity;
use super::problem::{Kind, Problem};
use super::state::AppState;
use crate::domain::execution::Priority;
use crate::domain::input_files::RequestFiles;
use crate::domain::json_input::{JsonInput, JsonInputError};
use crate::domain::registry::RegisteredScript;
use crate::domain::variables::Variables;
use crate::orchestrator::{Accepted, Submission, Waiter};

/// Submission by a caller, with defaults for all that a request may leave out. Entrances set what
/// theirs says, and nothing else.
pub(crate) fn submission(
    identity: &Identity,
    script: RegisteredScript,
    input: JsonInput,
) -> Submission {
    Submission {
        script,
        version: None,
        caller: identity.caller(),
        role: identity.role(),
        job_id: None,
        idempotency_key: None,
        priority: Priority::default(),
        args: Vec::new(),
        env: Variables::default(),
        timeout: None,
        input,
        files: RequestFiles::default(),
        keep: None,
        scope: identity.scope().cloned(),
        share_access: identity.share_access(),
    }
}

/// Submits an execution, and notes its id in the request's log line.
pub(crate) async fn submit(state: &AppState, submission: Submission) -> Result<Accepted, Problem> {
    let accepted = state.executions.submit(submission).await?;
    tracing::Span::current().record("execution", display(accepted.id));
    Ok(accepted)
}

/// Submits an execution whose end the caller waits for, and notes its id in the request's log line.
pub(crate) async fn submit_awaited(
    state: &AppState,
    submission: Submission,
) -> Result<(Accepted, Waiter), Problem> {
    let (accepted, waiter) = state.executions.submit_awaited(submission).await?;
    tracing::Span::current().record("execution", display(accepted.id));
    Ok((accepted, waiter))
}

/// Input for requests without one.
pub(crate) const NO_INPUT: &str = "{}";

/// Raw input of a body; `{}` if it is absent.
pub(crate) fn read_input(raw: Option<&RawValue>, pointer: &str) -> Result<JsonInput, Problem> {
    let input = match raw {
        Some(raw) => JsonInput::from_raw(raw),
        None => JsonInput::parse(NO_INPUT.as_bytes().to_vec()),
    };
    input.map_err(|error| {
        let kind = match error {
            JsonInputError::TooLarge(_) => Kind::TooLarge,
            JsonInputError::Empty | JsonInputError::Invalid(_) => Kind::Malformed,
        };
        let problem = Problem::new(kind, error.to_string()).at(pointer);
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    })
}

//! Environments by the key in a path, and their build logs.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::path::PathText;
use super::problem::Problem;
use super::state::AppState;

/// Characters of a key: SHA-256 in hexadecimal.
const KEY_CHARS: usize = 64;

/// Sends the build log of an environment.
pub(crate) async fn send_environment_log(
    State(state): State<AppState>,
    path: PathText,
) -> Result<Response, Problem> {
    let log = state.store.environment_log(key(&path)?).await?.ok_or_else(missing)?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], log).into_response())
}

/// Key of the environment in a path.
pub(crate) fn key(path: &PathText) -> Result<&str, Problem> {
    let key = path.get("key");
    let is_key = key.len() == KEY_CHARS && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key.then_some(key).ok_or_else(missing)
}

/// Problem of an unknown environment.
pub(crate) fn missing() -> Problem {
    Problem::not_found("environment")
}

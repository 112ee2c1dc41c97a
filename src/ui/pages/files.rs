//! Files for the forms of the console: a page's module sends them ahead of their form, and the page
//! of an execution shows what it took.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::domain::file::UploadKeep;
use crate::http::files::{SentLabel, find, receive, refuse, send_file};
use crate::http::path::PathText;
use crate::http::problem::{IsAnswer, Problem};
use crate::http::query::Query;
use crate::http::state::AppState;
use crate::ui::form::not_of_session;
use crate::ui::session::CurrentUser;
use crate::ui::upload_form::plain_name;

/// Header with the session's token for forms: the body is the file, and has no field for it.
const TOKEN_HEADER: &str = "gantry-form-token";

/// Receives a file whole, and tells its digest, or why it is refused.
pub(in crate::ui) async fn upload(
    State(state): State<AppState>,
    user: CurrentUser,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    match received(&state, &user, query, &headers, body).await {
        Ok(answer) => Ok((StatusCode::CREATED, Json(answer)).into_response()),
        Err(problem) if is_of_the_user(problem.status()) => {
            let hint = problem.what_to_do().map_or(String::new(), |it| format!("; {it}"));
            let detail = format!("{}{hint}", problem.detail());
            let mut answer = (problem.status(), Json(json!({"detail": detail}))).into_response();
            answer.extensions_mut().insert(IsAnswer);
            Ok(answer)
        }
        Err(problem) => Err(problem),
    }
}

/// True for refusals that the user can do something about, a full disk included.
fn is_of_the_user(status: StatusCode) -> bool {
    status.is_client_error() || status == StatusCode::INSUFFICIENT_STORAGE
}

async fn received(
    state: &AppState,
    user: &CurrentUser,
    mut query: Query,
    headers: &HeaderMap,
    body: Body,
) -> Result<Value, Problem> {
    let token = headers.get(TOKEN_HEADER).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let checked = user.owns(token).then_some(()).ok_or_else(not_of_session);
    let named = checked.and_then(|()| query.text("name"));
    let label = named.and_then(|name| {
        let name = plain_name(&name.unwrap_or_default());
        SentLabel::new(Some(name.clone()), None, UploadKeep::default()).map(|label| (name, label))
    });
    let (name, label) = match label {
        Ok(label) => label,
        Err(problem) => return Err(refuse(headers, body, problem).await),
    };
    let stored = receive(state, &user.identity, headers, body, (None, label)).await?;
    Ok(json!({"name": name, "digest": stored.digest, "bytes": stored.bytes}))
}

/// Sends a file that the user may see.
pub(in crate::ui) async fn send(
    State(state): State<AppState>,
    user: CurrentUser,
    method: Method,
    headers: HeaderMap,
    path: PathText,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("file");
    let digest = path.get("digest").parse().map_err(|_| missing())?;
    let seen = find(&state, &user.identity, digest).await?;
    let name = seen.name.unwrap_or_default();
    send_file(&state, (&method, &headers), digest, &name).await
}

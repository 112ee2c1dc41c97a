//! Downloads of an execution's input, log and output: byte for byte, and never rendered by a
//! browser.

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::domain::execution::Execution;
use crate::domain::output_log::{OutputLog, Position};
use crate::files::ArchiveKind;
use crate::http::artifacts::send_artifacts;
use crate::http::content::disposition;
use crate::http::executions::{BudgetedExecution, find, room, whole};
use crate::http::memory::MemoryPermit;
use crate::http::path::ExecutionId;
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;
use crate::ui::form::PageFields;
use crate::ui::session::CurrentUser;

/// Sends the stored bytes of one stream, or of both in order of arrival.
pub(in crate::ui) async fn download_log(
    State(state): State<AppState>,
    user: CurrentUser,
    ExecutionId(id): ExecutionId,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let summary = find(&state, &user.identity, id).await?;
    let kept: fn(&OutputLog) -> Vec<u8> = match fields.text("stream") {
        "stdout" => |log: &OutputLog| log.stdout().to_vec(),
        "stderr" => |log: &OutputLog| log.stderr().to_vec(),
        "" | "both" => in_order,
        _ => return Err(Problem::parameter("stream", "it is one of stdout, stderr and both")),
    };
    if !summary.status.has_ended() {
        return Err(Problem::new(Kind::Conflict, "the execution has not ended yet")
            .hint("its log can be downloaded when it has"));
    }
    let held = room(&state, &user.identity, id).await?;
    let log = state.store.log(id).await?.unwrap_or_default();
    let what = fields.given("stream").filter(|stream| *stream != "both").unwrap_or("log");
    let name = format!("{}-{id}.{what}.txt", summary.script_name);
    Ok(attachment(held, kept(&log), "text/plain; charset=utf-8", &name))
}

fn in_order(log: &OutputLog) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(log.stdout().len() + log.stderr().len());
    let mut position = Position::default();
    while let Some((_, piece, after)) = log.next_piece(position, usize::MAX) {
        bytes.extend_from_slice(piece);
        position = after;
    }
    bytes
}

/// Sends the input.
pub(in crate::ui) async fn download_input(
    State(state): State<AppState>,
    user: CurrentUser,
    ExecutionId(id): ExecutionId,
) -> Result<Response, Problem> {
    document(&state, &user, id, "input", |execution| execution.input_data).await
}

/// Sends the output.
pub(in crate::ui) async fn download_output(
    State(state): State<AppState>,
    user: CurrentUser,
    ExecutionId(id): ExecutionId,
) -> Result<Response, Problem> {
    document(&state, &user, id, "output", |execution| execution.output_data).await
}

/// Sends all files that it left, as a ZIP.
pub(in crate::ui) async fn download_outputs(
    State(state): State<AppState>,
    user: CurrentUser,
    ExecutionId(id): ExecutionId,
    method: Method,
) -> Result<Response, Problem> {
    find(&state, &user.identity, id).await?;
    send_artifacts(&state, &method, id, "", ArchiveKind::Zip).await
}

async fn document(
    state: &AppState,
    user: &CurrentUser,
    id: Uuid,
    what: &str,
    chosen: fn(Execution) -> Option<Box<RawValue>>,
) -> Result<Response, Problem> {
    let summary = find(state, &user.identity, id).await?;
    let BudgetedExecution { execution, held } = whole(state, &user.identity, id).await?;
    let document = chosen(execution).ok_or_else(|| Problem::not_found(what))?;
    let name = format!("{}-{id}.{what}.json", summary.script_name);
    let text = Box::<str>::from(document).into_string();
    Ok(attachment(held, text, "application/json", &name))
}

fn attachment(
    held: MemoryPermit,
    content: impl AsRef<[u8]> + Send + 'static,
    media_type: &'static str,
    name: &str,
) -> Response {
    let fixed = HeaderValue::from_static;
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, fixed(media_type)),
        (CONTENT_DISPOSITION, disposition(name)),
        (CONTENT_SECURITY_POLICY, fixed("default-src 'none'; sandbox")),
        (CACHE_CONTROL, fixed("no-store")),
    ]);
    (headers, held.body(content)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::output_log::StreamName::{Stderr, Stdout};

    #[test]
    fn both_streams_come_as_they_came() {
        let mut log = OutputLog::default();
        for (stream, text) in [(Stdout, "a\n"), (Stderr, "b\n"), (Stdout, "c\n"), (Stderr, "þ")] {
            log.append(stream, text.as_bytes());
        }
        log.append(Stdout, b"\xff");
        assert_eq!(in_order(&log), b"a\nb\nc\n\xc3\xbe\xff");
    }
}

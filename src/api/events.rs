//! Live updates of an execution, as the document describes them.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa::ToSchema;

use crate::http::auth::Identity;
use crate::http::events;
use crate::http::path::ExecutionId;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::state::AppState;

/// An event, by the names of its lines.
#[derive(ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "it is the document's; events are written line by line")]
struct EventView {
    /// status, stdout, stderr, or end.
    #[schema(value_type = Option<String>, example = "stdout")]
    event: Option<String>,
    /// Value of `Last-Event-ID` to resume after this event.
    #[schema(example = "6-0")]
    id: Option<String>,
    /// The event's data, as JSON.
    data: Option<String>,
    /// Delay before a reconnect, in milliseconds.
    retry: Option<u64>,
}

/// Streams the events of an execution
///
/// Server-sent events, from the start or after `Last-Event-ID`: `status` with
/// `{"status": …}`, `stdout` and `stderr` with `{"text": …}`, and at last `end`, with the
/// execution as lists show it. An event's id is the number of bytes of stdout and of stderr
/// that have been sent. A comment keeps the connection alive every 15 s. A stream that ends
/// without `end` is incomplete: the server is stopping, or the token was revoked or has
/// expired.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/events", tag = "executions",
    params(
        ("id" = String, Path, description = "The execution's id", format = "uuid"),
        ("Last-Event-ID" = Option<String>, Header, description = "Sends only what follows this event"),
        ("last_event_id" = Option<String>, Query, description = "The same as `Last-Event-ID`, for clients that can't set headers",
            example = "120-0"),
    ),
    responses((status = 200, description = "The events; the schema describes one",
        body = EventView, content_type = "text/event-stream",
        example = json!({"event": "stdout", "id": "6-0", "data": "{\"text\":\"hello\\n\"}"})))
)]
pub(super) async fn stream_events(
    state: State<AppState>,
    identity: Identity,
    id: ExecutionId,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Problem> {
    events::stream_events(state, identity, id, headers, query).await
}

//! Live updates of an execution as server-sent events (WHATWG HTML, 9.2).
//!
//! A follower pulls: no events are queued for a slow one, and a disconnected one costs nothing.
//! Each event's id is the follower's position, so it can resume after a broken connection or on
//! another server. A stream ends with the server, and soon after the follower's token.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Serialize;
use serde_json::json;

use super::auth::Identity;
use super::executions::find;
use super::headers::{last_event_id, position};
use super::path::ExecutionId;
use super::problem::Problem;
use super::query::Query;
use super::state::AppState;
use crate::domain::error_chain::chain;
use crate::domain::output_log::{Position, StreamName};
use crate::orchestrator::Event;
use crate::store::StoreError;

/// Idle time after which a comment is sent, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Delay before a disconnected follower reconnects.
const RETRY: Duration = Duration::from_secs(1);

/// Header that tells nginx to pass events on immediately.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Streams the events of an execution, from the start or after `Last-Event-ID`.
pub(crate) async fn stream_events(
    State(state): State<AppState>,
    identity: Identity,
    ExecutionId(id): ExecutionId,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Problem> {
    let named = query.text("last_event_id")?.filter(|text| !text.is_empty());
    query.finish()?;
    let named = named.map(|text| position("last_event_id", &text)).transpose()?;
    // Browsers send the header on their own when they reconnect.
    let from = last_event_id(&headers)?.or(named).unwrap_or_default();
    find(&state, &identity, id).await?;
    let permit = state.streams().follow(identity.taker())?;
    let stopping = state.stopping.clone().cancelled_owned();
    let events = state.executions.follow(id, from).take_until(stopping);
    let events = events.take_until(Box::pin(identity.until_expired(&state)));
    let messages = events.map(move |event| {
        // Released when the stream is dropped.
        let _held = &permit;
        Ok::<_, Infallible>(message(event))
    });
    let stream = Sse::new(messages).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    let headers = [(CACHE_CONTROL, "no-store"), (NO_BUFFERING, "no")];
    Ok((headers, stream).into_response())
}

fn message(event: Result<Event, StoreError>) -> Message {
    match event {
        Ok(Event::Status { state, position }) => {
            named("status", &json!({"status": state})).id(id_of(position)).retry(RETRY)
        }
        Ok(Event::Output { stream, text, position }) => {
            let name = match stream {
                StreamName::Stdout => "stdout",
                StreamName::Stderr => "stderr",
            };
            named(name, &json!({"text": text})).id(id_of(position))
        }
        Ok(Event::End(summary)) => named("end", &summary),
        // The stream ends after it, and the follower reconnects.
        Err(error) => {
            tracing::warn!(error = chain(&error), "a stream of events broke off");
            Message::default().comment("interrupted: come back with Last-Event-ID")
        }
    }
}

fn named(name: &str, content: &impl Serialize) -> Message {
    let text = serde_json::to_string(content).unwrap_or_default();
    Message::default().event(name).data(text)
}

fn id_of(position: Position) -> String {
    format!("{}-{}", position.stdout, position.stderr)
}

//! Liveness, readiness and metrics.
//!
//! The first two answer everyone, because load balancers and service managers have no tokens;
//! details of failures are only for callers with a token.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::auth::identify;
use crate::http::checks::Check;
use crate::http::connection::Connection;
use crate::http::health::cached_health;
use crate::http::state::AppState;
use crate::metrics::{FileLoad, MEDIA_TYPE};
use crate::pool::PoolStatus;
use crate::store::StoreError;

/// Media type of the metrics for clients that do not know OpenMetrics.
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Health of the server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthView {
    /// ok, or unavailable.
    status: &'static str,
    /// Results of the checks; only for callers with a token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Check>,
    /// The pool of warm sandboxes; only for callers with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<PoolView>,
}

/// The pool of warm sandboxes, which are started and unused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PoolStatus)]
pub(super) struct PoolView {
    /// Most sandboxes that it holds.
    size: usize,
    /// Sandboxes that are ready.
    unused: usize,
    /// Sandboxes that are starting.
    starting: usize,
    /// Sandboxes that scripts reserve by `warm`.
    floor: usize,
    /// Reserved sandboxes that have no room.
    floor_unmet: usize,
    /// Kinds of sandboxes whose last start failed.
    failing: usize,
    /// Memory of the ready sandboxes, in bytes.
    memory_bytes: u64,
    /// Limit of that memory, in bytes; null for no limit.
    memory_limit_bytes: Option<u64>,
    /// True if the pool is empty because the machine is short of memory.
    is_short_of_memory: bool,
    /// Problem of the pool, and what to do. No execution fails because of it.
    detail: Option<&'static str>,
}

impl From<PoolStatus> for PoolView {
    fn from(status: PoolStatus) -> Self {
        let detail = if status.is_short_of_memory {
            Some("the machine is short of memory: nothing is held, and executions start cold")
        } else if status.floor_unmet > 0 {
            Some(
                "there is no room for all that scripts ask for by `warm`: raise GANTRY_POOL_SIZE \
                 or GANTRY_POOL_MEMORY, or lower `warm`",
            )
        } else if status.failing > 0 {
            Some("some sandboxes can't be started ahead of time; the log says why")
        } else {
            None
        };
        Self {
            size: status.size,
            unused: status.unused,
            starting: status.starting,
            floor: status.floor,
            floor_unmet: status.floor_unmet,
            failing: status.failing,
            memory_bytes: status.memory_bytes,
            memory_limit_bytes: status.memory_limit_bytes,
            is_short_of_memory: status.is_short_of_memory,
            detail,
        }
    }
}

/// Reports that the process is alive
///
/// It checks nothing else.
#[utoipa::path(
    get, path = "/healthz", tag = "operation",
    responses((status = 200, description = "The process is alive", body = HealthView, example = json!({"status": "ok"})))
)]
pub(super) async fn healthz() -> Response {
    answer(StatusCode::OK, Vec::new(), None)
}

/// Reports readiness to run executions
///
/// Ready means: the database answers and accepts writes, the engine answers and its last
/// start succeeded, the disk has room, and the server is not stopping. Callers with a token
/// also see the result of each check.
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    responses(
        (status = 200, description = "The server is ready", body = HealthView, example = json!({"status": "ok"})),
        (status = 503, description = "The server is not ready", body = HealthView,
            example = json!({"status": "unavailable"})),
    )
)]
pub(super) async fn readyz(
    State(state): State<AppState>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
) -> Response {
    let mut checks = cached_health(&state).await.to_vec();
    if state.stopping.is_cancelled() {
        let detail = "the server is about to stop".to_owned();
        checks.push(Check { name: "server", is_ok: false, detail: Some(detail) });
    }
    let is_ok = checks.iter().all(|check| check.is_ok);
    let status = if is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match identify(&state, &headers, connection.as_deref()).await {
        Ok(_) => answer(status, checks, Some(state.executions.load().pool.into())),
        Err(_) => answer(status, Vec::new(), None),
    }
}

fn answer(status: StatusCode, checks: Vec<Check>, pool: Option<PoolView>) -> Response {
    let word = if status == StatusCode::OK { "ok" } else { "unavailable" };
    let mut response =
        ([(CACHE_CONTROL, "no-store")], Json(HealthView { status: word, checks, pool }))
            .into_response();
    *response.status_mut() = status;
    // It is the answer, not a problem.
    response.extensions_mut().insert(crate::http::problem::IsAnswer);
    response
}

/// Returns the metrics
///
/// In the OpenMetrics text format, as Prometheus reads it; as `text/plain` for clients
/// that accept only that.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "The metrics", content(
        (String = "application/openmetrics-text",
            example = json!("# TYPE gantry_queue_depth gauge\ngantry_queue_depth 0\n# EOF\n")),
        (String = "text/plain",
            example = json!("# TYPE gantry_queue_depth gauge\ngantry_queue_depth 0\n# EOF\n")),
    )))
)]
pub(super) async fn metrics(State(state): State<AppState>, headers: HeaderMap) -> Response {
    // Without a database, they are what they were.
    if let Ok(load) = file_load(&state).await {
        state.metrics.set_files(load);
    }
    let text = state.metrics.render(state.executions.load());
    let media_type = if wants_plain_text(&headers) { PLAIN_TEXT } else { MEDIA_TYPE };
    ([(CONTENT_TYPE, media_type)], text).into_response()
}

async fn file_load(state: &AppState) -> Result<FileLoad, StoreError> {
    let (files, uploads) =
        tokio::try_join!(state.store.sum_of_objects(), state.store.sum_of_uploads(None))?;
    Ok(FileLoad { files: files.files, bytes: files.bytes, uploads: uploads.uploads })
}

/// True if the client accepts `text/plain` and no other media type of the metrics.
fn wants_plain_text(headers: &HeaderMap) -> bool {
    let accepts = |media_type: &str| {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges = values.flat_map(|value| value.split(','));
        ranges.any(|range| {
            let range = range.split(';').next().unwrap_or_default();
            range.trim().eq_ignore_ascii_case(media_type)
        })
    };
    accepts("text/plain") && !accepts("application/openmetrics-text") && !accepts("*/*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn metrics_are_plain_text_for_clients_that_accept_only_that() {
        let is_plain = |accept: &'static str| {
            wants_plain_text(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]))
        };
        assert!(is_plain("text/plain") && is_plain("Text/Plain;version=0.0.4;q=0.5, text/html"));
        assert!(!is_plain("*/*") && !is_plain("text/html, text/plain, */*;q=0.1"));
        assert!(!is_plain("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"));
        assert!(!wants_plain_text(&HeaderMap::new()));
    }
}

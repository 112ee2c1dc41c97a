//! Wrapper of every request: its id, log line, metrics, error text, and the headers against content
//! sniffing. Neither queries nor tokens are logged.

use std::any::Any;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

use super::problem::{Problem, problem_in};
use super::state::AppState;

/// Header with a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id accepted from a caller.
const MAX_ID_CHARS: usize = 128;

/// Id of a request, stored in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Wraps all routes of a server, so that every request passes the envelope.
pub fn enveloped(state: AppState, routes: Router<AppState>) -> Router {
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), envelope))
        .with_state(state)
}

/// Handles one request until the head of its answer.
async fn envelope(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let route = route.unwrap_or_else(|| "(none)".to_owned());
    // The id of a new execution is known, and recorded, when it is accepted.
    let execution = execution_in(&route, request.uri().path());
    let span = tracing::info_span!("request", request_id = %id, method, route, execution);
    let response = next.run(request).instrument(span.clone()).await;

    let took = begun.elapsed();
    let _entered = span.enter();
    let mut response = match problem_in(&response) {
        None => response,
        Some(problem) => {
            note(&state, &problem);
            let mut rendered = problem.render(&id);
            // Headers such as Allow.
            for (name, value) in response.headers() {
                rendered.headers_mut().entry(name).or_insert_with(|| value.clone());
            }
            rendered.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
            rendered
        }
    };
    let status = response.status().as_u16();
    tracing::info!(status, ms = took.as_secs_f64() * 1e3, "answered");
    state.metrics.answered(method, &route, status, took);
    harden(response.headers_mut());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Id of the execution in a path, by the router's pattern.
fn execution_in<'a>(route: &str, path: &'a str) -> Option<&'a str> {
    let (before, _) = route.split_once("/executions/{id}")?;
    let id = path.get(before.len()..)?.strip_prefix("/executions/")?.split('/').next()?;
    // Anything but an id could be arbitrary text.
    Uuid::try_parse(id).ok().map(|_| id)
}

/// Logs the cause of a failure, once.
fn note(state: &AppState, problem: &Problem) {
    let Some(cause) = problem.cause() else { return };
    if problem.is_of_database() {
        state.metrics.database_failed();
    }
    if problem.status() == axum::http::StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(cause, "the request failed");
    } else if let Some(suppressed) = state.outages().admit() {
        // Every request would log the same during a database outage.
        tracing::warn!(cause, suppressed, "the request could not be answered");
    }
}

/// Returns the caller's request id if it is safe in a log, otherwise a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_sane = |id: &&str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(is_plain)
    };
    given.filter(is_sane).map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned)
}

/// Method as a label; all unusual methods share one.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// Adds headers against sniffing, framing, running and caching. A handler's own content security
/// policy and cache control are kept.
fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Answer for a handler that panicked.
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "no words".to_owned(),
    };
    Problem::internal(format!("a handler panicked: {text}")).into_response()
}

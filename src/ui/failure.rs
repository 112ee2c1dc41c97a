//! Error pages. Handlers answer with a [`Problem`](crate::http::problem::Problem), as the API's do;
//! this module renders it for a person.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, RETRY_AFTER};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::layout::{self, Section};
use super::session::CurrentUser;
use crate::http::envelope::RequestId;
use crate::http::problem::{IsAnswer, Problem, problem_in};

/// Renders problems as pages.
pub(super) async fn as_pages(request: Request, next: Next) -> Response {
    let (user, id) = (request.extensions().get::<CurrentUser>().cloned(), request_id(&request));
    let response = next.run(request).await;
    match problem_in(&response) {
        None => response,
        Some(problem) => page(user.as_ref(), &problem, &id),
    }
}

/// Page of a problem. The problem is still logged with its cause.
fn page(user: Option<&CurrentUser>, problem: &Problem, id: &str) -> Response {
    let content = html! {
        section.notice-page {
            h1 { (problem.title()) }
            p.lead { (problem.detail()) }
            @if let Some(hint) = problem.what_to_do() { p { (hint) } }
            (faults(problem))
            p.muted { "Request " code { (id) } }
            p { a.button href="/" { "Overview" } }
        }
    };
    let mut response = match user {
        Some(user) => layout::page(user, Section::None, problem.title(), content),
        None => layout::bare(problem.title(), content),
    };
    *response.status_mut() = problem.status();
    if let Some(seconds) = problem.retry_seconds() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(IsAnswer);
    response
}

/// All faults, each with its position.
pub(super) fn faults(problem: &Problem) -> Markup {
    html! {
        @if problem.faults().count() > 1 {
            ul.faults {
                @for (place, detail) in problem.faults().take(50) {
                    li { @if !place.is_empty() { code { (place) } " " } (detail) }
                }
            }
        }
    }
}

/// Answers unknown addresses: a page for browsers, and the plain problem for other clients.
pub(super) async fn missing(request: Request) -> Response {
    let problem = Problem::not_found("page");
    let accepted = request.headers().get(ACCEPT).and_then(|it| it.to_str().ok());
    match accepted.is_some_and(|it| it.contains("text/html")) {
        true => page(None, &problem, &request_id(&request)),
        false => problem.into_response(),
    }
}

/// Id of a request, for its error page.
fn request_id(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|it| it.0.clone()).unwrap_or_default()
}

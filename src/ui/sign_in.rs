//! Signing in and out.

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;

use super::address::{local, redirect};
use super::form::{Form, FormFields, SignInForm};
use super::layout;
use super::session::{CurrentUser, SIGN_IN, current_user, refuse_foreign, secret, set_cookie};
use crate::access::{AccessError, SESSION_LIFETIME};
use crate::http::connection::Connection;
use crate::http::problem::Problem;
use crate::http::state::AppState;

/// Renders the sign-in page.
pub(super) async fn ask(
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Problem> {
    if current_user(&state, request.headers()).await?.is_some() {
        return Ok(redirect("/"));
    }
    let fields = FormFields::of_query(request.uri().query().unwrap_or_default());
    Ok(layout::sign_in(fields.text("next"), None))
}

/// Signs in.
pub(super) async fn sign_in(
    State(state): State<AppState>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    SignInForm(fields): SignInForm,
) -> Result<Response, Problem> {
    refuse_foreign(&Method::POST, &headers)?;
    let next = fields.text("next");
    let secret = match state.access.sign_in(fields.text("token").trim()).await {
        Ok(secret) => secret,
        Err(error @ AccessError::Unknown) => {
            state.attempts().note_failure(connection.as_deref())?;
            return Ok(layout::sign_in(next, Some(&error)));
        }
        Err(error @ AccessError::TooManyUnknown) => return Ok(layout::sign_in(next, Some(&error))),
        Err(error) => return Err(error.into()),
    };
    let mut response = redirect(local(next));
    set_cookie(&mut response, &headers, &secret, SESSION_LIFETIME.num_seconds());
    Ok(response)
}

/// Signs out.
pub(super) async fn sign_out(
    State(state): State<AppState>,
    headers: HeaderMap,
    _user: CurrentUser,
    _form: Form,
) -> Result<Response, Problem> {
    if let Some(secret) = secret(&headers) {
        state.access.sign_out(secret).await?;
    }
    let mut response = redirect(SIGN_IN);
    set_cookie(&mut response, &headers, "", 0);
    Ok(response)
}

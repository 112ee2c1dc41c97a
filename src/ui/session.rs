//! Sessions in cookies, and the defence against cross-site requests.
//!
//! A sign-in with a token creates a session; its secret is in a cookie that no page's script can
//! read and no other site's request carries. A request that changes anything has two further
//! checks: the browser's headers must name this origin, and the form must contain the session's own
//! token ([`super::form`]).

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::address::{MAX_NEXT_BYTES, encoded, redirect};
use crate::access::AccessError;
use crate::domain::token::Role;
use crate::http::auth::Identity;
use crate::http::problem::{Kind, Problem};
use crate::http::state::AppState;

/// Name of the cookie.
const NAME: &str = "gantry_session";

/// Header with the origin of a request (W3C, Fetch Metadata, 2.3).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Address of the sign-in page.
pub(super) const SIGN_IN: &str = "/sign-in";

/// Signed-in user of a page.
#[derive(Debug, Clone)]
pub(super) struct CurrentUser {
    /// Identity of the session's token.
    pub(super) identity: Identity,
    /// Token that each form of this session contains.
    pub(super) form_token: String,
}

impl CurrentUser {
    fn new(identity: Identity, secret: &str) -> Self {
        // Derived one-way from the secret, so nothing more is stored.
        let form_token = hex::encode(Sha256::digest(format!("form\0{secret}")));
        Self { identity, form_token }
    }

    /// True if a form has the session's token.
    pub(super) fn owns(&self, presented: &str) -> bool {
        bool::from(self.form_token.as_bytes().ct_eq(presented.as_bytes()))
    }

    /// True if the user has one of these roles.
    pub(super) fn is(&self, roles: &[Role]) -> bool {
        roles.contains(&self.identity.role())
    }
}

/// Fails only on routes without a session.
impl<S: Send + Sync> FromRequestParts<S> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::internal("a page without a session");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Refuses requests without a session, and requests from other sites.
pub(super) async fn enter(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    refuse_foreign(request.method(), request.headers())?;
    let Some(user) = current_user(&state, request.headers()).await? else {
        return Ok(to_sign_in(&request));
    };
    let taker = user.identity.taker();
    let admitted = state.admission().admit(taker, request.extensions().get())?;
    request.extensions_mut().insert(user.identity.clone());
    request.extensions_mut().insert(user);
    Ok(admitted.until_sent(next.run(request).await))
}

/// User of a request's session, if it has one.
pub(super) async fn current_user(
    state: &AppState,
    headers: &HeaderMap,
) -> Result<Option<CurrentUser>, Problem> {
    let Some(secret) = secret(headers) else { return Ok(None) };
    match state.access.session(secret).await {
        Ok(token) => Ok(Some(CurrentUser::new(Identity::new(token), secret))),
        Err(AccessError::Unknown) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Secret of the session, if the cookie occurs once.
pub(super) fn secret(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('='));
    let mut values = found.by_ref().filter(|(name, _)| *name == NAME).map(|(_, value)| value);
    let first = values.next();
    first.filter(|_| values.next().is_none())
}

/// Refuses requests that change something and were not sent by a page of this server (the Fetch
/// standard's `Origin`, and W3C's `Sec-Fetch-Site`).
pub(super) fn refuse_foreign(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let site = text(SEC_FETCH_SITE);
    let origin = text(ORIGIN).map(|it| it.split_once("://").map_or(it, |(_, host)| host));
    let is_from_here = match site {
        Some(site) => site == "same-origin",
        None => origin.is_none_or(|origin| Some(origin) == text(HOST)),
    };
    let refused = || {
        Problem::new(Kind::Forbidden, "the form was sent by a page of another site")
            .hint("open the console, and send it from there")
    };
    is_from_here.then_some(()).ok_or_else(refused)
}

fn to_sign_in(request: &Request) -> Response {
    let wanted = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let wanted = match request.method().is_safe() && wanted != "/" {
        true => encoded(wanted),
        false => String::new(),
    };
    // The returning form has it too.
    match wanted.len() {
        1..=MAX_NEXT_BYTES => redirect(&format!("{SIGN_IN}?next={wanted}")),
        _ => redirect(SIGN_IN),
    }
}

/// Sets the session's cookie; an empty secret of no seconds removes it.
pub(super) fn set_cookie(response: &mut Response, headers: &HeaderMap, secret: &str, seconds: i64) {
    // Only a proxy knows if the browser used TLS.
    let is_tls = headers.get("x-forwarded-proto").is_some_and(|it| it == "https");
    let secure = if is_tls { "; Secure" } else { "" };
    let cookie =
        format!("{NAME}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn what_another_site_sends_is_refused() {
        let refused = |pairs: &[(&'static str, &'static str)]| {
            refuse_foreign(&Method::POST, &headers(pairs)).is_err()
        };
        assert!(refused(&[("sec-fetch-site", "cross-site")]));
        assert!(refused(&[("sec-fetch-site", "same-site"), ("origin", "http://a"), ("host", "a")]));
        assert!(refused(&[("origin", "http://evil"), ("host", "here:8700")]));
        assert!(refused(&[("origin", "null"), ("host", "here:8700")]));
        assert!(!refused(&[("origin", "http://here:8700"), ("host", "here:8700")]));
        assert!(!refused(&[("sec-fetch-site", "same-origin")]));
        assert!(
            refuse_foreign(&Method::GET, &headers(&[("sec-fetch-site", "cross-site")])).is_ok()
        );
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_none() {
        assert_eq!(secret(&headers(&[("cookie", "a=b; gantry_session=x")])), Some("x"));
        assert_eq!(secret(&headers(&[("cookie", "gantry_session=x; gantry_session=y")])), None);
        assert_eq!(secret(&headers(&[("cookie", "gantry_sessions=x")])), None);
    }
}

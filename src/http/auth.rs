//! Authentication and authorisation of requests.
//!
//! Authentication surrounds every route but the open ones, including answers for unsupported
//! methods. The roles of a route ([`super::roles`]) are given at its registration, which is the only
//! way to register one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use super::connection::Connection;
use super::problem::{Kind, Problem};
use super::shares::Taker;
use super::state::AppState;
use crate::access::AccessError;
use crate::domain::execution::{Caller, ExecutionSummary};
use crate::domain::fault::Fault;
use crate::domain::share::ShareAccess;
use crate::domain::token::{Role, Token};
use crate::registry::Actor;

/// Time after which to retry if too many unknown tokens arrived at once.
const RETRY_CROWD: Duration = Duration::from_secs(2);

/// Identity of a request's caller.
#[derive(Debug, Clone)]
pub(crate) struct Identity(Arc<Token>);

impl Identity {
    /// Identity of a token's owner.
    pub(crate) fn new(token: Arc<Token>) -> Self {
        Self(token)
    }

    /// Role of the token.
    pub(crate) fn role(&self) -> Role {
        self.0.role
    }

    /// Name of the token.
    pub(crate) fn name(&self) -> &str {
        self.0.shown_name()
    }

    /// Id of the token.
    pub(crate) fn token_id(&self) -> i64 {
        self.0.id
    }

    /// The caller as a taker of shares.
    pub(crate) fn taker(&self) -> Taker {
        Taker { token_id: self.0.id, is_admin: self.0.role == Role::Admin }
    }

    /// Runs the future until the token is revoked or expires, plus a few seconds.
    pub(crate) fn until_expired(
        &self,
        state: &AppState,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (access, token) = (state.access.clone(), Arc::clone(&self.0));
        async move { access.until_expired(token).await }
    }

    /// The caller as an actor of the registry.
    pub(crate) fn actor(&self) -> Actor {
        Actor { name: self.name().to_owned(), role: self.0.role }
    }

    /// The caller as a caller of executions.
    pub(crate) fn caller(&self) -> Caller {
        Caller { token_id: self.0.id, name: self.name().to_owned() }
    }

    /// Part of the server's shares that the token's executions may read.
    pub(crate) fn share_access(&self) -> ShareAccess {
        self.0.share_access()
    }

    /// Ids of the scripts that the token may see; `None` means all.
    pub(crate) fn scope(&self) -> Option<&Vec<i64>> {
        self.0.scope.as_ref()
    }

    /// True if the token may see this script.
    pub(crate) fn knows_script(&self, id: i64) -> bool {
        self.scope().is_none_or(|scope| scope.contains(&id))
    }

    /// True if the token may see this execution.
    pub(crate) fn knows(&self, execution: &ExecutionSummary) -> bool {
        match (self.scope(), execution.script_id) {
            (None, _) => true,
            (Some(scope), Some(script)) => scope.contains(&script),
            (Some(_), None) => false,
        }
    }
}

/// Fails only on routes without authentication.
impl<S: Send + Sync> FromRequestParts<S> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(no_token)
    }
}

/// Refuses requests without a valid token.
pub(crate) async fn authenticate(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let identity = identify(&state, request.headers(), request.extensions().get()).await?;
    let admitted = state.admission().admit(identity.taker(), request.extensions().get())?;
    request.extensions_mut().insert(identity);
    Ok(admitted.until_sent(next.run(request).await))
}

/// Refuses requests of other roles.
pub(crate) async fn authorise(
    allowed: &'static [Role],
    identity: Identity,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if allowed.contains(&identity.role()) {
        return Ok(next.run(request).await);
    }
    let names: Vec<_> = allowed.iter().map(|role| role.name()).collect();
    let detail = format!("a token of role {} may not do this", identity.role());
    Err(Problem::new(Kind::Forbidden, detail).hint(format!("it takes one of {}", names.join(", "))))
}

/// Returns the identity for a request's headers. A token that is not valid counts as an attempt of
/// the connection's peer.
pub(crate) async fn identify(
    state: &AppState,
    headers: &HeaderMap,
    connection: Option<&Connection>,
) -> Result<Identity, Problem> {
    let value = headers.get(AUTHORIZATION).ok_or_else(no_token)?;
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().split_once(' '))
        .ok_or_else(|| Problem::from(AccessError::Unknown))?;
    if !scheme.eq_ignore_ascii_case("bearer") || headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return Err(no_token());
    }
    match state.access.verify(token.trim()).await {
        Ok(token) => Ok(Identity(token)),
        Err(error @ AccessError::Unknown) => {
            state.attempts().note_failure(connection)?;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn no_token() -> Problem {
    Problem::new(Kind::Unauthorized, "this needs a token")
        .hint("send `Authorization: Bearer TOKEN`")
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let (detail, hint) = (error.to_string(), error.hint());
        let invalid = |pointer: &str| Self::invalid(vec![Fault::new(pointer, detail.clone())]);
        let problem = match error {
            AccessError::Store(error) => return error.into(),
            AccessError::Unknown => Self::new(Kind::Unauthorized, detail),
            AccessError::TooManyUnknown => Self::new(Kind::Unavailable, detail).after(RETRY_CROWD),
            AccessError::NameConflict(_) => Self::new(Kind::Conflict, detail).at("/name"),
            AccessError::Name(_) => invalid("/name"),
            AccessError::Expired => invalid("/expires_at"),
            AccessError::Shares(_) => invalid("/shares"),
            AccessError::Scope(_) | AccessError::ScopeSize(_) => invalid("/scripts"),
            AccessError::TooShort(_)
            | AccessError::Guessable
            | AccessError::NotAToken
            | AccessError::Unusable(_)
            | AccessError::Random(_) => return Self::internal(detail),
        };
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

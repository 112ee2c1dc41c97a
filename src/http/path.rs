//! Path parameters. Text that can't be an id gets 404, the same as an unknown id, so that answers
//! do not tell ids from other text.

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use uuid::Uuid;

use super::auth::Identity;
use super::problem::{Kind, Problem};
use super::script_ref::ScriptRef;
use super::state::AppState;
use crate::domain::registry::RegisteredScript;

/// Id of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenId(pub(crate) i64);

/// An existing script, by id or name.
#[derive(Debug)]
pub(crate) struct NamedScript(pub(crate) RegisteredScript);

/// Id of an execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExecutionId(pub(crate) Uuid);

/// All other parameters, by their names in the pattern.
#[derive(Debug)]
pub(crate) struct PathText(Vec<(String, String)>);

impl PathText {
    /// Value of a parameter.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Parses a number in the range of our ids.
    pub(crate) fn number(&self, name: &str, what: &str) -> Result<i64, Problem> {
        let text = self.get(name);
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_plain).ok_or_else(|| Problem::not_found(what))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = RawPathParams::from_request_parts(parts, state).await;
        let found = found.map_err(|rejection| match rejection {
            RawPathParamsRejection::InvalidUtf8InPathParam(_) => {
                Problem::new(Kind::Malformed, "the path is not UTF-8")
            }
            other => Problem::internal(other.to_string()),
        })?;
        Ok(Self(found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TokenId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = PathText::from_request_parts(parts, state).await?;
        path.number("id", "token").map(Self)
    }
}

impl FromRequestParts<AppState> for NamedScript {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let path = PathText::from_request_parts(parts, state).await?;
        let identity = Identity::from_request_parts(parts, state).await?;
        let script = ScriptRef::of_text(path.get("id").to_owned()).find(state, &identity).await?;
        script.map(Self).ok_or_else(|| Problem::not_found("script"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ExecutionId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = PathText::from_request_parts(parts, state).await?;
        let id = Uuid::try_parse(path.get("id")).map_err(|_| Problem::not_found("execution"))?;
        Ok(Self(id))
    }
}

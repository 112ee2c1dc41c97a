//! Tokens: creating, listing and revoking them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::{MAX_SCOPE, TokenRequest};
use crate::clock;
use crate::domain::fault::Fault;
use crate::domain::share::ShareGrants;
use crate::domain::token::{Role, Token};
use crate::http::auth::Identity;
use crate::http::extract::Json as JsonBody;
use crate::http::page::{Listed, PageQuery};
use crate::http::path::TokenId;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::script_ref::ScriptRef;
use crate::http::share_grants::share_grants;
use crate::http::state::AppState;

/// A token to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTokenRequest {
    /// Unique among tokens that are not revoked.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Role of the token.
    role: Role,
    /// The scripts that the token is limited to, by name or id; only for runners.
    #[schema(value_type = Option<Vec<String>>, max_items = 1000)]
    scripts: Option<Vec<ScriptRef>>,
    /// Shares that its executions may read, `NAME`, or the part of one below a path,
    /// `NAME/PATH`; none by default. Only for runners: admins read every share.
    #[serde(default)]
    #[schema(max_items = 100, example = json!(["media/film3"]))]
    shares: Vec<String>,
    /// Time at which the token expires; never by default.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<DateTime<Utc>>,
    /// The same in days from now.
    #[schema(minimum = 1, maximum = 36500)]
    expires_in_days: Option<u32>,
}

impl NewTokenRequest {
    /// Expiry of the token.
    fn end(&self) -> Result<Option<DateTime<Utc>>, Problem> {
        let refused =
            |detail: String| Err(Problem::invalid(vec![Fault::new("/expires_in_days", detail)]));
        match (self.expires_in_days, self.expires_at) {
            (None, end) => Ok(end),
            (Some(_), Some(_)) => refused("expires_at says the same: send one of them".to_owned()),
            (Some(days), None) if (1..=MAX_DAYS).contains(&days) => {
                Ok(Some(clock::now() + TimeDelta::days(days.into())))
            }
            (Some(days), None) => refused(format!("{days} is not between 1 and {MAX_DAYS} days")),
        }
    }
}

/// Longest lifetime of a token, in days (a hundred years).
const MAX_DAYS: u32 = 36_500;

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenView {
    /// Id of the token.
    id: i64,
    /// Name of the token.
    name: String,
    /// Role of the token.
    role: Role,
    /// Names of the scripts that the token is limited to; null for all.
    scripts: Option<Vec<String>>,
    /// Shares that its executions may read, or parts of them; admins read every share.
    #[schema(value_type = Vec<String>)]
    shares: ShareGrants,
    /// Time at which the token expires; null for never.
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<DateTime<Utc>>,
    /// Time of the token's last use, to the minute.
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<DateTime<Utc>>,
    /// Time of the token's revocation.
    #[schema(value_type = Option<String>, format = "date-time")]
    revoked_at: Option<DateTime<Utc>>,
    /// Name of the token that created this one.
    created_by: String,
    /// Time of the token's creation.
    #[schema(value_type = String, format = "date-time")]
    created_at: DateTime<Utc>,
}

/// A new token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedToken)]
pub(super) struct CreatedTokenView {
    /// The secret; it is not kept and never shown again.
    #[schema(example = "gantry_m8pV3q0c4yZkqTQx5b7w1JrNf2sGdLhUeXoAiRtYvBE")]
    token: String,
    /// All else.
    #[serde(flatten)]
    view: TokenView,
}

impl TokenView {
    fn new(token: Token, scripts: Option<Vec<String>>) -> Self {
        Self {
            id: token.id,
            name: token.shown_name().to_owned(),
            role: token.role,
            scripts,
            shares: token.shares,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
            created_by: token.created_by,
            created_at: token.created_at,
        }
    }
}

/// Renders tokens with names of scripts for ids, each looked up once.
async fn views(state: &AppState, tokens: Vec<Token>) -> Result<Vec<TokenView>, Problem> {
    let mut names: HashMap<i64, String> = HashMap::new();
    let mut views = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        let Some(scope) = token.scope.take() else {
            views.push(TokenView::new(token, None));
            continue;
        };
        let mut scripts = Vec::with_capacity(scope.len());
        for id in scope {
            if let Entry::Vacant(unknown) = names.entry(id)
                && let Some(script) = state.store.script(id).await?
            {
                unknown.insert(script.name.into());
            }
            scripts.extend(names.get(&id).cloned());
        }
        views.push(TokenView::new(token, Some(scripts)));
    }
    Ok(views)
}

async fn view(state: &AppState, id: i64) -> Result<TokenView, Problem> {
    let token = state.store.token(id).await?;
    let views = views(state, token.into_iter().collect()).await?;
    views.into_iter().next().ok_or_else(missing)
}

/// Creates a token
///
/// The token itself is only returned here.
#[utoipa::path(
    post, path = "/api/v1/admin/tokens", tag = "tokens",
    request_body(content = NewTokenRequest, example = json!({
        "name": "pipeline", "role": "runner", "scripts": ["weather"]
    })),
    responses(
        (status = 201, description = "The token was created", body = CreatedTokenView,
            headers(("Location" = String, description = "URL of the token"))),
        (status = 409, description = "The name is taken"),
    )
)]
pub(super) async fn create_token(
    State(state): State<AppState>,
    identity: Identity,
    JsonBody(request, _held): JsonBody<NewTokenRequest>,
) -> Result<Response, Problem> {
    let expires_at = request.end()?;
    let scope = match request.scripts {
        None => None,
        Some(scripts) => Some(ids(&state, &identity, &scripts).await?),
    };
    let shares = share_grants(&state, &request.shares)?;
    let wanted = TokenRequest { name: request.name, role: request.role, scope, shares, expires_at };
    let created = state.access.create(identity.name(), wanted).await?;
    let view = view(&state, created.id).await?;
    let view = CreatedTokenView { token: created.secret, view };
    let location = format!("/api/v1/admin/tokens/{}", created.id);
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(view)).into_response())
}

async fn ids(
    state: &AppState,
    identity: &Identity,
    scripts: &[ScriptRef],
) -> Result<Vec<i64>, Problem> {
    if scripts.len() > MAX_SCOPE {
        let detail = format!("{} scripts, at most {MAX_SCOPE} are possible", scripts.len());
        return Err(Problem::invalid(vec![Fault::new("/scripts", detail)]));
    }
    let mut ids = Vec::with_capacity(scripts.len());
    for (index, script) in scripts.iter().enumerate() {
        let found = script.find(state, identity).await?.ok_or_else(|| {
            let pointer = format!("/scripts/{index}");
            Problem::invalid(vec![Fault::new(pointer, "there is no such script")])
        })?;
        ids.push(found.id);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Lists tokens
///
/// The newest come first, revoked and expired ones included.
#[utoipa::path(
    get, path = "/api/v1/admin/tokens", tag = "tokens",
    params(PageQuery),
    responses((status = 200, description = "A page of the list", body = [TokenView],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_tokens(
    State(state): State<AppState>,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = query.page()?;
    query.finish()?;
    let tokens = state.store.tokens(page.limit, page.offset).await?;
    let total = state.store.count_tokens().await?;
    let entries = views(&state, tokens).await?;
    Ok(Listed { entries, total }.into_response())
}

/// Returns a token
///
/// The token itself is not kept and not returned.
#[utoipa::path(
    get, path = "/api/v1/admin/tokens/{id}", tag = "tokens",
    params(("id" = i64, Path, description = "The token's id", minimum = 1)),
    responses((status = 200, description = "The token", body = TokenView))
)]
pub(super) async fn get_token(
    State(state): State<AppState>,
    TokenId(id): TokenId,
) -> Result<Json<TokenView>, Problem> {
    view(&state, id).await.map(Json)
}

/// Revokes a token
///
/// It stops working at once, on other nodes within a second. Revoking it again changes
/// nothing.
#[utoipa::path(
    delete, path = "/api/v1/admin/tokens/{id}", tag = "tokens",
    params(("id" = i64, Path, description = "The token's id", minimum = 1)),
    responses((status = 200, description = "The token after the change", body = TokenView))
)]
pub(super) async fn revoke_token(
    State(state): State<AppState>,
    identity: Identity,
    TokenId(id): TokenId,
) -> Result<Json<TokenView>, Problem> {
    state.access.revoke(identity.name(), id).await?.ok_or_else(missing)?;
    view(&state, id).await.map(Json)
}

fn missing() -> Problem {
    Problem::not_found("token")
}

//! Versions of scripts: reading them, and activating an earlier one.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::artifacts::disposition;
use super::script_view::{ScriptView, VersionView};
use super::scripts::view;
use crate::domain::registry::{Definition, ScriptVersion};
use crate::domain::runtime::Runtime;
use crate::domain::script::MAX_SCRIPT_BYTES;
use crate::http::auth::Identity;
use crate::http::memory::Held;
use crate::http::page::{Listed, PageQuery};
use crate::http::path::{NamedScript, PathText};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::state::AppState;

/// Lists the versions of a script
///
/// The newest come first.
#[utoipa::path(
    get, path = "/api/v1/admin/scripts/{id}/versions", tag = "scripts",
    params(("id" = String, Path, description = "The script's id or name"), PageQuery),
    responses((status = 200, description = "A page of the list", body = [VersionView],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_script_versions(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(script): NamedScript,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = query.page()?;
    query.finish()?;
    let versions = state.store.versions(script.id, page.limit, page.offset).await?;
    let total = state.store.count_versions(script.id).await?;
    let view = |version| VersionView::new(version, script.version.number, identity.role());
    let entries: Vec<_> = versions.into_iter().map(view).collect();
    Ok(Listed { entries, total }.into_response())
}

/// Returns a version of a script
///
/// A version never changes.
#[utoipa::path(
    get, path = "/api/v1/admin/scripts/{id}/versions/{version}", tag = "scripts",
    params(
        ("id" = String, Path, description = "The script's id or name"),
        ("version" = i64, Path, description = "The version's number", minimum = 1),
    ),
    responses((status = 200, description = "The version", body = VersionView))
)]
pub(super) async fn get_script_version(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(script): NamedScript,
    path: PathText,
) -> Result<Json<VersionView>, Problem> {
    let version = version(&state, script.id, &path).await?;
    Ok(Json(VersionView::new(version, script.version.number, identity.role())))
}

/// Downloads the source of a version
///
/// The bytes as they were registered: later changes to the file on the server do not
/// affect them.
#[utoipa::path(
    get, path = "/api/v1/admin/scripts/{id}/versions/{version}/source", tag = "scripts",
    params(
        ("id" = String, Path, description = "The script's id or name"),
        ("version" = i64, Path, description = "The version's number", minimum = 1),
    ),
    responses((status = 200, description = "The script's bytes", body = Vec<u8>,
        content_type = "application/octet-stream"))
)]
pub(crate) async fn download_script_source(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(script): NamedScript,
    path: PathText,
) -> Result<Response, Problem> {
    let version = version(&state, script.id, &path).await?;
    let held = room_for_source(&state, &identity, &version.definition).await?;
    let code = state.store.code(&version.definition.digest).await?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_DISPOSITION, disposition(&version.definition.file_name));
    Ok((headers, held.body(code)).into_response())
}

/// Acquires memory for the source of a version: a binary's length is only known once it is loaded;
/// texts are short.
pub(crate) async fn room_for_source(
    state: &AppState,
    identity: &Identity,
    definition: &Definition,
) -> Result<Held, Problem> {
    let at_most = match definition.script_type {
        Runtime::Binary => MAX_SCRIPT_BYTES,
        Runtime::Shell | Runtime::Python => 0,
    };
    state.memory().hold(identity.taker(), at_most).await
}

/// Activates a version of a script
///
/// Makes it the version that runs when a request names none: at once, or as soon as its
/// environment is ready (`pending` until then). The other versions are kept.
#[utoipa::path(
    post, path = "/api/v1/admin/scripts/{id}/versions/{version}/activate", tag = "scripts",
    params(
        ("id" = String, Path, description = "The script's id or name"),
        ("version" = i64, Path, description = "The version's number", minimum = 1),
    ),
    responses(
        (status = 200, description = "The script after the change", body = ScriptView),
        (status = 409, description = "Somebody else changed the script meanwhile"),
    )
)]
pub(super) async fn activate_script_version(
    State(state): State<AppState>,
    identity: Identity,
    NamedScript(script): NamedScript,
    path: PathText,
) -> Result<Json<ScriptView>, Problem> {
    let number = path.number("version", "version")?;
    let script = state.registry.activate(&identity.actor(), script.id, number).await?;
    state.executions.scripts_changed();
    view(&state, &identity, script).await.map(Json)
}

async fn version(state: &AppState, id: i64, path: &PathText) -> Result<ScriptVersion, Problem> {
    let number = path.number("version", "version")?;
    let version = state.store.version(id, number).await?;
    version.ok_or_else(|| Problem::not_found("version"))
}

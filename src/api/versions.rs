//! Versions of scripts: reading them, and activating an earlier one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use serde::Serialize;
use utoipa::ToSchema;

use super::script_view::{ScriptView, VersionView};
use super::scripts::view;
use crate::domain::bundle::BundleFile;
use crate::domain::file::FileDigest;
use crate::http::auth::Identity;
use crate::http::page::{Listed, PageQuery};
use crate::http::path::{NamedScript, PathText};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::scripts::{send_bundle, send_source, version};
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
pub(super) async fn download_script_source(
    state: State<AppState>,
    identity: Identity,
    script: NamedScript,
    path: PathText,
) -> Result<Response, Problem> {
    send_source(state, identity, script, path).await
}

/// A file of a bundle.
#[derive(Serialize, ToSchema)]
pub(super) struct BundleFileView {
    /// Its path below `/opt/bundle`.
    path: String,
    /// Its size in bytes.
    bytes: u64,
    /// SHA-256 of its bytes.
    #[schema(value_type = String)]
    digest: FileDigest,
    /// True if it may be executed.
    is_executable: bool,
}

/// Lists the files of a version
///
/// Sorted by path. A script that is no bundle has none (404).
#[utoipa::path(
    get, path = "/api/v1/admin/scripts/{id}/versions/{version}/files", tag = "scripts",
    params(
        ("id" = String, Path, description = "The script's id or name"),
        ("version" = i64, Path, description = "The version's number", minimum = 1),
    ),
    responses((status = 200, description = "The files", body = [BundleFileView]))
)]
pub(super) async fn list_script_files(
    State(state): State<AppState>,
    NamedScript(script): NamedScript,
    path: PathText,
) -> Result<Json<Vec<BundleFileView>>, Problem> {
    let version = version(&state, script.id, &path).await?;
    let digest = version.definition.bundle.ok_or_else(|| Problem::not_found("bundle"))?;
    let manifest = state.store.bundle(digest).await?;
    let view = |file: &BundleFile| BundleFileView {
        path: file.path.clone(),
        bytes: file.bytes,
        digest: file.digest,
        is_executable: file.is_executable,
    };
    Ok(Json(manifest.files().iter().map(view).collect()))
}

/// Downloads the files of a version
///
/// A tar, whose bytes depend on the files alone. A script that is no bundle has none (404).
#[utoipa::path(
    get, path = "/api/v1/admin/scripts/{id}/versions/{version}/bundle", tag = "scripts",
    params(
        ("id" = String, Path, description = "The script's id or name"),
        ("version" = i64, Path, description = "The version's number", minimum = 1),
    ),
    responses((status = 200, description = "The files", body = Vec<u8>,
        content_type = "application/x-tar"))
)]
pub(super) async fn download_script_bundle(
    state: State<AppState>,
    script: NamedScript,
    path: PathText,
) -> Result<Response, Problem> {
    send_bundle(state, script, path).await
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
    view(&state, &identity, script).await.map(Json)
}

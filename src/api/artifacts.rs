//! Artifacts of executions: their list, and downloads.

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::domain::execution::Artifact;
use crate::files::ArchiveKind;
use crate::http::artifacts::{send_artifact, send_artifacts};
use crate::http::auth::Identity;
use crate::http::executions::find;
use crate::http::page::{Listed, PageQuery};
use crate::http::path::{ExecutionId, PathText};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::state::AppState;
use crate::store::Page;

/// An artifact in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedArtifact {
    /// Index in the list; downloads accept it in place of the name.
    index: usize,
    /// All else.
    #[serde(flatten)]
    artifact: Artifact,
}

/// Lists the artifacts of an execution
///
/// The files that it left; the list is empty until it has ended.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/artifacts", tag = "artifacts",
    params(("id" = String, Path, description = "The execution's id", format = "uuid"), PageQuery),
    responses((status = 200, description = "A page of the list, with files that were not kept",
        body = [ListedArtifact],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_artifacts(
    State(state): State<AppState>,
    identity: Identity,
    ExecutionId(id): ExecutionId,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = query.page()?;
    query.finish()?;
    find(&state, &identity, id).await?;
    listed(&state, id, page).await
}

async fn listed(state: &AppState, id: Uuid, page: PageQuery) -> Result<Response, Problem> {
    let total = i64::try_from(state.store.artifact_count(id).await?).unwrap_or(i64::MAX);
    let first = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let artifacts =
        state.store.artifacts_page(id, Page { limit: page.limit, offset: page.offset }).await?;
    let entries = artifacts
        .into_iter()
        .enumerate()
        .map(|(at, artifact)| ListedArtifact { index: first.saturating_add(at), artifact });
    Ok(Listed { entries: entries.collect::<Vec<_>>(), total }.into_response())
}

/// Form in which the outputs are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read one by one")]
pub(super) struct OutputsQuery {
    /// All files as an archive: `zip` or `tar`.
    #[param(value_type = Option<String>, example = "zip")]
    archive: Option<String>,
    /// Folder whose files are in the archive; all by default.
    #[param(example = "frames")]
    folder: Option<String>,
}

/// Lists the outputs of an execution, or sends them in one archive
///
/// Without `archive` as the list of artifacts; with it the files that were kept.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/outputs", tag = "artifacts",
    params(
        ("id" = String, Path, description = "The execution's id", format = "uuid"),
        PageQuery, OutputsQuery,
    ),
    responses((status = 200, description = "A page of the list, or the archive",
        body = [ListedArtifact],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_outputs(
    State(state): State<AppState>,
    identity: Identity,
    ExecutionId(id): ExecutionId,
    method: Method,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = query.page()?;
    let kind: Option<ArchiveKind> = query.parsed("archive")?;
    let folder = query.text("folder")?.unwrap_or_default();
    query.finish()?;
    find(&state, &identity, id).await?;
    match kind {
        Some(kind) => send_artifacts(&state, &method, id, &folder, kind).await,
        None => listed(&state, id, page).await,
    }
}

/// Downloads an artifact
///
/// Finds it by its name, which may contain `/`, or else by its index in the list. It has an
/// `ETag`, and is sent in parts where `Range` asks for one.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/artifacts/{*name}", tag = "artifacts",
    params(
        ("id" = String, Path, description = "The execution's id", format = "uuid"),
        ("name" = String, Path, description = "The artifact's name, or its index"),
    ),
    responses(
        (status = 200, description = "The artifact's content", body = Vec<u8>,
            content_type = "application/octet-stream"),
        (status = 206, description = "The part that `Range` asks for", body = Vec<u8>,
            content_type = "application/octet-stream"),
        (status = 304, description = "The content is that of `If-None-Match`"),
        (status = 416, description = "The range begins behind the end"),
    )
)]
pub(super) async fn download_artifact(
    state: State<AppState>,
    identity: Identity,
    id: ExecutionId,
    path: PathText,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    send_artifact(state, identity, id, path, method, headers).await
}

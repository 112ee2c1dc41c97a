//! Artifacts of executions: their list, and downloads.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::execution::Artifact;
use crate::http::artifacts::send_artifact;
use crate::http::auth::Identity;
use crate::http::executions::find;
use crate::http::page::{Listed, PageQuery};
use crate::http::path::{ExecutionId, PathText};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::state::AppState;

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
    let artifacts = state.store.artifacts(id).await?;
    let total = i64::try_from(artifacts.len()).unwrap_or(i64::MAX);
    let skipped = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let listed = artifacts.into_iter().enumerate().skip(skipped).take(page.limit as usize);
    let entries: Vec<_> =
        listed.map(|(index, artifact)| ListedArtifact { index, artifact }).collect();
    Ok(Listed { entries, total }.into_response())
}

/// Downloads an artifact
///
/// Finds it by its name, which may contain `/`, or else by its index in the list.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/artifacts/{*name}", tag = "artifacts",
    params(
        ("id" = String, Path, description = "The execution's id", format = "uuid"),
        ("name" = String, Path, description = "The artifact's name, or its index"),
    ),
    responses((status = 200, description = "The artifact's content", body = Vec<u8>,
        content_type = "application/octet-stream"))
)]
pub(super) async fn download_artifact(
    state: State<AppState>,
    identity: Identity,
    id: ExecutionId,
    path: PathText,
) -> Result<Response, Problem> {
    send_artifact(state, identity, id, path).await
}

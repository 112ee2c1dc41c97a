//! Jobs: what the executions of one have left.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::execution::{ExecutionSummary, NewExecution};
use crate::domain::file::Holder;
use crate::domain::keep::Keep;
use crate::http::auth::Identity;
use crate::http::path::PathText;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::store::{ExecutionFilter, Page};

/// Executions that are looked at together.
const PAGE: u32 = 500;

/// Executions whose files were given up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReleasedFiles {
    /// Number of executions.
    executions: u64,
}

/// Gives up the files of a job
///
/// The content of what its ended executions took and left, of those that were submitted
/// with `keep: job`; what nobody else keeps is removed a day later. The executions stay.
#[utoipa::path(
    delete, path = "/api/v1/jobs/{job_id}/files", tag = "files",
    params(("job_id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "The files are given up", body = ReleasedFiles))
)]
pub(super) async fn release_job_files(
    State(state): State<AppState>,
    identity: Identity,
    path: PathText,
) -> Result<Json<ReleasedFiles>, Problem> {
    let job_id = path.get("job_id");
    NewExecution::check_job_id(job_id).map_err(|_| Problem::not_found("job"))?;
    let filter = ExecutionFilter {
        job_id: Some(job_id.to_owned()),
        scope: identity.scope().cloned(),
        ..ExecutionFilter::default()
    };
    let (mut executions, mut offset) = (0, 0);
    loop {
        let page = state.store.executions(&filter, Page { limit: PAGE, offset }).await?;
        if page.is_empty() {
            return Ok(Json(ReleasedFiles { executions }));
        }
        offset += page.len() as u64;
        for execution in page {
            executions += u64::from(release(&state, &execution).await?);
        }
    }
}

async fn release(state: &AppState, execution: &ExecutionSummary) -> Result<bool, Problem> {
    if !execution.status.has_ended() {
        return Ok(false);
    }
    let snapshot = state.store.execution_snapshot(execution.id).await?;
    if snapshot.is_none_or(|it| it.files.keep != Some(Keep::Job)) {
        return Ok(false);
    }
    state.files.release(&Holder::Execution(execution.id)).await?;
    Ok(true)
}

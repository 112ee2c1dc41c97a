//! Executions: reading and cancelling them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;

use crate::domain::execution::{Execution, ExecutionSummary, NewExecution, State as Stage};
use crate::domain::outcome::Status;
use crate::http::auth::Identity;
use crate::http::executions::{BudgetedExecution, find, whole};
use crate::http::page::{Listed, PageQuery};
use crate::http::path::{ExecutionId, NamedScript};
use crate::http::problem::{Kind, Problem};
use crate::http::query::Query;
use crate::http::script_ref::ScriptRef;
use crate::http::state::AppState;
use crate::orchestrator::Cancelled;
use crate::store::{ExecutionFilter, Page};

/// Which executions are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExecutionsQuery {
    /// Only executions of this job.
    #[param(max_length = 200)]
    job_id: Option<String>,
    /// Only executions in this state: pending, running, completed, failed, timeout
    /// or cancelled.
    #[param(value_type = Option<String>, example = "failed")]
    status: Option<Stage>,
    /// Only executions of this script, by name or id.
    #[param(value_type = Option<String>, example = "weather")]
    script: Option<ScriptRef>,
}

impl ExecutionsQuery {
    fn read(query: &mut Query) -> Result<Self, Problem> {
        let job_id = query.text("job_id")?;
        if let Some(job_id) = &job_id {
            NewExecution::check_job_id(job_id)
                .map_err(|error| Problem::parameter("job_id", error.to_string()))?;
        }
        let (status, script) = (query.parsed("status")?, query.text("script")?);
        Ok(Self { job_id, status, script: script.map(ScriptRef::of_text) })
    }
}

/// Lists executions
///
/// The newest come first, without input, output and logs. A token that is limited to
/// certain scripts sees only their executions.
#[utoipa::path(
    get, path = "/api/v1/executions", tag = "executions",
    params(ExecutionsQuery, PageQuery),
    responses((status = 200, description = "A page of the list", body = [ExecutionSummary],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_executions(
    State(state): State<AppState>,
    identity: Identity,
    mut query: Query,
) -> Result<Response, Problem> {
    let (wanted, page) = (ExecutionsQuery::read(&mut query)?, query.page()?);
    query.finish()?;
    let script_id = match &wanted.script {
        None => None,
        Some(script) => match script.find(&state, &identity).await? {
            Some(script) => Some(script.id),
            None => return Ok(none()),
        },
    };
    let filter = ExecutionFilter {
        script_id,
        job_id: wanted.job_id,
        status: wanted.status,
        scope: identity.scope().cloned(),
        ..ExecutionFilter::default()
    };
    listed(&state, &filter, page).await
}

/// Lists the executions of a script
///
/// The newest come first, without input, output and logs.
#[utoipa::path(
    get, path = "/api/v1/admin/scripts/{id}/executions", tag = "executions",
    params(("id" = String, Path, description = "The script's id or name"), ExecutionsHistoryQuery, PageQuery),
    responses((status = 200, description = "A page of the list", body = [ExecutionSummary],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_script_executions(
    State(state): State<AppState>,
    NamedScript(script): NamedScript,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = ExecutionsHistoryQuery { status: query.parsed("status")? };
    let page = query.page()?;
    query.finish()?;
    let filter =
        ExecutionFilter { script_id: Some(script.id), status: wanted.status, ..Default::default() };
    listed(&state, &filter, page).await
}

/// Which executions of a script are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExecutionsHistoryQuery {
    /// Only executions in this state: pending, running, completed, failed, timeout
    /// or cancelled.
    #[param(value_type = Option<String>, example = "failed")]
    status: Option<Stage>,
}

async fn listed(
    state: &AppState,
    filter: &ExecutionFilter,
    page: PageQuery,
) -> Result<Response, Problem> {
    let page = Page { limit: page.limit, offset: page.offset };
    let entries = state.store.executions(filter, page).await?;
    let total = state.store.count_executions(filter).await?;
    Ok(Listed { entries, total }.into_response())
}

/// An empty list.
fn none() -> Response {
    Listed { entries: Vec::<ExecutionSummary>::new(), total: 0 }.into_response()
}

/// Returns an execution
///
/// Includes its input, output, logs and artifacts.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}", tag = "executions",
    params(("id" = String, Path, description = "The execution's id", format = "uuid")),
    responses((status = 200, description = "The execution", body = Execution))
)]
pub(super) async fn get_execution(
    State(state): State<AppState>,
    identity: Identity,
    ExecutionId(id): ExecutionId,
) -> Result<Response, Problem> {
    find(&state, &identity, id).await?;
    let BudgetedExecution { execution, held } = whole(&state, &identity, id).await?;
    Ok(held.json(StatusCode::OK, execution).await)
}

/// Returns an execution, for administration
///
/// The same as `/api/v1/executions/{id}`, for roles that see all executions.
#[utoipa::path(
    get, path = "/api/v1/admin/scripts/executions/{id}", tag = "executions",
    params(("id" = String, Path, description = "The execution's id", format = "uuid")),
    responses((status = 200, description = "The execution", body = Execution))
)]
pub(super) async fn get_script_execution(
    State(state): State<AppState>,
    identity: Identity,
    ExecutionId(id): ExecutionId,
) -> Result<Response, Problem> {
    let BudgetedExecution { execution, held } = whole(&state, &identity, id).await?;
    Ok(held.json(StatusCode::OK, execution).await)
}

/// Cancels an execution
///
/// A pending execution is cancelled at once (200); a running one is being stopped when
/// this answers (202). Cancelling again changes nothing; an execution that has ended in
/// another way can't be cancelled (409).
#[utoipa::path(
    post, path = "/api/v1/executions/{id}/cancel", tag = "executions",
    params(("id" = String, Path, description = "The execution's id", format = "uuid")),
    responses(
        (status = 200, description = "The execution is cancelled", body = ExecutionSummary),
        (status = 202, description = "The execution is being stopped", body = ExecutionSummary),
        (status = 409, description = "The execution has already ended"),
    )
)]
pub(super) async fn cancel_execution(
    State(state): State<AppState>,
    identity: Identity,
    ExecutionId(id): ExecutionId,
) -> Result<Response, Problem> {
    find(&state, &identity, id).await?;
    let status = match state.executions.cancel(id).await? {
        Cancelled::Done | Cancelled::Ended(Stage::Ended(Status::Cancelled)) => StatusCode::OK,
        Cancelled::Ended(ended) => {
            return Err(Problem::new(Kind::Conflict, format!("the execution has ended: {ended}")));
        }
        Cancelled::Asked => StatusCode::ACCEPTED,
        Cancelled::Unknown => return Err(Problem::not_found("execution")),
    };
    tracing::info!(execution = %id, by = identity.name(), "cancelled");
    let summary = find(&state, &identity, id).await?;
    Ok((status, Json(summary)).into_response())
}

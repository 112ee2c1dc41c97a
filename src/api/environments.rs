//! Environments: their states and build logs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::registry::{EnvironmentRecord, EnvironmentStatus};
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::domain::system_packages::SystemPackages;
use crate::http::environments::{key, missing, send_environment_log};
use crate::http::page::{Listed, PageQuery};
use crate::http::path::PathText;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::state::AppState;

/// An environment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Environment)]
pub(super) struct EnvironmentView {
    /// SHA-256 over its packages and base image, in hexadecimal.
    key: String,
    /// Type of the scripts that it is for: shell, python or binary.
    #[schema(value_type = String, example = "python")]
    script_type: ScriptType,
    /// The version of Python that is installed in it; null is the base image's.
    #[schema(value_type = Option<String>, example = "3.11")]
    python: Option<PythonVersion>,
    /// True if a script chose that packages without a wheel are built from source.
    sources: bool,
    /// The program and its arguments that fill its caches when it is built; empty for none.
    warm_up: Vec<String>,
    /// Debian packages.
    #[schema(value_type = Vec<String>)]
    system_packages: SystemPackages,
    /// A `requirements.txt`.
    requirements: Option<String>,
    /// SHA-256 of the normalised requirements, in hexadecimal.
    requirements_hash: Option<String>,
    /// State of the environment.
    status: EnvironmentStatus,
    /// Id of the image; null until it is built.
    image: Option<String>,
    /// Reason of the failed build, in the installer's words.
    error: Option<String>,
    /// The exact versions that were installed.
    lock: Option<String>,
    /// The build log so far, at most its last MiB; null in lists.
    log: Option<String>,
    /// Time at which a script first needed the environment.
    #[schema(value_type = String, format = "date-time")]
    created_at: DateTime<Utc>,
    /// Time of the environment's last change.
    #[schema(value_type = String, format = "date-time")]
    updated_at: DateTime<Utc>,
    /// Time at which the build ended.
    #[schema(value_type = Option<String>, format = "date-time")]
    built_at: Option<DateTime<Utc>>,
}

impl From<EnvironmentRecord> for EnvironmentView {
    fn from(record: EnvironmentRecord) -> Self {
        Self {
            key: record.key,
            script_type: record.script_type,
            python: record.python,
            sources: record.sources,
            warm_up: record.warm_up.map(|it| it.command).unwrap_or_default(),
            system_packages: record.system_packages,
            requirements: record.requirements,
            requirements_hash: record.requirements_hash,
            status: record.status,
            image: record.image,
            error: record.error,
            lock: record.lock,
            log: None,
            created_at: record.created_at,
            updated_at: record.updated_at,
            built_at: record.built_at,
        }
    }
}

/// Lists environments
///
/// The most recently changed come first.
#[utoipa::path(
    get, path = "/api/v1/admin/environments", tag = "environments",
    params(PageQuery),
    responses((status = 200, description = "A page of the list", body = [EnvironmentView],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_environments(
    State(state): State<AppState>,
    mut query: Query,
) -> Result<Response, Problem> {
    let page = query.page()?;
    query.finish()?;
    let records = state.store.environments(page.limit, page.offset).await?;
    let total = state.store.count_environments().await?;
    let entries: Vec<_> = records.into_iter().map(EnvironmentView::from).collect();
    Ok(Listed { entries, total }.into_response())
}

/// Returns an environment
///
/// Includes the log of its build.
#[utoipa::path(
    get, path = "/api/v1/admin/environments/{key}", tag = "environments",
    params(("key" = String, Path, description = "The environment's key", pattern = "^[0-9a-f]{64}$")),
    responses((status = 200, description = "The environment", body = EnvironmentView))
)]
pub(super) async fn get_environment(
    State(state): State<AppState>,
    path: PathText,
) -> Result<Json<EnvironmentView>, Problem> {
    let key = key(&path)?;
    let record = state.store.environment(key).await?.ok_or_else(missing)?;
    let log = state.store.environment_log(key).await?;
    Ok(Json(EnvironmentView { log, ..record.into() }))
}

/// Returns the build log of an environment
#[utoipa::path(
    get, path = "/api/v1/admin/environments/{key}/log", tag = "environments",
    params(("key" = String, Path, description = "The environment's key", pattern = "^[0-9a-f]{64}$")),
    responses((status = 200, description = "The build log so far, at most its last MiB",
        body = String, content_type = "text/plain", example = json!("Resolved 3 packages in 12ms\n")))
)]
pub(super) async fn get_environment_log(
    state: State<AppState>,
    path: PathText,
) -> Result<Response, Problem> {
    send_environment_log(state, path).await
}

/// Builds an environment
///
/// Starts a build in the background unless the environment is ready. Use it after a
/// temporary failure, such as a package index that did not answer: executions that need
/// an environment whose build has just failed fail with that error until it is tried
/// again.
#[utoipa::path(
    post, path = "/api/v1/admin/environments/{key}/build", tag = "environments",
    params(("key" = String, Path, description = "The environment's key", pattern = "^[0-9a-f]{64}$")),
    responses((status = 202, description = "The build has started, unless the environment is ready", body = EnvironmentView))
)]
pub(super) async fn build_environment(
    State(state): State<AppState>,
    path: PathText,
) -> Result<Response, Problem> {
    let key = key(&path)?;
    state.store.environment(key).await?.ok_or_else(missing)?;
    state.environments.retry(key).await?;
    let record = state.store.environment(key).await?.ok_or_else(missing)?;
    Ok((StatusCode::ACCEPTED, Json(EnvironmentView::from(record))).into_response())
}

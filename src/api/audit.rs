//! Audit log: changes with their actors and times.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::http::page::{Listed, PageQuery};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::state::AppState;
use crate::store::AuditEntry;

/// A change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct AuditView {
    /// Later entries have greater ids.
    id: i64,
    /// Time of the change.
    #[schema(value_type = String, format = "date-time")]
    at: DateTime<Utc>,
    /// Name of the token that made the change.
    actor: String,
    /// Kind of the change.
    #[schema(example = "token.revoke")]
    action: String,
    /// Subject of the change.
    #[schema(example = "token:pipeline")]
    subject: String,
    /// State before the change; null for something new.
    #[schema(value_type = Option<serde_json::Value>)]
    before: Option<Value>,
    /// State after the change; null for something removed.
    #[schema(value_type = Option<serde_json::Value>)]
    after: Option<Value>,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            before: entry.before,
            after: entry.after,
        }
    }
}

/// Which changes are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only changes to this subject.
    #[param(example = "script:weather")]
    subject: Option<String>,
}

/// Lists audit entries
///
/// The newest come first. Entries hold no secrets.
#[utoipa::path(
    get, path = "/api/v1/admin/audit", tag = "audit",
    params(AuditQuery, PageQuery),
    responses((status = 200, description = "A page of the list", body = [AuditView],
        headers(("X-Total-Count" = u64, description = "Total number of entries"))))
)]
pub(super) async fn list_audit_entries(
    State(state): State<AppState>,
    mut query: Query,
) -> Result<Response, Problem> {
    let wanted = AuditQuery { subject: query.text("subject")? };
    let page = query.page()?;
    query.finish()?;
    let subject = wanted.subject.as_deref();
    let entries = state.store.audit(subject, page.limit, page.offset).await?;
    let total = state.store.count_audit(subject).await?;
    let entries: Vec<_> = entries.into_iter().map(AuditView::from).collect();
    Ok(Listed { entries, total }.into_response())
}

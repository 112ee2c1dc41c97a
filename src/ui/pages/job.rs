//! Page of a job: its executions in order, with links to their logs.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::domain::execution::{ExecutionSummary, NewExecution};
use crate::http::problem::Problem;
use crate::http::roles::SEEING;
use crate::http::state::AppState;
use crate::store::{ExecutionFilter, Page};
use crate::ui::components::pager::{PAGE, offset, pages};
use crate::ui::components::{badge, cells, value};
use crate::ui::form::PageFields;
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

/// Shows a job.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    user: CurrentUser,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let job_id = fields.text("job_id").trim();
    NewExecution::check_job_id(job_id)
        .map_err(|error| Problem::parameter("job_id", error.to_string()))?;
    let filter = ExecutionFilter {
        job_id: Some(job_id.to_owned()),
        scope: user.identity.scope().cloned(),
        ..ExecutionFilter::default()
    };
    let total = state.store.count_executions(&filter).await?.unsigned_abs();
    let start = offset(&fields).min(total);
    // The store returns the newest first; a job is shown from its start.
    let shown = u64::from(PAGE).min(total - start);
    let page = Page {
        limit: PAGE.min(u32::try_from(shown).unwrap_or(PAGE)),
        offset: total - start - shown,
    };
    let mut executions = state.store.executions(&filter, page).await?;
    executions.reverse();
    let is_over = executions.iter().all(|it| it.status.has_ended());
    let content = html! {
        div.head {
            h1 { "Job " (job_id) }
            span.muted { (value::counted(total, "execution", "executions")) }
        }
        section.card.flush #list data-live data-refresh=[(!is_over).then_some("2")] {
            @if executions.is_empty() {
                div.empty {
                    strong { "Nothing was run for this job" }
                    p { "A job's id is what the pipeline sends as " code { "job_id" } "; case matters." }
                }
            } @else {
                (rows(&user, &executions, start))
                (pages("/jobs", &[("job_id", job_id)], start, total))
            }
        }
    };
    Ok(layout::page(&user, Section::Executions, &format!("Job {job_id}"), content))
}

fn rows(user: &CurrentUser, executions: &[ExecutionSummary], start: u64) -> Markup {
    let sees_scripts = user.is(SEEING);
    html! {
        div.table {
            table {
                thead {
                    tr {
                        th.num { "#" }
                        th { "Log and result" }
                        th { "Status" }
                        th { "Script" }
                        th { "Message" }
                        th.num { "Waited" }
                        th.num { "Ran" }
                        th { "Created" }
                    }
                }
                tbody {
                    @for (it, number) in executions.iter().zip(start + 1..) {
                        tr {
                            td.num { (number) }
                            (cells::execution(it.id))
                            td { (badge::outcome(it.status, it.error_kind)) }
                            (cells::script(&it.script_name, None, sees_scripts))
                            td { span.sub { (it.error_message.as_deref().map_or("", |it| value::short(it, 200))) } }
                            td.num { (value::maybe_milliseconds(it.queue_ms)) }
                            td.num { (value::maybe_milliseconds(it.duration_ms)) }
                            td.nowrap { (value::ago(it.created_at)) }
                        }
                    }
                }
            }
        }
    }
}

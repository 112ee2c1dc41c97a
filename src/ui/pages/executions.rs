//! Executions of all scripts, with filters. Pages are keyed by the last id of the previous one, so
//! the millionth costs the same as the first.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, NaiveDateTime, Utc};
use maud::{Markup, html};
use uuid::Uuid;

use crate::domain::execution::{ExecutionSummary, NewExecution, State as Stage};
use crate::http::problem::Problem;
use crate::http::roles::SEEING;
use crate::http::script_ref::ScriptRef;
use crate::http::state::AppState;
use crate::store::{ExecutionFilter, Page};
use crate::ui::address::query;
use crate::ui::components::pager::PAGE;
use crate::ui::components::{badge, cells, value};
use crate::ui::form::{FormFields, PageFields};
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

/// Filters as typed.
struct Wanted {
    status: String,
    script: String,
    job_id: String,
    triggered_by: String,
    since: String,
    until: String,
    before: String,
}

impl Wanted {
    fn read(fields: &FormFields) -> Self {
        let text = |name| fields.text(name).trim().to_owned();
        Self {
            status: text("status"),
            script: text("script"),
            job_id: text("job_id"),
            triggered_by: text("triggered_by"),
            since: text("since"),
            until: text("until"),
            before: text("before"),
        }
    }

    fn pairs<'a>(&'a self, before: &'a str) -> [(&'a str, &'a str); 7] {
        [
            ("status", &self.status),
            ("script", &self.script),
            ("job_id", &self.job_id),
            ("triggered_by", &self.triggered_by),
            ("since", &self.since),
            ("until", &self.until),
            ("before", before),
        ]
    }

    fn is_narrowed(&self) -> bool {
        self.pairs("").iter().any(|(_, value)| !value.is_empty())
    }

    /// Filter for the store; `None` if nothing can match.
    async fn filter(
        &self,
        state: &AppState,
        user: &CurrentUser,
    ) -> Result<Option<ExecutionFilter>, Problem> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let script_id = match given(&self.script) {
            None => None,
            Some(name) => match ScriptRef::of_text(name).find(state, &user.identity).await? {
                None => return Ok(None),
                Some(script) => Some(script.id),
            },
        };
        if given(&self.job_id).is_some_and(|it| NewExecution::check_job_id(&it).is_err()) {
            return Ok(None);
        }
        Ok(Some(ExecutionFilter {
            script_id,
            job_id: given(&self.job_id),
            status: self.status.parse::<Stage>().ok(),
            scope: user.identity.scope().cloned(),
            triggered_by: given(&self.triggered_by),
            since: time(&self.since),
            until: time(&self.until),
            before: Uuid::try_parse(&self.before).ok(),
        }))
    }
}

/// Parses a time as browsers send it, in UTC.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let parsed = formats.iter().find_map(|it| NaiveDateTime::parse_from_str(text, it).ok());
    parsed.map(|time| time.and_utc())
}

/// Lists executions.
pub(in crate::ui) async fn list(
    State(state): State<AppState>,
    user: CurrentUser,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&fields);
    let (mut found, mut total) = (Vec::new(), None);
    if let Some(filter) = wanted.filter(&state, &user).await? {
        // One extra entry tells if there are more.
        found = state.store.executions(&filter, Page { limit: PAGE + 1, offset: 0 }).await?;
        let is_counted = wanted.pairs("")[2..].iter().all(|(_, value)| value.is_empty());
        if is_counted && filter.before.is_none() {
            total = Some(state.store.count_executions(&filter).await?.unsigned_abs());
        }
    }
    let has_more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let last = found.last().map(|it| it.id.to_string()).unwrap_or_default();
    let is_first = wanted.before.is_empty();
    let content = html! {
        div.head {
            h1 { "Executions" }
            @if let Some(total) = total { span.muted { (value::count(total)) } }
        }
        (filters(&wanted))
        section.card.flush {
            @if found.is_empty() {
                (empty(&user, &wanted))
            } @else {
                div #list data-live=[is_first.then_some("")] data-refresh=[is_first.then_some("5")] {
                    (rows(&user, &found))
                }
            }
            @if has_more || !is_first {
                nav.pager aria-label="Pages" {
                    @if !is_first {
                        a href={ "/executions" (query(&wanted.pairs(""))) } { "← Newest" }
                    }
                    @if has_more {
                        a rel="next" href={ "/executions" (query(&wanted.pairs(&last))) } { "Older →" }
                    }
                }
            }
        }
    };
    Ok(layout::page(&user, Section::Executions, "Executions", content))
}

fn filters(wanted: &Wanted) -> Markup {
    let text = |name: &str, label: &str, kind: &str, value: &str| {
        html! {
            div.field {
                label for=(name) { (label) }
                input id=(name) name=(name) type=(kind) value=(value) maxlength="200" autocomplete="off";
            }
        }
    };
    html! {
        form.filters action="/executions" {
            div.field {
                label for="status" { "Status" }
                select #status name="status" {
                    option value="" { "any" }
                    @for state in Stage::ALL {
                        option value=(state.name()) selected[wanted.status == state.name()] {
                            (state.name())
                        }
                    }
                }
            }
            (text("script", "Script", "search", &wanted.script))
            (text("job_id", "Job", "text", &wanted.job_id))
            (text("triggered_by", "Made with token", "text", &wanted.triggered_by))
            (text("since", "From (UTC)", "datetime-local", &wanted.since))
            (text("until", "Until (UTC)", "datetime-local", &wanted.until))
            button type="submit" { "Filter" }
            @if wanted.is_narrowed() { a.button.quiet href="/executions" { "Clear" } }
        }
    }
}

fn empty(user: &CurrentUser, wanted: &Wanted) -> Markup {
    html! {
        div.empty {
            @if wanted.is_narrowed() || !wanted.before.is_empty() {
                strong { "Nothing matches" }
                p { "Leave a filter out, or look at a longer time." }
                a.button href="/executions" { "Show all" }
            } @else {
                strong { "Nothing has been run yet" }
                p { "An execution is made with " code { "POST /api/v1/executions" } ", or from a script's page." }
                @if user.is(SEEING) { a.button href="/scripts" { "Scripts" } }
            }
        }
    }
}

/// Renders executions as a table.
pub(in crate::ui) fn rows(user: &CurrentUser, executions: &[ExecutionSummary]) -> Markup {
    let sees_scripts = user.is(SEEING);
    html! {
        div.table {
            table {
                thead {
                    tr {
                        th { "Status" }
                        th { "Execution" }
                        th { "Script" }
                        th { "Job" }
                        th { "By" }
                        th.num { "Waited" }
                        th.num { "Ran" }
                        th { "Created" }
                    }
                }
                tbody {
                    @for it in executions {
                        tr {
                            td { (badge::outcome(it.status, it.error_kind)) }
                            (cells::execution(it.id))
                            (cells::script(&it.script_name, it.version, sees_scripts))
                            (cells::job(it.job_id.as_deref()))
                            td.break { (it.triggered_by.as_deref().unwrap_or("–")) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_send_them() {
        assert_eq!(time("2026-11-29T10:05").unwrap().timestamp(), 1_795_946_700);
        assert_eq!(time("2026-11-29T10:05:01").unwrap().timestamp(), 1_795_946_701);
        assert!(time("").is_none() && time("yesterday").is_none());
    }
}

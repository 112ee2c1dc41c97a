//! Page of one execution: outcome, timeline, input, output, log and artifacts.
//!
//! All of it works without JavaScript; `assets/log.js` follows a running execution. The page is
//! bounded whatever the execution did. Output, names and results are only shown as text.

mod artifacts;
mod documents;
mod downloads;
mod inputs;
mod printed;
mod receipt;
mod sandbox;
mod timeline;
mod usage;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use crate::domain::error_chain::chain;
use crate::domain::execution::{
    Artifact, Execution, ExecutionSnapshot, ExecutionSummary, FilesSnapshot, Priority,
};
use crate::domain::input_files::RequestFiles;
use crate::domain::output_log::OutputLog;
use crate::domain::sanitize::escaped;
use crate::http::executions::{BudgetedExecution, find, whole, whole_and_log};
use crate::http::path::ExecutionId;
use crate::http::problem::Problem;
use crate::http::roles::{CANCELLING, INVOKING, SEEING};
use crate::http::script_ref::ScriptRef;
use crate::http::state::AppState;
use crate::http::submission::{read_input, submission, submit};
use crate::orchestrator::{Cancelled, Submission};
use crate::store::StoreError;
use crate::ui::address::{query, redirect};
use crate::ui::assets::Asset;
use crate::ui::components::ansi::visible;
use crate::ui::components::{badge, value};
use crate::ui::form::Form;
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

pub(in crate::ui) use downloads::{
    download_input, download_log, download_output, download_outputs,
};

/// Most bytes of the page without the layout: the whole page has at most 100 KB.
const PAGE_ROOM: usize = 94_000;

/// Most artifacts that are folded.
const MAX_FOLDED: u64 = 20_000;

/// Longest message, in characters.
const MAX_MESSAGE: usize = 2_000;

/// Shows an execution.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    user: CurrentUser,
    ExecutionId(id): ExecutionId,
) -> Result<Response, Problem> {
    find(&state, &user.identity, id).await?;
    let (BudgetedExecution { execution, held }, log) =
        whole_and_log(&state, &user.identity, id).await?;
    let artifacts = all_artifacts(&state, &execution).await;
    // It provides the limits; the page is useful without them.
    let snapshot = state.store.execution_snapshot(id).await.unwrap_or_else(|error| {
        tracing::warn!(execution = %id, error = chain(&error), "the execution's limits can't be read");
        None
    });
    let built_at = built_at(&state, &execution.summary).await.unwrap_or_else(|error| {
        tracing::warn!(execution = %id, error = chain(&error), "the execution's environment can't be read");
        None
    });
    let facts = Facts {
        execution: &execution,
        artifacts: artifacts.as_deref().unwrap_or(&execution.artifacts),
        log: &log,
        snapshot: snapshot.as_ref(),
        built_at,
    };
    let content = content(&user, &facts);
    drop((log, held));
    let title = format!("{} {}", execution.summary.script_name, execution.summary.status);
    Ok(layout::page_with(&user, Section::Executions, &title, &[Asset::Log, Asset::Files], content))
}

/// All artifacts of an execution, so that they can be folded; `None` if there are too many, or if
/// the page has them already.
async fn all_artifacts(state: &AppState, execution: &Execution) -> Option<Vec<Artifact>> {
    let has_more = execution.artifact_count > execution.artifacts.len() as u64;
    if !has_more || execution.artifact_count > MAX_FOLDED {
        return None;
    }
    let id = execution.summary.id;
    let all = state.store.artifacts(id).await;
    all.inspect_err(|error| {
        tracing::warn!(execution = %id, error = chain(error), "the execution's artifacts can't be read");
    })
    .ok()
}

/// Build time of the execution's environment, if it has one of its own.
async fn built_at(
    state: &AppState,
    summary: &ExecutionSummary,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let Some((script, number)) = summary.script_id.zip(summary.version) else { return Ok(None) };
    let version = state.store.version(script, number).await?;
    let Some(key) = version.and_then(|it| it.environment_key) else { return Ok(None) };
    Ok(state.store.environment(&key).await?.and_then(|it| it.built_at))
}

/// Data of the page.
struct Facts<'a> {
    execution: &'a Execution,
    /// Its artifacts: all of them, unless there are too many.
    artifacts: &'a [Artifact],
    log: &'a OutputLog,
    snapshot: Option<&'a ExecutionSnapshot>,
    /// Build time of the environment.
    built_at: Option<DateTime<Utc>>,
}

fn content(user: &CurrentUser, facts: &Facts<'_>) -> Markup {
    let Facts { execution, artifacts, log, snapshot, built_at } = *facts;
    let summary = &execution.summary;
    let head = head(user, summary);
    let results = html! {
        div.stack #results data-live {
            (documents::cards(execution))
            (artifacts::card(summary.id, artifacts, execution.artifact_count))
            (inputs::card(execution, snapshot.map_or(&[], |it| it.files.shares.as_slice())))
        }
    };
    let facts = html! {
        div.stack #facts data-live {
            (timeline::card(summary, built_at))
            (usage::card(summary, log, snapshot))
            (sandbox::card(summary))
        }
    };
    let taken = head.0.len() + results.0.len() + facts.0.len();
    html! {
        (head)
        div.grid.wide-left {
            div.stack {
                (printed::section(summary, log, PAGE_ROOM.saturating_sub(taken)))
                (results)
            }
            (facts)
        }
    }
}

fn head(user: &CurrentUser, summary: &ExecutionSummary) -> Markup {
    let name = &summary.script_name;
    let is_registered = summary.script_id.is_some();
    // The state already tells of a cancellation.
    let message = summary.error_message.as_deref().filter(|it| *it != summary.status.name());
    html! {
        div.stack #head data-live {
            nav.crumbs aria-label="Breadcrumb" {
                a href="/executions" { "Executions" }
                span aria-hidden="true" { "/" }
                span.mono.break { (summary.id) }
            }
            div.head {
                h1 {
                    @if is_registered && user.is(SEEING) {
                        a href={ "/scripts/" (name) } { (name) }
                    } @else { (name) }
                }
                @if let Some(version) = summary.version { span.muted { "v" (version) } }
                (badge::outcome(summary.status, summary.error_kind))
                span.grow {}
                (actions(user, summary))
            }
            (origin(summary))
            @if let Some(message) = message {
                div.alert { pre.message { (plain(message, MAX_MESSAGE)) } }
            }
        }
    }
}

fn actions(user: &CurrentUser, summary: &ExecutionSummary) -> Markup {
    let address = format!("/executions/{}", summary.id);
    html! {
        div.actions {
            @if user.is(CANCELLING) && !summary.status.has_ended() {
                @let cancel = format!("{address}/cancel");
                (layout::action(user, &cancel, "danger", html! { "Cancel" }))
            }
            @if user.is(INVOKING) && summary.script_id.is_some() {
                @let again = format!("{address}/run-again");
                @if user.is(SEEING) {
                    @let from = query(&[("from", &summary.id.to_string())]);
                    a.button href={ "/scripts/" (summary.script_name) "/run" (from) } { "Edit and run" }
                }
                form.action method="post" action=(again) {
                    (layout::token(user))
                    (layout::once())
                    button type="submit" { "Run again" }
                }
            }
        }
    }
}

/// Origin of the execution.
fn origin(summary: &ExecutionSummary) -> Markup {
    html! {
        dl.origin {
            div { dt { "Created" } dd { (value::ago(summary.created_at)) } }
            @if let Some(time) = summary.completed_at {
                div { dt { "Ended" } dd { (value::ago(time)) } }
            }
            @if let Some(name) = &summary.triggered_by {
                div { dt { "By" } dd.break { (escaped(name)) } }
            }
            @if let Some(job) = &summary.job_id {
                div {
                    dt { "Job" }
                    dd.break {
                        a href={ "/jobs" (query(&[("job_id", job.as_str())])) } { (escaped(job)) }
                    }
                }
            }
            @if summary.priority != 0 { div { dt { "Priority" } dd { (summary.priority) } } }
        }
    }
}

/// Text of several lines without characters that move or hide their surroundings.
fn plain(text: &str, most: usize) -> String {
    let seen = |character| if character == '\n' { character } else { visible(character) };
    let mut shown: String = text.chars().take(most).map(seen).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Cancels an execution. The next page shows the result.
pub(in crate::ui) async fn cancel(
    State(state): State<AppState>,
    user: CurrentUser,
    ExecutionId(id): ExecutionId,
    _form: Form,
) -> Result<Response, Problem> {
    find(&state, &user.identity, id).await?;
    match state.executions.cancel(id).await? {
        Cancelled::Unknown => return Err(Problem::not_found("execution")),
        Cancelled::Done | Cancelled::Asked => {
            tracing::info!(execution = %id, by = user.identity.name(), "cancelled");
        }
        Cancelled::Ended(_) => {}
    }
    Ok(redirect(&format!("/executions/{id}")))
}

/// Runs the script's current version with the same input. Limits and timeout are the script's own:
/// they may have been changed because of this execution.
pub(in crate::ui) async fn run_again(
    State(state): State<AppState>,
    user: CurrentUser,
    ExecutionId(id): ExecutionId,
    form: Form,
) -> Result<Response, Problem> {
    let identity = &user.identity;
    let summary = find(&state, identity, id).await?;
    let script = match summary.script_id {
        Some(script_id) => ScriptRef::Id(script_id).find(&state, identity).await?,
        None => None,
    };
    let script = script.ok_or_else(|| Problem::not_found("script"))?;
    let snapshot =
        state.store.execution_snapshot(id).await?.ok_or_else(|| Problem::not_found("execution"))?;
    let BudgetedExecution { execution, held } = whole(&state, &user.identity, id).await?;
    let input = read_input(execution.input_data.as_deref(), "/input")?;
    drop(execution);
    let submission = Submission {
        job_id: summary.job_id,
        idempotency_key: form.0.once(),
        priority: Priority::new(summary.priority.into()).unwrap_or_default(),
        args: snapshot.args,
        env: snapshot.env,
        files: files_of(&snapshot.files),
        keep: snapshot.files.keep,
        ..submission(identity, script, input)
    };
    let accepted = submit(&state, submission).await?;
    drop(held);
    Ok(redirect(&format!("/executions/{}", accepted.id)))
}

/// The files that a request named, for another one.
fn files_of(snapshot: &FilesSnapshot) -> RequestFiles {
    let mut files = RequestFiles::of(snapshot.named());
    for shared in snapshot.named_shares() {
        files.push(shared.name.clone(), shared.reference());
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_bounded_and_hide_nothing() {
        assert_eq!(plain("a\nb\tc\u{202e}\u{1b}", 10), "a\nb\tc\u{fffd}\u{241b}");
        assert_eq!(plain("äöü", 2), "äö…");
        assert_eq!(plain("äö", 2), "äö");
    }
}

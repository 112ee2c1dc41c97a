//! Results of `gantry doctor`, and facts about the server. An examination starts a sandbox and
//! takes a moment: it runs in the background, and its last result is shown.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::overview::pool_words;
use crate::clock;
use crate::doctor::{Examination, Finding, Severity};
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::ui::address::redirect;
use crate::ui::components::value;
use crate::ui::form::Form;
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

/// Age in minutes after which a visit repeats the examination.
const FRESH_MINUTES: i64 = 10;

/// Shows the page.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    user: CurrentUser,
) -> Result<Response, Problem> {
    let last = state.examiner.last();
    let is_old = |it: &Examination| (clock::now() - it.at).num_minutes() >= FRESH_MINUTES;
    if last.as_ref().is_none_or(is_old) {
        state.examiner.begin();
    }
    let is_busy = state.examiner.is_busy();
    let content = html! {
        div.head {
            h1 { "System" }
            span.grow {}
            (layout::action(&user, "/system/examine", "", html! { "Examine again" }))
        }
        section.card.flush #findings data-live data-refresh=[is_busy.then_some("1")] {
            div.card-head {
                h2 { "What " code { "gantry doctor" } " says" }
                span.muted.small {
                    @if is_busy { "being examined… " }
                    @if let Some(last) = &last { (value::ago(last.at)) }
                }
            }
            @match &last {
                None => div.empty { "The first examination is under way: it starts a sandbox, and takes a moment." },
                Some(last) => (findings(&last.findings)),
            }
        }
        (server(&state))
    };
    Ok(layout::page(&user, Section::System, "System", content))
}

fn findings(findings: &[Finding]) -> Markup {
    let mut sorted: Vec<_> = findings.iter().collect();
    // Worst first.
    sorted.sort_by_key(|it| std::cmp::Reverse(it.severity));
    html! {
        ul.findings {
            @for it in sorted {
                li {
                    @match it.severity {
                        Severity::Ok => span.badge.completed { "ok" },
                        Severity::Warning => span.badge.timeout { "warning" },
                        Severity::Error => span.badge.failed { "error" },
                    }
                    strong { (it.subject) }
                    span.seen { (it.seen) }
                    @if let Some(advice) = &it.advice { span.advice { (advice) } }
                }
            }
        }
    }
}

fn server(state: &AppState) -> Markup {
    let load = state.executions.load();
    html! {
        section.card {
            h2 { "This server" }
            dl.facts {
                dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) }
                dt { "Database" } dd { (state.store.kind()) }
                dt { "Executions" }
                dd { (load.running) " run, " (load.waiting) " wait; at most " (value::count(load.queue_limit as u64)) " may wait" }
                dt { "Pool" }
                dd {
                    (pool_words(&load.pool))
                    @if load.pool.size > 0 {
                        "; they count " (value::bytes(load.pool.memory_bytes))
                        @if let Some(limit) = load.pool.memory_limit_bytes {
                            " of " (value::bytes(limit))
                        }
                    }
                }
                dt { "API" } dd { code { "/api/docs" } ", " code { "/api/openapi.json" } ", " code { "/metrics" } " (with a token)" }
            }
        }
    }
}

/// Starts an examination.
pub(in crate::ui) async fn examine(
    State(state): State<AppState>,
    _form: Form,
) -> Result<Response, Problem> {
    state.examiner.begin();
    Ok(redirect("/system"))
}

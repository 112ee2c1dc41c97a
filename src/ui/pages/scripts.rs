//! List of scripts: type, state, environment and success rate.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::domain::registry::{EnvironmentRecord, RegisteredScript};
use crate::http::path::NamedScript;
use crate::http::problem::Problem;
use crate::http::roles::{ADMIN, INVOKING, OPERATING};
use crate::http::scripts::environment_of;
use crate::http::state::AppState;
use crate::registry::ScriptInput;
use crate::store::{Run, ScriptFilter};
use crate::ui::address::{query, redirect};
use crate::ui::components::pager::{PAGE, offset, pages};
use crate::ui::components::runs::{self, LOOKED_AT, Summary};
use crate::ui::components::{badge, value};
use crate::ui::form::{Form, FormFields, PageFields};
use crate::ui::layout::{self, Section};
use crate::ui::pages::editor::settings;
use crate::ui::session::CurrentUser;

/// Lists scripts.
pub(in crate::ui) async fn list(
    State(state): State<AppState>,
    user: CurrentUser,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let scope = user.identity.scope().cloned();
    let filter = ScriptFilter { scope, ..settings::filter(&fields) };
    let total = state.store.count_scripts(&filter).await?.unsigned_abs();
    let start = offset(&fields);
    let scripts = state.store.scripts(&filter, PAGE, start).await?;
    let ids: Vec<_> = scripts.iter().map(|script| script.id).collect();
    let runs = state.store.newest_runs_of(&ids, LOOKED_AT).await?;
    let mut environments = HashMap::new();
    for script in &scripts {
        if let Some(environment) = environment_of(&state, script).await? {
            environments.insert(script.id, environment);
        }
    }
    let pairs = fields.pairs(&settings::FILTERS);
    let is_narrowed = pairs.iter().any(|(_, value)| !value.is_empty());
    let here = format!("/scripts{}", query(&pairs));
    let content = html! {
        div.head {
            h1 { "Scripts" }
            span.muted { (value::count(total)) }
            span.grow {}
            @if user.is(ADMIN) { a.button.primary href="/register" { "Register a script" } }
        }
        (settings::filters(&fields))
        section.card.flush {
            @if scripts.is_empty() {
                (empty(&user, is_narrowed))
            } @else {
                (table(&user, &scripts, &runs, &environments, &here))
                (pages("/scripts", &pairs, start, total))
            }
        }
    };
    Ok(layout::page(&user, Section::Scripts, "Scripts", content))
}

fn empty(user: &CurrentUser, is_narrowed: bool) -> Markup {
    html! {
        div.empty {
            @if is_narrowed {
                strong { "No script matches" }
                a.button href="/scripts" { "Show all" }
            } @else {
                strong { "There is no script yet" }
                p { "A script is registered once; every execution of it gets a container of its own." }
                @if user.is(ADMIN) {
                    a.button.primary href="/register" { "Register a script" }
                }
            }
        }
    }
}

fn table(
    user: &CurrentUser,
    scripts: &[RegisteredScript],
    runs: &HashMap<i64, Vec<Run>>,
    environments: &HashMap<i64, EnvironmentRecord>,
    here: &str,
) -> Markup {
    html! {
        div.table {
            table {
                thead {
                    tr {
                        th { "Script" }
                        th.roomy { "Type" }
                        th { "State" }
                        th { "Environment" }
                        th.num { "Success" }
                        th { "Last " (LOOKED_AT) " runs" }
                        th.num { "p50" }
                        th.num { "p95" }
                        th { "Last run" }
                        th { span.visually-hidden { "Actions" } }
                    }
                }
                tbody {
                    @for script in scripts {
                        @let runs = runs.get(&script.id).map_or(&[][..], Vec::as_slice);
                        (row(user, script, runs, environments.get(&script.id), here))
                    }
                }
            }
        }
    }
}

fn row(
    user: &CurrentUser,
    script: &RegisteredScript,
    runs: &[Run],
    environment: Option<&EnvironmentRecord>,
    here: &str,
) -> Markup {
    let (name, summary) = (script.name.as_str(), Summary::of(runs));
    html! {
        tr {
            td {
                a href={ "/scripts/" (name) } { strong { (name) } }
                span.muted { " v" (script.version.number) }
                @if let Some(line) = script.description.lines().next() {
                    span.sub { (value::short(line, 120)) }
                }
                (settings::tags(&script.settings))
            }
            td.roomy { (badge::script_type(script.version.definition.script_type)) }
            td { (settings::state(&script.settings)) }
            td {
                @match environment {
                    None => span.muted { "none needed" },
                    Some(it) => a href={ "/environments/" (it.key) } { (badge::environment(it.status)) },
                }
            }
            td.num { (runs::success(&summary)) }
            td { (runs::picture(runs)) }
            td.num { (value::maybe_milliseconds(summary.p50)) }
            td.num { (value::maybe_milliseconds(summary.p95)) }
            td.nowrap { (value::maybe_ago(runs.first().map(|run| run.created_at))) }
            td.nowrap {
                div.actions {
                    @if user.is(INVOKING) && script.settings.is_enabled {
                        a.button.quiet href={ "/scripts/" (name) "/run" } { "Run" }
                    }
                    @if user.is(OPERATING) { (switch(user, script, here)) }
                }
            }
        }
    }
}

/// Renders the switch of a script, which returns to `here`.
pub(in crate::ui) fn switch(user: &CurrentUser, script: &RegisteredScript, here: &str) -> Markup {
    let (address, word) = match script.settings.is_enabled {
        true => ("disable", "Disable"),
        false => ("enable", "Enable"),
    };
    html! {
        form.action method="post" action={ "/scripts/" (script.name.as_str()) "/" (address) } {
            (layout::token(user))
            input type="hidden" name="back" value=(here);
            button.quiet type="submit" aria-label={ (word) " " (script.name.as_str()) } { (word) }
        }
    }
}

/// Enables a script.
pub(in crate::ui) async fn enable(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    form: Form,
) -> Result<Response, Problem> {
    set_enabled(&state, &user, script, true, &form.0).await
}

/// Disables a script.
pub(in crate::ui) async fn disable(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
    form: Form,
) -> Result<Response, Problem> {
    set_enabled(&state, &user, script, false, &form.0).await
}

async fn set_enabled(
    state: &AppState,
    user: &CurrentUser,
    script: RegisteredScript,
    is_enabled: bool,
    fields: &FormFields,
) -> Result<Response, Problem> {
    let input = ScriptInput { is_enabled: Some(is_enabled), ..ScriptInput::default() };
    let script = state.registry.change(&user.identity.actor(), script.id, input).await?;
    let back = fields.text("back");
    let is_list = back == "/scripts" || back.starts_with("/scripts?");
    Ok(if is_list { redirect(back) } else { redirect(&format!("/scripts/{}", script.name)) })
}

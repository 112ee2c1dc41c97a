//! Page of a script: readiness, schemas, definition, limits, usage, and last runs.

mod facts;
mod lists;
pub(in crate::ui::pages) mod schema;
mod usage;
pub(in crate::ui::pages) mod words;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::domain::execution::ExecutionSummary;
use crate::domain::registry::{
    EnvironmentRecord, EnvironmentStatus, RegisteredScript, ScriptVersion,
};
use crate::http::path::NamedScript;
use crate::http::problem::Problem;
use crate::http::roles::{ADMIN, INVOKING, OPERATING};
use crate::http::scripts::{environment_of, pending_environment_of};
use crate::http::state::AppState;
use crate::registry::FileState;
use crate::store::{ExecutionFilter, Page, Run};
use crate::ui::address::query;
use crate::ui::components::runs::{self, LOOKED_AT, Summary};
use crate::ui::components::{badge, value};
use crate::ui::layout::{self, Section};
use crate::ui::pages::editor::settings;
use crate::ui::session::CurrentUser;
use usage::Figures;

pub(in crate::ui::pages) use facts::shown as facts_shown;
pub(in crate::ui::pages) use lists::versions as versions_table;

/// Executions that usage is computed from.
const USED_OF: u32 = 50;

/// Executions listed.
const LISTED: usize = 15;

/// Versions listed.
const VERSIONS: u32 = 5;

/// Most bytes shown of an installer's error.
const ERROR_BYTES: usize = 4 * 1024;

/// Data of the page.
struct Looked {
    script: RegisteredScript,
    environment: Option<EnvironmentRecord>,
    /// Environment of the pending version.
    pending_environment: Option<EnvironmentRecord>,
    file: FileState,
    executions: Vec<ExecutionSummary>,
    versions: Vec<ScriptVersion>,
    version_count: u64,
}

impl Looked {
    async fn at(state: &AppState, script: RegisteredScript) -> Result<Self, Problem> {
        let id = script.id;
        let filter = ExecutionFilter { script_id: Some(id), ..ExecutionFilter::default() };
        let page = Page { limit: USED_OF, offset: 0 };
        Ok(Self {
            environment: environment_of(state, &script).await?,
            pending_environment: pending_environment_of(state, &script).await?,
            file: state.registry.file_state(&script).await,
            executions: state.store.executions(&filter, page).await?,
            versions: state.store.versions(id, VERSIONS, 0).await?,
            version_count: state.store.count_versions(id).await?.unsigned_abs(),
            script,
        })
    }
}

/// Shows a script.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    user: CurrentUser,
    NamedScript(script): NamedScript,
) -> Result<Response, Problem> {
    let looked = Looked::at(&state, script).await?;
    let script = &looked.script;
    let definition = &script.version.definition;
    let content = html! {
        (head(&user, script))
        (description(&script.description))
        (environment(looked.environment.as_ref()))
        (pending(script, looked.pending_environment.as_ref()))
        (file(&user, script, &looked.file))
        (figures(&runs_of(script.id, &looked.executions)))
        div.grid.wide-left {
            div.stack {
                (schema::shown("Input", &definition.argument_schema))
                (schema::shown("Output", &definition.output_schema))
                (history(script, &looked.executions))
                (versions(script, &looked.versions, looked.version_count))
            }
            div.stack {
                (usage::shown(&Figures::of(&looked.executions), &script.settings))
                section.card {
                    h2 { "Definition" }
                    (facts::shown(definition, user.is(ADMIN)))
                }
                (registered(script))
            }
        }
    };
    Ok(layout::page(&user, Section::Scripts, script.name.as_str(), content))
}

fn head(user: &CurrentUser, script: &RegisteredScript) -> Markup {
    let address = format!("/scripts/{}", script.name);
    html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href="/scripts" { "Scripts" } span { "/" } span { (script.name.as_str()) }
        }
        div.head {
            h1 { (script.name.as_str()) }
            (badge::script_type(script.version.definition.script_type))
            (settings::state(&script.settings))
            (settings::tags(&script.settings))
            a.muted href={ (address) "/versions/" (script.version.number) } {
                "version " (script.version.number)
            }
            span.grow {}
            div.actions {
                @if user.is(INVOKING) && script.settings.is_enabled {
                    a.button.primary href={ (address) "/run" } { "Run" }
                }
                @if user.is(OPERATING) {
                    a.button href={ (address) "/edit" } { "Edit" }
                    @if script.settings.is_enabled {
                        (layout::action(user, &format!("{address}/disable"), "danger",
                            html! { "Disable" }))
                    } @else {
                        (layout::action(user, &format!("{address}/enable"), "",
                            html! { "Enable" }))
                    }
                }
            }
        }
    }
}

fn description(text: &str) -> Markup {
    let text = text.replace("\r\n", "\n");
    html! {
        @if !text.trim().is_empty() {
            div.prose {
                @for paragraph in text.split("\n\n").filter(|it| !it.trim().is_empty()) {
                    p { (paragraph.trim_matches('\n')) }
                }
            }
        }
    }
}

fn environment(environment: Option<&EnvironmentRecord>) -> Markup {
    let Some(record) = environment else { return html! {} };
    let is_failed = record.status == EnvironmentStatus::Failed;
    html! {
        div.line {
            span.muted { "Environment" }
            (badge::environment(record.status))
            a.mono href={ "/environments/" (record.key) } { (value::short(&record.key, 12)) }
        }
        @if is_failed {
            div.alert {
                p { strong { "The environment can't be built, so the script can't run." } }
                (error(record))
            }
        }
    }
}

/// Renders the pending version, which waits for its environment while the current one stays in use.
fn pending(script: &RegisteredScript, environment: Option<&EnvironmentRecord>) -> Markup {
    let Some(number) = script.pending_version else { return html! {} };
    let record = environment.filter(|it| it.status == EnvironmentStatus::Failed);
    let (name, current) = (script.name.as_str(), script.version.number);
    let version = html! {
        a href={ "/scripts/" (name) "/versions/" (number) } { "Version " (number) }
    };
    html! {
        @match record {
            None => {
                div.note {
                    p { (version) " becomes the current one as soon as its environment is ready. \
                        Until then version " (current) " runs." }
                }
            },
            Some(record) => {
                div.alert {
                    p { strong { (version) " can't be built. Version " (current) " goes on running." } }
                    (error(record))
                }
            },
        }
    }
}

fn error(record: &EnvironmentRecord) -> Markup {
    let error = record.error.as_deref().unwrap_or_default();
    let shown = error.get(..error.floor_char_boundary(ERROR_BYTES)).unwrap_or_default();
    html! {
        @if !shown.is_empty() {
            pre { (shown) @if shown.len() < error.len() { "\n…" } }
        }
    }
}

fn file(user: &CurrentUser, script: &RegisteredScript, state: &FileState) -> Markup {
    let Some(path) = &script.file_path else { return html! {} };
    html! {
        @match state {
            FileState::NotAFile | FileState::Same => {
                p.muted.break { "Read from " code { (path) } ", which is the same now." }
            },
            FileState::Differs => {
                div.note.warn {
                    p { "The file " code { (path) } " is another one than the registered version." }
                    @if user.is(ADMIN) {
                        p { a href={ "/scripts/" (script.name.as_str()) "/edit" } {
                            "Register what is there now"
                        } ": saving reads it again." }
                    }
                }
            },
            FileState::Unreadable(words) => {
                div.note.warn {
                    p { "What was registered runs, but its file can't be compared: " (words) }
                }
            },
        }
    }
}

/// Newest executions as runs.
fn runs_of(script_id: i64, executions: &[ExecutionSummary]) -> Vec<Run> {
    let run = |it: &ExecutionSummary| Run {
        id: it.id,
        script_id,
        status: it.status,
        duration_us: it.duration_ms.map(|ms| (ms * 1e3).round() as u64),
        created_at: it.created_at,
    };
    executions.iter().take(LOOKED_AT as usize).map(run).collect()
}

fn figures(runs: &[Run]) -> Markup {
    let summary = Summary::of(runs);
    html! {
        div.figures #figures data-live {
            div.figure { b { (runs::success(&summary)) } span { "of the last " (value::counted(summary.counted as u64, "run", "runs")) " completed" } }
            div.figure { b { (value::maybe_milliseconds(summary.p50)) } span { "median (p50)" } }
            div.figure { b { (value::maybe_milliseconds(summary.p95)) } span { "95th percentile (p95)" } }
            div.figure { (runs::picture(runs)) span { "the newest on the right" } }
        }
    }
}

fn history(script: &RegisteredScript, executions: &[ExecutionSummary]) -> Markup {
    let listed = executions.get(..LISTED).unwrap_or(executions);
    html! {
        section.card.flush #history data-live data-refresh="5" {
            div.card-head {
                h2 { "History" }
                a href={ "/executions" (query(&[("script", script.name.as_str())])) } { "All executions" }
            }
            @if listed.is_empty() {
                div.empty { "It has never been run." }
            } @else {
                (lists::executions(listed))
            }
        }
    }
}

fn versions(script: &RegisteredScript, versions: &[ScriptVersion], count: u64) -> Markup {
    html! {
        section.card.flush {
            div.card-head {
                h2 { "Versions" }
                a href={ "/scripts/" (script.name.as_str()) "/versions" } {
                    "All " (value::count(count))
                }
            }
            (lists::versions(script, versions))
        }
    }
}

fn registered(script: &RegisteredScript) -> Markup {
    html! {
        section.card {
            h2 { "Registered" }
            dl.facts {
                dt { "By" } dd { (script.created_by) }
                dt { "When" } dd { (value::ago(script.created_at)) }
                dt { "Changed" } dd { (value::ago(script.updated_at)) }
                @if let Some(path) = &script.file_path { dt { "From" } dd { code { (path) } } }
                @if let Some(path) = &script.requirements_path {
                    dt { "Requirements from" } dd { code { (path) } }
                }
            }
        }
    }
}

//! Environments: contents, states and build logs.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::domain::registry::{EnvironmentRecord, EnvironmentStatus};
use crate::domain::sanitize::escaped;
use crate::http::environments::{key, missing};
use crate::http::path::PathText;
use crate::http::problem::Problem;
use crate::http::roles::ADMIN;
use crate::http::state::AppState;
use crate::ui::address::redirect;
use crate::ui::components::pager::{PAGE, offset, pages};
use crate::ui::components::{ansi, badge, value};
use crate::ui::form::{Form, PageFields};
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

/// Most bytes shown of a log and of an error, from its end.
const SHOWN: usize = 48 * 1024;

/// Lists environments.
pub(in crate::ui) async fn list(
    State(state): State<AppState>,
    user: CurrentUser,
    PageFields(fields): PageFields,
) -> Result<Response, Problem> {
    let start = offset(&fields);
    let records = state.store.environments(PAGE, start).await?;
    let total = state.store.count_environments().await?.unsigned_abs();
    let is_building = records.iter().any(is_on_its_way);
    let content = html! {
        div.head { h1 { "Environments" } span.muted { (value::count(total)) } }
        section.card.flush #list data-live data-refresh=[is_building.then_some("2")] {
            @if records.is_empty() {
                div.empty {
                    strong { "No script needs more than its runtime's image" }
                    p { "A script with Python requirements, a version of Python, Debian packages \
                         or a warm-up gets an environment: built once, and shared by all that need the same." }
                }
            } @else {
                (table(&records))
                (pages("/environments", &[], start, total))
            }
        }
    };
    Ok(layout::page(&user, Section::Environments, "Environments", content))
}

fn table(records: &[EnvironmentRecord]) -> Markup {
    html! {
        div.table {
            table {
                thead {
                    tr { th { "Key" } th { "Type" } th { "State" } th { "Contents" } th { "Built" } th { "Changed" } }
                }
                tbody {
                    @for it in records {
                        tr {
                            td { a.mono href={ "/environments/" (it.key) } title=(it.key) { (value::short(&it.key, 12)) } }
                            td { (badge::script_type(it.script_type)) }
                            td { (badge::environment(it.status)) }
                            td {
                                span.sub { (made_of(it)) }
                                @if let Some(line) = it.error.as_deref().and_then(last_line) {
                                    span.sub.wrong { (value::short(line, 160)) }
                                }
                            }
                            td.nowrap { (value::maybe_ago(it.built_at)) }
                            td.nowrap { (value::ago(it.updated_at)) }
                        }
                    }
                }
            }
        }
    }
}

fn made_of(record: &EnvironmentRecord) -> String {
    let requirements = record.requirements.as_deref().unwrap_or_default().lines();
    let requirements =
        requirements.map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    let packages = record.system_packages.iter().map(ToString::to_string);
    let python = record.python.map(|version| format!("Python {version}"));
    let warm_up = record.warm_up.as_ref().map(|it| format!("warm-up: {}", it.command.join(" ")));
    let packages = requirements.map(str::to_owned).chain(packages).take(12);
    let all: Vec<_> = python.into_iter().chain(packages).chain(warm_up).collect();
    value::short(&all.join(", "), 200).to_owned()
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

fn is_on_its_way(record: &EnvironmentRecord) -> bool {
    matches!(record.status, EnvironmentStatus::Queued | EnvironmentStatus::Building)
}

/// Shows an environment with its live log.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    user: CurrentUser,
    path: PathText,
) -> Result<Response, Problem> {
    let key = key(&path)?;
    let record = state.store.environment(key).await?.ok_or_else(missing)?;
    let log = state.store.environment_log(key).await?.unwrap_or_default();
    let scripts = state.store.scripts_of_environment(key).await?;
    let title = format!("Environment {}", value::short(key, 12));
    let content = html! {
        nav.crumbs aria-label="Where this is" { a href="/environments" { "Environments" } "/" span { (value::short(key, 12)) } }
        div.head #head data-live {
            h1 { (title) }
            (badge::environment(record.status))
            span.grow {}
            @if user.is(ADMIN) && record.status == EnvironmentStatus::Failed {
                (layout::action(&user, &format!("/environments/{key}/build"), "primary", html! { "Build again" }))
            }
        }
        div #error data-live {
            @if let Some(error) = &record.error {
                div.alert role="alert" {
                    strong { "It can't be built" }
                    pre { (end_of(error, SHOWN / 4)) }
                }
            }
        }
        div.grid.wide-left {
            section.card #build data-live data-refresh=[is_on_its_way(&record).then_some("1")] {
                div.card-head {
                    h2 { "Build log" }
                    a href={ "/environments/" (key) "/log" } { "All of it" }
                }
                @if log.trim().is_empty() {
                    p.muted { "Nothing has been said yet." }
                } @else {
                    div.code.wrap #log-text data-live data-tail tabindex="0" role="region" aria-label="Build log" {
                        (lines(end_of(&log, SHOWN)))
                    }
                }
            }
            div.stack { (facts(&record)) (used_by(&scripts)) }
        }
    };
    Ok(layout::page(&user, Section::Environments, &title, content))
}

fn lines(text: &str) -> Markup {
    let mut ansi = ansi::Ansi::default();
    html! { @for line in text.lines() { (ansi.line(line)) "\n" } }
}

fn facts(record: &EnvironmentRecord) -> Markup {
    html! {
        section.card {
            h2 { "Contents" }
            dl.facts {
                dt { "Type" } dd { (badge::script_type(record.script_type)) }
                dt { "Key" } dd.mono { (record.key) }
                @if let Some(python) = record.python { dt { "Python" } dd { (python) } }
                @if let Some(image) = &record.image { dt { "Image" } dd.mono { (image) } }
                dt { "Wanted" } dd { (value::ago(record.created_at)) }
                dt { "Built" } dd { (value::maybe_ago(record.built_at)) }
            }
            @if !record.system_packages.is_empty() {
                h3 { "Debian packages" }
                pre.code { @for it in record.system_packages.iter() { (it) "\n" } }
            }
            @if let Some(requirements) = &record.requirements {
                h3 { "Requirements" }
                pre.code { (value::short(requirements, 8_000)) }
                @if record.sources { p.muted { "Packages without a wheel are built from source." } }
            }
            @if let Some(warm_up) = &record.warm_up {
                h3 { "Warm-up" }
                pre.code { @for word in &warm_up.command { (escaped(word)) "\n" } }
            }
            @if let Some(lock) = &record.lock {
                details { summary { "Exact packages" } pre.code { (value::short(lock, 16_000)) } }
            }
        }
    }
}

fn used_by(scripts: &[String]) -> Markup {
    html! {
        section.card {
            h2 { "Scripts" }
            @if scripts.is_empty() { p.muted { "No script's current version needs it." } }
            @for name in scripts { p { a href={ "/scripts/" (name) } { (name) } } }
        }
    }
}

/// End of a text, from the start of a line.
fn end_of(text: &str, bytes: usize) -> &str {
    let Some(cut) = text.len().checked_sub(bytes) else { return text };
    let end = (cut..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let end = text.get(end..).unwrap_or_default();
    end.split_once('\n').map_or(end, |(_, rest)| rest)
}

/// Rebuilds a failed environment.
pub(in crate::ui) async fn build(
    State(state): State<AppState>,
    path: PathText,
    _form: Form,
) -> Result<Response, Problem> {
    let key = key(&path)?;
    state.store.environment(key).await?.ok_or_else(missing)?;
    state.environments.retry(key).await?;
    Ok(redirect(&format!("/environments/{key}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_begins_with_a_line() {
        assert_eq!(end_of("a\nb\nc", 100), "a\nb\nc");
        assert_eq!(end_of("aaa\nbbb\nccc", 5), "ccc");
        assert_eq!(end_of("äöü", 3), "ü");
    }
}

//! Overview: running and waiting executions, outcomes of the last day, and the server's health.

mod day;

use std::collections::HashMap;

use axum::extract::{Extension, State};
use axum::response::Response;
use maud::{Markup, html};

use super::executions::rows;
pub(in crate::ui) use day::Day;
use day::Hours;

use crate::clock;
use crate::domain::execution::{ExecutionSummary, State as Stage};
use crate::http::checks::Check;
use crate::http::health::cached_health;
use crate::http::problem::Problem;
use crate::http::roles::{ADMIN, SEEING};
use crate::http::state::AppState;
use crate::orchestrator::Load;
use crate::pool::PoolStatus;
use crate::store::{Counts, ExecutionFilter, Page, Run};
use crate::ui::address::query;
use crate::ui::components::runs::Summary;
use crate::ui::components::value::{self, count, milliseconds};
use crate::ui::components::{chart, runs};
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

/// Most executions that the lists of scripts are computed from.
const LOOKED_AT: u32 = 2_000;

/// Scripts in each of the lists.
const LISTED: usize = 6;

/// Shows the overview.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    Extension(day): Extension<Day>,
    user: CurrentUser,
) -> Result<Response, Problem> {
    let content = match user.is(SEEING) {
        true => everything(&state, &user, &day).await?,
        false => own(&state, &user).await?,
    };
    Ok(layout::page(&user, Section::Overview, "Overview", content))
}

/// Overview for roles that see only executions: their own, and a search for jobs.
async fn own(state: &AppState, user: &CurrentUser) -> Result<Markup, Problem> {
    let newest = newest(state, user, None).await?;
    Ok(html! {
        div.head { h1 { "Overview" } }
        (job_search())
        section.card.flush #newest data-live data-refresh="5" {
            div.card-head { h2 { "Newest executions" } a href="/executions" { "All executions" } }
            (newest_rows(user, &newest))
        }
    })
}

async fn everything(state: &AppState, user: &CurrentUser, day: &Day) -> Result<Markup, Problem> {
    let hours = day.until(clock::now(), &state.store).await?;
    let since = hours.times.first().copied().unwrap_or_default();
    let recent = state.store.newest_runs(since, LOOKED_AT).await?;
    let summaries = summaries(&recent);
    let ids: Vec<_> = summaries.iter().map(|(id, _)| *id).collect();
    let names = state.store.script_names(&ids).await?;
    let running = newest(state, user, Some(Stage::Running)).await?;
    let checks = cached_health(state).await;
    let load = state.executions.load();
    Ok(html! {
        div.head data-refresh="5" { h1 { "Overview" } span.grow {} (job_search()) }
        (troubles(&checks))
        (figures(&load, &hours.counts))
        div.grid.wide-left {
            div.stack {
                section.card #day data-live { (last_day(&hours)) }
                section.card.flush #running data-live {
                    div.card-head {
                        h2 { "Running now" }
                        a href="/executions?status=running" { "All running" }
                    }
                    (newest_rows(user, &running))
                }
            }
            div.stack {
                (scripts_list("Most failures", &most_failing(&summaries), &names, recent.len()))
                (scripts_list("Slowest", &slowest(&summaries), &names, recent.len()))
                (standing(&checks, &load))
            }
        }
        @if names.is_empty() && running.is_empty() && recent.is_empty() {
            (first_steps(state, user).await?)
        }
    })
}

async fn newest(
    state: &AppState,
    user: &CurrentUser,
    status: Option<Stage>,
) -> Result<Vec<ExecutionSummary>, Problem> {
    let scope = user.identity.scope().cloned();
    let filter = ExecutionFilter { status, scope, ..ExecutionFilter::default() };
    Ok(state.store.executions(&filter, Page { limit: 12, offset: 0 }).await?)
}

fn newest_rows(user: &CurrentUser, executions: &[ExecutionSummary]) -> Markup {
    html! {
        @if executions.is_empty() {
            div.empty { "Nothing runs right now." }
        } @else {
            (rows(user, executions))
        }
    }
}

fn job_search() -> Markup {
    html! {
        form.actions role="search" action="/jobs" {
            label.visually-hidden for="job" { "Job" }
            input #job type="search" name="job_id" placeholder="Find a job by its id" required maxlength="200";
            button type="submit" { "Find" }
        }
    }
}

fn troubles(checks: &[Check]) -> Markup {
    html! {
        div #troubles data-live {
            @for check in checks.iter().filter(|check| !check.is_ok) {
                p.alert role="alert" {
                    strong { (check.name) } ": "
                    (check.detail.as_deref().unwrap_or("it is not well"))
                }
            }
        }
    }
}

fn figures(load: &Load, counts: &[Counts]) -> Markup {
    let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
    let figure = |address: &str, number: u64, words: &str| {
        html! { a.figure href=(address) { b { (count(number)) } span { (words) } } }
    };
    html! {
        div.figures #figures data-live {
            (figure("/executions?status=running", load.running as u64, "running now"))
            (figure("/executions?status=pending", load.waiting as u64, "waiting"))
            (figure("/executions?status=completed", sum(|it| it.completed), "completed, 24 h"))
            (figure("/executions?status=failed", sum(|it| it.failed), "failed, 24 h"))
            (figure("/executions?status=timeout", sum(|it| it.timeout), "out of time, 24 h"))
        }
    }
}

fn last_day(hours: &Hours) -> Markup {
    html! {
        h2 { "Last 24 hours" }
        (chart::bars(&hours.times, &hours.counts))
        p.legend {
            @for (class, words) in [
                ("completed", "completed"),
                ("failed", "failed"),
                ("timeout", "out of time"),
                ("cancelled", "cancelled"),
            ] {
                span { i class=(class) {} (words) }
            }
            span { "hours in UTC" }
        }
    }
}

/// Summaries of each script's runs.
fn summaries(runs: &[Run]) -> Vec<(i64, Summary)> {
    let mut of_script: HashMap<i64, Vec<&Run>> = HashMap::new();
    for run in runs {
        of_script.entry(run.script_id).or_default().push(run);
    }
    of_script.into_iter().map(|(id, runs)| (id, Summary::of(runs))).collect()
}

/// Script in a list, and its figure.
struct Entry {
    script: i64,
    summary: Summary,
    words: String,
}

fn most_failing(summaries: &[(i64, Summary)]) -> Vec<Entry> {
    let mut found = summaries.to_vec();
    found.retain(|(_, summary)| summary.success.is_some_and(|rate| rate < 100.0));
    let rate = |summary: &Summary| summary.success.unwrap_or(100.0);
    // Among equal success rates, scripts with more runs first, then lower ids.
    found.sort_by(|(id, a), (other, b)| {
        let by_rate = rate(a).total_cmp(&rate(b));
        by_rate.then(b.counted.cmp(&a.counted)).then(id.cmp(other))
    });
    let entry = |(script, summary): (i64, Summary)| {
        let words = value::counted(summary.counted as u64, "run", "runs");
        Entry { script, summary, words }
    };
    found.into_iter().take(LISTED).map(entry).collect()
}

fn slowest(summaries: &[(i64, Summary)]) -> Vec<Entry> {
    let mut found = summaries.to_vec();
    found.retain(|(_, summary)| summary.p95.is_some());
    let time = |summary: &Summary| summary.p95.unwrap_or_default();
    found.sort_by(|(id, a), (other, b)| time(b).total_cmp(&time(a)).then(id.cmp(other)));
    let entry = |(script, summary): (i64, Summary)| {
        let words = format!("p95 {}", milliseconds(time(&summary)));
        Entry { script, summary, words }
    };
    found.into_iter().take(LISTED).map(entry).collect()
}

fn scripts_list(
    title: &str,
    entries: &[Entry],
    names: &HashMap<i64, String>,
    looked_at: usize,
) -> Markup {
    let is_cut = looked_at >= LOOKED_AT as usize;
    html! {
        section.card.flush {
            div.card-head {
                h2 { (title) }
                span.muted.small {
                    @if is_cut { "of the newest " (count(looked_at as u64)) } @else { "24 h" }
                }
            }
            @if entries.is_empty() {
                div.empty { "None in the last 24 hours." }
            } @else {
                table {
                    tbody {
                        @for entry in entries {
                            @let name = names.get(&entry.script).map_or("?", String::as_str);
                            tr {
                                td.break { a href={ "/scripts/" (name) } { (name) } }
                                td.num.muted { (entry.words) }
                                td.num {
                                    a href={ "/executions" (query(&[("script", name)])) } {
                                        (runs::success(&entry.summary))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Health of the engine, pool, queue and disk in plain words.
fn standing(checks: &[Check], load: &Load) -> Markup {
    let pool = &load.pool;
    html! {
        section.card #standing data-live {
            h2 { "Health" }
            dl.facts {
                @for check in checks {
                    dt { (check.name) }
                    dd {
                        @match &check.detail {
                            None if check.is_ok => "well",
                            None => "not well",
                            Some(detail) => (detail),
                        }
                    }
                }
                dt { "pool" }
                dd { (pool_words(pool)) }
                dt { "queue" }
                dd { (load.waiting) " of " (count(load.queue_limit as u64)) " places taken" }
            }
            p.small { a href="/system" { "All about the system" } }
        }
    }
}

/// Status of the pool in plain words.
pub(super) fn pool_words(pool: &PoolStatus) -> Markup {
    html! {
        @if pool.size == 0 {
            "off: every execution starts cold"
        } @else if pool.is_short_of_memory {
            "empty, the machine is short of memory: executions start cold"
        } @else {
            (pool.unused) " of " (pool.size) " sandboxes wait"
            @if pool.starting > 0 { ", " (pool.starting) " start" }
            @if pool.failing > 0 { ", " (pool.failing) " kinds can't be started ahead" }
        }
    }
}

async fn first_steps(state: &AppState, user: &CurrentUser) -> Result<Markup, Problem> {
    let scripts = state.store.count_scripts(&crate::store::ScriptFilter::default()).await?;
    Ok(html! {
        @if scripts == 0 {
            section.card {
                div.empty {
                    strong { "There is no script yet" }
                    p { "Register one: a shell script, a Python script or a binary. Every execution of \
                         it gets a container of its own." }
                    @if user.is(ADMIN) {
                        a.button.primary href="/register" { "Register a script" }
                    }
                }
            }
        }
    })
}

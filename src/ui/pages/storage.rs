//! Room that files take: by token, script and job, the largest, those that nobody uses, and those
//! that go next. Each list is bounded.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use crate::domain::file::FileDigest;
use crate::domain::sanitize::escaped;
use crate::http::problem::Problem;
use crate::http::state::AppState;
use crate::store::{ExpiringFile, KnownFile, OwnedFiles, TokenFiles};
use crate::ui::address::query;
use crate::ui::components::value::{ago, bytes, count, counted, short};
use crate::ui::layout::{self, Section};
use crate::ui::session::CurrentUser;

/// Rows of each list.
const ROWS: u32 = 10;

/// Longest name, in characters.
const MAX_CHARACTERS: usize = 80;

/// Digits of a digest shown.
const DIGITS: usize = 12;

/// Shows the page.
pub(in crate::ui) async fn show(
    State(state): State<AppState>,
    user: CurrentUser,
) -> Result<Response, Problem> {
    let store = &state.store;
    let all = store.sum_of_objects().await?;
    let uploading = store.sum_of_uploads(None).await?;
    let (space, reserve) = state.files.disk()?;
    let tokens = store.files_by_token(ROWS).await?;
    let scripts = store.files_by_script(ROWS).await?;
    let jobs = store.files_by_job(ROWS).await?;
    let largest = store.largest_files(ROWS).await?;
    let unused = store.longest_unused_files(ROWS).await?;
    let expiring = store.expiring_files(ROWS).await?;
    let room = space.free.saturating_sub(reserve);
    let content = html! {
        div.head { h1 { "Storage" } }
        div.figures {
            (figure(&bytes(unsigned(all.bytes)), &counted(unsigned(all.files), "file", "files")))
            (figure(&bytes(room), &format!("left of {}", bytes(space.total))))
            (figure(&bytes(reserve), "kept free for the machine"))
            (figure(&bytes(unsigned(uploading.bytes)), "in unfinished uploads"))
            (figure(&bytes(state.files.quota()), "at most for a token"))
        }
        @if room == 0 {
            p.note.warn { "The disk is as full as it may get: nothing new is taken until some is free." }
        }
        div.grid {
            (owners("By token", "Token", tokens.iter().map(of_token)))
            (owners("By script", "Script", scripts.iter().map(of_script)))
            (owners("By job", "Job", jobs.iter().map(of_job)))
        }
        div.grid {
            (files("Largest", &largest))
            (files("Longest unused", &unused))
        }
        (expiring_card(&expiring))
    };
    Ok(layout::page(&user, Section::Storage, "Storage", content))
}

fn unsigned(number: i64) -> u64 {
    number.max(0).unsigned_abs()
}

fn figure(number: &str, words: &str) -> Markup {
    html! { div.figure { b { (number) } span { (words) } } }
}

/// Row of an owner: its name, its files and their bytes.
type OwnerRow = (Markup, i64, i64);

fn of_token(token: &TokenFiles) -> OwnerRow {
    (html! { (told(&token.name)) }, token.files, token.bytes)
}

fn of_script(script: &OwnedFiles) -> OwnerRow {
    let name = html! { a href={ "/scripts/" (script.name) } { (told(&script.name)) } };
    (name, script.files, script.bytes)
}

fn of_job(job: &OwnedFiles) -> OwnerRow {
    let address = format!("/jobs{}", query(&[("job_id", job.name.as_str())]));
    (html! { a href=(address) { (told(&job.name)) } }, job.files, job.bytes)
}

fn owners(title: &str, owner: &str, rows: impl Iterator<Item = OwnerRow>) -> Markup {
    let rows: Vec<_> = rows.collect();
    html! {
        section.card.flush {
            h2 { (title) }
            @if rows.is_empty() { div.empty { "No files." } } @else {
                div.table {
                    table {
                        thead { tr { th { (owner) } th.num { "Files" } th.num { "Size" } } }
                        tbody {
                            @for (name, files, size) in rows {
                                tr {
                                    td.break { (name) }
                                    td.num { (count(unsigned(files))) }
                                    td.num { (bytes(unsigned(size))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn files(title: &str, files: &[KnownFile]) -> Markup {
    html! {
        section.card.flush {
            h2 { (title) }
            @if files.is_empty() { div.empty { "No files." } } @else {
                div.table {
                    table {
                        thead { tr { th { "File" } th.num { "Size" } th.num { "Holders" } th { "Last used" } } }
                        tbody {
                            @for file in files {
                                tr {
                                    td.break { (name(file.name.as_deref(), file.digest)) }
                                    td.num { (bytes(file.bytes)) }
                                    td.num { (count(unsigned(file.holders))) }
                                    td.nowrap { (ago(file.used_at)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn expiring_card(files: &[ExpiringFile]) -> Markup {
    html! {
        section.card.flush {
            h2 { "Let go next" }
            @if files.is_empty() { div.empty { "Nothing has an end." } } @else {
                div.table {
                    table {
                        thead { tr { th { "File" } th.num { "Size" } th { "Held by" } th { "Until" } } }
                        tbody {
                            @for file in files {
                                tr {
                                    td.break { (name(file.name.as_deref(), file.digest)) }
                                    td.num { (bytes(file.bytes)) }
                                    td.break { (holder(&file.holder)) }
                                    td.nowrap { (ago(file.expires_at)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Name and digest of a file, as a link to it.
fn name(name: Option<&str>, digest: FileDigest) -> Markup {
    let hex = digest.hex();
    html! {
        a href={ "/files/" (digest) } download=(name.unwrap_or_default()) {
            @match name { Some(name) => (told(name)), None => code { (short(&hex, DIGITS)) "…" } }
        }
        @if name.is_some() { span.sub { code { (short(&hex, DIGITS)) "…" } } }
    }
}

/// Holder of a file; an execution is a link.
fn holder(text: &str) -> Markup {
    html! {
        @match text.strip_prefix("execution:") {
            Some(id) => a href={ "/executions/" (id) } { "execution " (short(id, 8)) },
            None => (told(text)),
        }
    }
}

fn told(text: &str) -> String {
    let beginning = short(text, MAX_CHARACTERS);
    let end = if beginning.len() < text.len() { "…" } else { "" };
    escaped(beginning) + end
}

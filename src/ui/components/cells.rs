//! Cells of tables of executions.

use maud::{Markup, html};
use uuid::Uuid;

use super::value;
use crate::ui::address::query;

/// Longest job id in a cell, in characters.
const JOB_CHARS: usize = 40;

/// Link to an execution. The end of an id distinguishes it.
pub(in crate::ui) fn execution(id: Uuid) -> Markup {
    let id = id.to_string();
    html! {
        td { a.mono href={ "/executions/" (id) } title=(id) { (id.get(24..).unwrap_or(&id)) } }
    }
}

/// Script, linked for roles that may see scripts.
pub(in crate::ui) fn script(name: &str, version: Option<i64>, sees_scripts: bool) -> Markup {
    html! {
        td.break {
            @if sees_scripts { a href={ "/scripts/" (name) } { (name) } } @else { (name) }
            @if let Some(version) = version { span.muted { " v" (version) } }
        }
    }
}

/// Link to a job.
pub(in crate::ui) fn job(job_id: Option<&str>) -> Markup {
    html! {
        td.break {
            @match job_id {
                Some(job) => {
                    a href={ "/jobs" (query(&[("job_id", job)])) } { (value::short(job, JOB_CHARS)) }
                },
                None => { (value::nothing()) },
            }
        }
    }
}

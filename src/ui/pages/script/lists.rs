//! Short lists of a script's newest versions and executions.

use maud::{Markup, html};

use crate::domain::execution::ExecutionSummary;
use crate::domain::registry::{RegisteredScript, ScriptVersion};
use crate::ui::address::query;
use crate::ui::components::{badge, cells, value};

/// Characters of a digest that distinguish it.
const DIGEST_CHARS: usize = 12;

/// Renders versions as a table.
pub(in crate::ui::pages) fn versions(
    script: &RegisteredScript,
    versions: &[ScriptVersion],
) -> Markup {
    let current = script.version.number;
    html! {
        div.table {
            table {
                thead {
                    tr {
                        th { "Version" }
                        th { "Made" }
                        th { "By" }
                        th { "SHA-256" }
                        th { "" }
                    }
                }
                tbody {
                    @for version in versions {
                        @let address = format!("/scripts/{}/versions/{}", script.name, version.number);
                        tr {
                            td.nowrap {
                                a href=(address) { "Version " (version.number) }
                                @if version.number == current { " " span.badge.completed { "current" } }
                            }
                            td.nowrap { (value::ago(version.created_at)) }
                            td.break { (version.created_by) }
                            td {
                                code title=(version.definition.digest) {
                                    (value::short(&version.definition.digest, DIGEST_CHARS))
                                }
                            }
                            td.nowrap {
                                @if version.number != current {
                                    a href={ (address) (query(&[("against", &current.to_string())])) } {
                                        "Compare with current"
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

/// Renders executions of one script as a table.
pub(super) fn executions(executions: &[ExecutionSummary]) -> Markup {
    html! {
        div.table {
            table {
                thead {
                    tr {
                        th { "Status" }
                        th { "Execution" }
                        th { "Created" }
                        th.num { "Ran" }
                        th { "By" }
                        th { "Job" }
                    }
                }
                tbody {
                    @for it in executions {
                        tr {
                            td { (badge::outcome(it.status, it.error_kind)) }
                            (cells::execution(it.id))
                            td.nowrap { (value::ago(it.created_at)) }
                            td.num { (value::maybe_milliseconds(it.duration_ms)) }
                            td.break { (it.triggered_by.as_deref().unwrap_or("–")) }
                            (cells::job(it.job_id.as_deref()))
                        }
                    }
                }
            }
        }
    }
}

//! Input and output of an execution as trees.

use maud::{Markup, html};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::domain::execution::Execution;
use crate::ui::components::json;
use crate::ui::components::value::bytes;

/// Renders the output, once it exists, and the input.
pub(super) fn cards(execution: &Execution) -> Markup {
    let summary = &execution.summary;
    html! {
        @if let Some(output) = &execution.output_data {
            (card(summary.id, "Output", "output", output, true))
        } @else if summary.status.has_ended() && summary.sandbox.is_some() {
            section.card {
                h2 { "Output" }
                p.muted { "It printed no JSON document, so there is its log alone." }
            }
        }
        @if let Some(input) = &execution.input_data {
            (card(summary.id, "Input", "input", input, false))
        }
    }
}

fn card(id: Uuid, title: &str, name: &str, document: &RawValue, is_open: bool) -> Markup {
    let text = document.get();
    html! {
        details.card.document id=(name) open[is_open] {
            summary {
                h2 { (title) }
                span.muted { (bytes(text.len() as u64)) }
            }
            (json::tree(text))
            p.small {
                a href={ "/executions/" (id) "/" (name) } download { "Download" }
            }
        }
    }
}

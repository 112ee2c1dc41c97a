//! Sandbox of an execution.

use maud::{Markup, html};

use super::receipt;
use crate::domain::execution::{ExecutionSummary, SandboxReceipt};
use crate::ui::components::value::short;

/// Characters of an image's id that distinguish it.
const IMAGE_CHARACTERS: usize = 19;

/// Longest reason, in characters; it may come from a sandbox.
const REASON_CHARACTERS: usize = 500;

/// Renders the sandbox and its confinement; nothing if there was none.
pub(super) fn card(summary: &ExecutionSummary) -> Markup {
    html! {
        @if let Some(sandbox) = &summary.sandbox {
            section.card {
                h2 { "Sandbox" }
                dl.facts {
                    dt { "Image" }
                    dd { code title=(sandbox.image) { (short(&sandbox.image, IMAGE_CHARACTERS)) } }
                    dt { "Container" }
                    dd { code { (short(&sandbox.container_id, 120)) } }
                    @if let Some(node) = &sandbox.node {
                        dt { "Node" }
                        dd { (short(node, 120)) }
                    }
                    dt { "Start" }
                    dd { (start(sandbox)) }
                    @if let Some(preloaded) = sandbox.preloaded {
                        dt { "Imported ahead" }
                        dd { (preload(preloaded, sandbox.preload_reason.as_deref())) }
                    }
                }
                @if let Some(confinement) = &sandbox.confinement {
                    details.receipt #receipt {
                        summary { "How it was confined, as the engine says" }
                        (receipt::table(confinement))
                    }
                }
            }
        }
    }
}

fn preload(preloaded: bool, reason: Option<&str>) -> String {
    match (preloaded, reason) {
        (true, _) => "yes: its interpreter waited with the modules imported".to_owned(),
        (false, None) => "no".to_owned(),
        (false, Some(reason)) => format!("no: {}", short(reason, REASON_CHARACTERS)),
    }
}

fn start(sandbox: &SandboxReceipt) -> &'static str {
    match sandbox.warm {
        true => "warm: its container waited, unused",
        false => "cold: its container was started for it",
    }
}

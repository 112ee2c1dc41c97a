//! Badges of states and types, as coloured words. The word is complete by itself; the colour only
//! helps.

use maud::{Markup, html};

use crate::domain::execution::State;
use crate::domain::outcome::ErrorKind;
use crate::domain::registry::EnvironmentStatus;
use crate::domain::script_type::ScriptType;

/// State of an execution.
pub(in crate::ui) fn state(state: State) -> Markup {
    html! { span class={ "badge " (state.name()) } { (state.name()) } }
}

/// State of an execution, with its error kind.
pub(in crate::ui) fn outcome(status: State, kind: Option<ErrorKind>) -> Markup {
    html! {
        (state(status))
        @if let Some(kind) = kind { " " span.kind { (kind.name().replace('_', " ")) } }
    }
}

/// Type of a script.
pub(in crate::ui) fn script_type(script_type: ScriptType) -> Markup {
    html! { span class={ "badge type " (script_type.name()) } { (script_type.name()) } }
}

/// State of an environment.
pub(in crate::ui) fn environment(status: EnvironmentStatus) -> Markup {
    let class = match status {
        EnvironmentStatus::Ready => "completed",
        EnvironmentStatus::Failed => "failed",
        EnvironmentStatus::Building => "running",
        EnvironmentStatus::Queued => "pending",
    };
    html! { span class={ "badge " (class) } { (status.name()) } }
}

/// Enabled state of a script.
pub(in crate::ui) fn enabled(is_enabled: bool) -> Markup {
    match is_enabled {
        true => html! { span.badge.completed { "enabled" } },
        false => html! { span.badge.cancelled { "disabled" } },
    }
}

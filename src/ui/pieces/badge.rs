//! States and types, as words in their colours. The word says it all; the colour only
//! helps.

use maud::{Markup, html};

use crate::domain::execution::State;
use crate::domain::outcome::ErrorKind;
use crate::domain::registry::EnvironmentStatus;
use crate::domain::runtime::Runtime;

/// The state of an execution.
pub(in crate::ui) fn state(state: State) -> Markup {
    html! { span class={ "badge " (state.name()) } { (state.name()) } }
}

/// The state of an execution, with why it failed.
pub(in crate::ui) fn outcome(status: State, kind: Option<ErrorKind>) -> Markup {
    html! {
        (state(status))
        @if let Some(kind) = kind { " " span.kind { (kind.name().replace('_', " ")) } }
    }
}

/// What runs a script.
pub(in crate::ui) fn runtime(runtime: Runtime) -> Markup {
    html! { span class={ "badge type " (runtime.name()) } { (runtime.name()) } }
}

/// How far an environment is.
pub(in crate::ui) fn environment(status: EnvironmentStatus) -> Markup {
    let class = match status {
        EnvironmentStatus::Ready => "completed",
        EnvironmentStatus::Failed => "failed",
        EnvironmentStatus::Building => "running",
        EnvironmentStatus::Queued => "pending",
    };
    html! { span class={ "badge " (class) } { (status.name()) } }
}

/// Whether a script can be invoked.
pub(in crate::ui) fn enabled(is_enabled: bool) -> Markup {
    match is_enabled {
        true => html! { span.badge.completed { "enabled" } },
        false => html! { span.badge.cancelled { "disabled" } },
    }
}

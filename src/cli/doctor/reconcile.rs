//! `gantry doctor --reconcile`: removes unused containers, or lists them.

use std::io;

use crate::cli::outcome::INTERRUPTED;
use crate::cli::signals::Interrupts;
use crate::cli::{FAILED, message, removal, stdout, table};
use crate::config::{DatabaseSettings, Settings};
use crate::doctor::reconcile::{Action, Step, plan, remove};
use crate::services::Services;

/// Plans, and unless it is a dry run, removes.
pub(super) async fn main(
    is_json: bool,
    is_dry_run: bool,
    settings: &Settings,
    database: &DatabaseSettings,
) -> u8 {
    let interrupts = Interrupts::listen();
    let services = match Services::new(settings) {
        Ok(services) => services,
        Err(error) => {
            message::error(&error.to_string(), error.hint().as_deref());
            return FAILED;
        }
    };
    let steps = match plan(&services, settings, database).await {
        Ok(steps) => steps,
        Err(error) => {
            message::error(&error.to_string(), error.hint());
            return FAILED;
        }
    };
    if !is_dry_run {
        remove(&services, &steps);
        removal::finish(&services.remover, &interrupts, "a container").await;
    }
    let printed = if is_json { print_json(&steps) } else { print(&steps, is_dry_run) };
    if let Err(error) = printed {
        return stdout::unprinted(&error, FAILED);
    }
    if interrupts.cancel.is_cancelled() { INTERRUPTED } else { 0 }
}

fn print_json(steps: &[Step]) -> io::Result<()> {
    stdout::line(&serde_json::to_string_pretty(steps)?)
}

fn print(steps: &[Step], is_dry_run: bool) -> io::Result<()> {
    if steps.is_empty() {
        message::note("there is no container of this installation, and nothing runs");
        return Ok(());
    }
    let rows: Vec<_> = steps.iter().map(|step| row(step, is_dry_run)).collect();
    table::print(["ACTION", "CONTAINER", "EXECUTION", "WHY"], &rows)
}

fn row(step: &Step, is_dry_run: bool) -> [String; 4] {
    let action = match step.action {
        Action::Keep => "keep",
        Action::Remove if is_dry_run => "would remove",
        Action::Remove => "removed",
        Action::Adopt => "left to adopt",
        Action::End => "left to end",
    };
    let container = step.container.clone().unwrap_or_default();
    let execution = step.execution.map(|it| it.to_string()).unwrap_or_default();
    [action.to_owned(), container, execution, step.reason.to_owned()]
}

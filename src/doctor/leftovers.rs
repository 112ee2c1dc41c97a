//! Unused containers of this installation.

use super::Finding;
use super::reconcile::{Action, plan};
use crate::config::{DatabaseSettings, Settings};
use crate::services::Services;

const SUBJECT: &str = "leftovers";

/// Counts unused containers and executions to adopt; `None` unless engine and database
/// answer.
pub(super) async fn look(
    services: &Services,
    settings: &Settings,
    database: &DatabaseSettings,
) -> Option<Finding> {
    // Errors of either have been reported.
    let steps = plan(services, settings, database).await.ok()?;
    let count = |action| steps.iter().filter(|it| it.action == action).count();
    let (left, adopted) = (count(Action::Remove), count(Action::Adopt));
    let seen = match adopted {
        0 => String::new(),
        _ => format!("; executions that had begun wait for the next server: {adopted}"),
    };
    if left == 0 {
        return Some(Finding::ok(SUBJECT, format!("no container is left{seen}")));
    }
    let seen = format!("containers that nobody uses: {left}{seen}");
    let advice = "`gantry doctor --reconcile` removes them, and so does a server; with --dry-run \
                  it only says which";
    Some(Finding::warning(SUBJECT, seen, advice))
}

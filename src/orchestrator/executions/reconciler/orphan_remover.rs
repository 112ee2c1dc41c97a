//! Removing the containers that no living process uses
//! ([`find_orphans`](crate::orchestrator::orphans::find_orphans)), those of `gantry run`
//! and of builds included.

use std::path::PathBuf;

use crate::clock;
use crate::orchestrator::orphans::{ReconcileContext, find_orphans};
use crate::orchestrator::runner::Runner;
use crate::process;
use crate::store::ClaimedRow;

/// Removes orphaned containers.
pub(super) struct OrphanRemover {
    runner: Runner,
    data_dir: PathBuf,
}

impl OrphanRemover {
    pub(super) fn new(runner: Runner, data_dir: PathBuf) -> Self {
        Self { runner, data_dir }
    }

    /// Removes orphans. `taken` are this node's running executions, read before the
    /// containers are listed: containers of later ones are younger.
    pub(super) async fn remove(&self, taken: &[ClaimedRow]) {
        let runner = &self.runner;
        let listed = match runner.containers().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "orphaned containers could not be looked for");
                return;
            }
        };
        let known = ReconcileContext {
            this_process: runner.process(),
            is_alive: &|process| process::is_alive(&self.data_dir, process),
            is_used: &|name| runner.remover().tracks(name) || taken.iter().any(|it| it.is_in(name)),
            now: clock::now(),
        };
        for container in find_orphans(&listed, &known) {
            tracing::warn!(container.name, "an orphaned container is removed");
            runner.remover().remove(container.name.clone());
        }
    }
}

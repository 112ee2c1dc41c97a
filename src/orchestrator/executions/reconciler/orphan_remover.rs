//! Removing the containers that no living process uses
//! ([`find_orphans`](crate::orchestrator::orphans::find_orphans)), those of `gantry run`
//! and of builds included, and the folders that containers have left.

use std::path::PathBuf;

use crate::clock;
use crate::engine::ListedContainer;
use crate::orchestrator::orphans::{ReconcileContext, find_orphans};
use crate::orchestrator::runner::Runner;
use crate::process;
use crate::sandbox::run_folder;
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
        let listed = match self.runner.containers().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "orphaned containers could not be looked for");
                return;
            }
        };
        self.remove_containers(taken, &listed);
        self.remove_folders(taken, &listed).await;
    }

    fn remove_containers(&self, taken: &[ClaimedRow], listed: &[ListedContainer]) {
        let runner = &self.runner;
        let known = ReconcileContext {
            this_process: runner.process(),
            is_alive: &|process| process::is_alive(&self.data_dir, process),
            is_used: &|name| runner.remover().tracks(name) || taken.iter().any(|it| it.is_in(name)),
            now: clock::now(),
        };
        for container in find_orphans(listed, &known) {
            tracing::warn!(container.name, "an orphaned container is removed");
            runner.remover().remove(container.name.clone());
        }
    }

    /// Removes the folders whose containers are gone. The folders are listed after the
    /// containers: those of later containers are younger, and not judged.
    async fn remove_folders(&self, taken: &[ClaimedRow], listed: &[ListedContainer]) {
        let remover = self.runner.remover();
        let Some(folders) = remover.folders() else { return };
        let found = match run_folder::found(folders).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the folders of containers could not be listed");
                return;
            }
        };
        let is_used = |name: &str| {
            remover.tracks(name)
                || taken.iter().any(|it| it.is_in(name))
                || listed.iter().any(|it| it.name == name)
        };
        let is_others = |process: &str| {
            process != self.runner.process() && process::is_alive(&self.data_dir, process)
        };
        for folder in found {
            if folder.is_settled && !is_used(&folder.name) && !is_others(&folder.process) {
                tracing::warn!(folder.name, "the folder of a container that is gone is removed");
                remover.remove(folder.name);
            }
        }
    }
}

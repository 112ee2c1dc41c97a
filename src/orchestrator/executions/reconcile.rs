//! Bringing the store, the engine and this process into step: one routine without
//! input, run at start, from time to time, and when something gives reason to. Run
//! twice it does nothing more than once.
//!
//! It adopts what this node has begun and nobody works on ([`adopt`](super::adopt)),
//! and removes the containers that nobody uses ([`orphans`](crate::orchestrator::orphans)).
//! It never touches what another installation, or a living process of this one, has
//! made.

use super::Executions;
use crate::clock;
use crate::orchestrator::orphans::{ReconcileContext, find_orphans};
use crate::process;
use crate::store::ClaimedRow;

impl Executions {
    /// The first time: what an earlier process has begun goes on before anything new
    /// begins, and nothing of it is removed.
    pub(super) async fn recover(&self) {
        let (store, node) = (&self.inner.store, self.inner.settings.node.as_str());
        let adopt = || async move {
            store.take_over(node).await?;
            self.adopt_all().await
        };
        match self.retry_while_unavailable("what was begun is looked for", adopt).await {
            None => {}
            Some(Ok(taken)) => self.remove_orphans(&taken).await,
            Some(Err(error)) => tracing::error!(?error, "what was begun can't be read"),
        }
    }

    /// Every other time.
    pub(super) async fn reconcile(&self) {
        match self.adopt_all().await {
            Ok(taken) => self.remove_orphans(&taken).await,
            // Containers are not judged without it.
            Err(error) => tracing::warn!(?error, "what this node has begun can't be read"),
        }
    }

    /// Removes what living processes do not use: what `gantry run` and builds have left
    /// included. `taken` was read before the containers: what is taken later is made
    /// later.
    async fn remove_orphans(&self, taken: &[ClaimedRow]) {
        let (runner, settings) = (&self.inner.runner, &self.inner.settings);
        let listed = match runner.containers().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "containers that are left could not be looked for");
                return;
            }
        };
        let known = ReconcileContext {
            this_process: runner.process(),
            is_alive: &|process| process::is_alive(&settings.data_dir, process),
            is_used: &|name| runner.remover().tracks(name) || taken.iter().any(|it| it.is_in(name)),
            now: clock::now(),
        };
        for container in find_orphans(&listed, &known) {
            tracing::warn!(container.name, "a container was left");
            runner.remover().remove(container.name.clone());
        }
    }
}

//! What an earlier process of this node has left: executions that it had taken
//! and whose end nobody has seen, and containers that nobody removed. Their scripts
//! may have started, so they are not run again; what had not come so far is
//! pending, and is.

use std::collections::HashSet;
use std::time::Duration;

use uuid::Uuid;

use super::Executions;
use crate::clock;
use crate::domain::execution::Report;
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::process;
use crate::store::Taken;

impl Executions {
    /// Ends what is left, and removes its containers.
    pub(super) async fn recover(&self) {
        let (store, node) = (&self.inner.store, self.inner.settings.node.as_str());
        let running = || async move {
            store.take_over(node).await?;
            store.running_on(node).await
        };
        match self.insist("what is left is looked for", running).await {
            None => return,
            Some(Ok(left)) => {
                for taken in &left {
                    self.end_lost(taken).await;
                }
            }
            Some(Err(error)) => {
                tracing::error!(?error, "what an earlier process has left can't be read");
            }
        }
        self.sweep().await;
    }

    /// Ends executions that are taken by this node and that nobody here works on:
    /// their task broke. `suspects` are those of
    /// the last look; the answer is those of this one.
    pub(super) async fn find_abandoned(&self, suspects: &HashSet<Uuid>) -> HashSet<Uuid> {
        let running = match self.inner.store.running_on(&self.inner.settings.node).await {
            Ok(running) => running,
            Err(error) => {
                tracing::warn!(?error, "what this node runs can't be read");
                return HashSet::new();
            }
        };
        let mut abandoned = HashSet::new();
        for taken in running.iter().filter(|it| !self.queue().is_running(it.id)) {
            // One that began or ended between the two looks is not abandoned.
            if suspects.contains(&taken.id) {
                self.end_lost(taken).await;
            } else {
                abandoned.insert(taken.id);
            }
        }
        abandoned
    }

    async fn end_lost(&self, taken: &Taken) {
        if let Some(container) = &taken.container {
            self.inner.runner.remove_named(container.clone());
        }
        let (id, attempt) = (taken.id, taken.attempt);
        let message = "Gantry ended while the script ran, and its end was not seen";
        let report = Report::unstarted(Outcome::failed(ErrorKind::Lost, message), clock::now());
        let node = &self.inner.settings.node;
        let finish = || self.inner.store.finish(id, node, attempt, Duration::ZERO, &report);
        match self.insist("a lost execution is ended", finish).await {
            Some(Ok(Some(ended))) => {
                self.ended(&ended.script_name, id, &report, Duration::ZERO);
            }
            Some(Ok(None)) | None => {}
            Some(Err(error)) => tracing::error!(?error, execution = %id, "it can't be ended"),
        }
    }

    /// Removes what processes have left that live no longer: those of `gantry run`,
    /// and what was being built, included.
    async fn sweep(&self) {
        let listed = match self.inner.runner.containers().await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "containers that are left could not be looked for");
                return;
            }
        };
        for (container, process) in listed {
            if !process::is_alive(&self.inner.settings.data_dir, &process) {
                tracing::warn!(container, "a container was left");
                self.inner.runner.remove_named(container);
            }
        }
    }
}

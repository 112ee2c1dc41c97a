//! Giving the executions that wait to tasks that run them: at most as many at
//! once as the queue lets through.

use std::time::Duration;

use uuid::Uuid;

use super::Executions;
use crate::clock;
use crate::orchestrator::queue::{Demand, Waiting};
use crate::store::{PendingExecution, StoreError};

/// How often the store and the engine are looked through for what nobody has told of:
/// what another process has accepted, or could not give back, and what was left.
const LOOK: Duration = Duration::from_secs(10);

/// Executions that are read at once.
const PAGE: u32 = 1_000;

impl Executions {
    /// Runs what waits until this process is to end.
    pub(super) async fn dispatch(self) {
        self.recover().await;
        self.inner.environments.resume().await;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                () = self.inner.nudge.notified() => {}
                _ = look.tick() => {
                    self.find_pending().await;
                    self.reconcile().await;
                }
            }
            self.begin_all();
        }
    }

    fn begin_all(&self) {
        // What can't start is not taken: whoever is watching the engine says when it can.
        while self.engine_fault().is_none() {
            // The queue must not be locked while a task is begun.
            let next = self.queue().next(clock::since_epoch());
            let Some(waiting) = next else { return };
            if self.inner.stopping.is_cancelled() {
                self.queue().finished(waiting.id);
                return;
            }
            let slot = Slot::of(self, waiting.id);
            self.inner.tasks.spawn(self.clone().work(waiting, slot));
        }
    }

    async fn find_pending(&self) {
        if let Err(error) = self.queue_pending().await {
            tracing::warn!(?error, "what waits in the database could not be read");
        }
    }

    async fn queue_pending(&self) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let found = self.inner.store.pending(after, PAGE).await?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.id);
            let is_whole = found.len() < PAGE as usize;
            for pending in &found {
                self.queue().restore(waiting(pending));
            }
            if is_whole {
                return Ok(());
            }
        }
    }
}

/// The right to run one execution; ends when dropped, whatever becomes of the
/// task that has it.
pub(super) struct Slot {
    executions: Executions,
    id: Uuid,
}

impl Slot {
    /// That of an execution which counts as running.
    pub(super) fn of(executions: &Executions, id: Uuid) -> Self {
        Self { executions: executions.clone(), id }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.executions.queue().finished(self.id);
        self.executions.inner.nudge.notify_one();
    }
}

pub(super) fn waiting(pending: &PendingExecution) -> Waiting {
    Waiting {
        id: pending.id,
        script_id: pending.script_id,
        // What the database can't have is as good as nothing.
        priority: i8::try_from(pending.priority).unwrap_or_default(),
        max_concurrency: pending.max_concurrency.and_then(|it| u32::try_from(it).ok()),
        demand: Demand {
            memory_bytes: u64::try_from(pending.memory_bytes).unwrap_or_default(),
            nano_cpus: u64::try_from(pending.nano_cpus).unwrap_or_default(),
        },
        since: clock::since(pending.created_at),
    }
}

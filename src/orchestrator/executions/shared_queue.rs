//! The node's queue as its parts share it: one lock, one signal, and slots that free
//! themselves. The policy is [`Queue`]'s.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::clock;
use crate::orchestrator::queue::{Demand, Queue, Waiting};
use crate::store::PendingExecution;

/// The queue of this node.
pub(super) struct SharedQueue {
    queue: Mutex<Queue>,
    changed: Notify,
}

impl SharedQueue {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue: Mutex::new(queue), changed: Notify::new() }
    }

    /// Locks the queue. No task may be started meanwhile: a slot locks it, too.
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the dispatcher ask the queue again.
    pub(super) fn nudge(&self) {
        self.changed.notify_one();
    }

    /// Waits for the next nudge, or for one that came while nobody waited.
    pub(super) async fn nudged(&self) {
        self.changed.notified().await;
    }

    /// The slot of an execution that the queue counts as running.
    pub(super) fn slot(self: &Arc<Self>, id: Uuid) -> Slot {
        Slot { queue: Arc::clone(self), id }
    }
}

/// The right to run one execution. Dropping it frees the execution's place, whatever
/// became of the task that had it.
pub(super) struct Slot {
    queue: Arc<SharedQueue>,
    id: Uuid,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.queue.lock().finished(self.id);
        self.queue.nudge();
    }
}

/// A stored execution, as the queue takes it.
pub(super) fn waiting(pending: &PendingExecution) -> Waiting {
    Waiting {
        id: pending.id,
        script_id: pending.script_id,
        // A value that the database can't have counts as none.
        priority: i8::try_from(pending.priority).unwrap_or_default(),
        max_concurrency: pending.max_concurrency.and_then(|it| u32::try_from(it).ok()),
        demand: Demand {
            memory_bytes: u64::try_from(pending.memory_bytes).unwrap_or_default(),
            nano_cpus: u64::try_from(pending.nano_cpus).unwrap_or_default(),
            disk_bytes: u64::try_from(pending.disk_bytes).unwrap_or_default(),
        },
        since: clock::since(pending.created_at),
    }
}

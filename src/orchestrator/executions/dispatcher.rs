//! Giving waiting executions to tasks: at most as many at once as the queue lets
//! through, and none while the engine starts nothing.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::task::{ExecutionTask, TaskContext};
use crate::clock;

/// Starts the tasks of executions.
pub(super) struct Dispatcher {
    context: Arc<TaskContext>,
}

impl Dispatcher {
    pub(super) fn new(context: Arc<TaskContext>) -> Self {
        Self { context }
    }

    /// Dispatches until the service stops, once executions of an earlier process are
    /// `recovered`: they hold room.
    pub(super) async fn run(self, recovered: oneshot::Receiver<()>) {
        let TaskContext { shutdown, queue, .. } = &*self.context;
        tokio::select! {
            // A sender that is gone has nothing more to recover.
            _ = recovered => {}
            () = shutdown.stopping.cancelled() => return,
        }
        loop {
            self.dispatch();
            tokio::select! {
                () = shutdown.stopping.cancelled() => return,
                () = queue.nudged() => {}
            }
        }
    }

    fn dispatch(&self) {
        let TaskContext { shutdown, queue, engine, .. } = &*self.context;
        // The gate nudges the queue when it opens again.
        while engine.fault().is_none() {
            // The queue must not be locked while a task is started.
            let next = queue.lock().next(clock::since_epoch());
            let Some(waiting) = next else { return };
            if shutdown.stopping.is_cancelled() {
                queue.lock().finished(waiting.id);
                return;
            }
            let slot = queue.slot(waiting.id);
            let task = ExecutionTask::new(Arc::clone(&self.context), waiting, slot);
            shutdown.spawn(task.run());
        }
    }
}

//! Storing accepted submissions. Those that come while a batch is made durable are
//! the next batch, so one submission by itself waits for no other.

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::domain::execution::NewExecution;
use crate::log_throttle::LogThrottle;
use crate::orchestrator::executions::shared_queue::SharedQueue;
use crate::orchestrator::queue::{Demand, Place, Waiting};
use crate::sandbox::Cancel;
use crate::store::{Store, StoreError, Submitted};

/// Submissions that are stored in one transaction at most.
const BATCH: usize = 256;

/// Bytes of inputs beyond which nothing more is added to a transaction. Those
/// that are in it are copied once for the database.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// A submission on its way to the store.
pub(super) struct PendingInsert {
    pub(super) new: NewExecution,
    pub(super) max_concurrency: Option<NonZeroU32>,
    pub(super) place: Place,
    pub(super) answer: oneshot::Sender<Result<Submitted, Arc<StoreError>>>,
}

/// Stores submissions, and has them wait in the queue.
pub(super) struct InsertWriter {
    store: Store,
    queue: Arc<SharedQueue>,
    /// Bounds the log lines about batches that were not stored.
    failures: LogThrottle,
    stopping: Cancel,
}

impl InsertWriter {
    pub(super) fn new(store: Store, queue: Arc<SharedQueue>, stopping: Cancel) -> Self {
        Self { store, queue, failures: LogThrottle::default(), stopping }
    }

    /// Stores submissions until the service stops.
    pub(super) async fn run_intake(self, mut inserts: mpsc::UnboundedReceiver<PendingInsert>) {
        loop {
            tokio::select! {
                biased;
                first = inserts.recv() => {
                    let Some(first) = first else { return };
                    self.store_batch(batch(first, &mut inserts)).await;
                }
                () = self.stopping.cancelled() => return self.refuse_rest(inserts),
            }
        }
    }

    fn refuse_rest(&self, mut inserts: mpsc::UnboundedReceiver<PendingInsert>) {
        inserts.close();
        while let Ok(insert) = inserts.try_recv() {
            self.queue.lock().release(insert.place);
        }
    }

    async fn store_batch(&self, batch: Vec<PendingInsert>) {
        let (news, rest): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|it| {
                let waiting = waiting(&it.new, it.max_concurrency);
                (it.new, (waiting, it.place, it.answer))
            })
            .unzip();
        let mut stored = self.store.submit(&news).await;
        if stored.as_ref().is_err_and(StoreError::is_outage) {
            // An execution that was stored although the answer was lost is known by its id.
            stored = self.store.submit(&news).await;
        }
        let stored = stored.map_err(Arc::new);
        if let Err(error) = &stored
            && let Some(suppressed) = self.failures.admit()
        {
            let executions = news.len();
            tracing::error!(?error, executions, suppressed, "a batch of executions was not stored");
        }
        for (index, (waiting, place, answer)) in rest.into_iter().enumerate() {
            let submitted = match &stored {
                Ok(all) => match all.get(index) {
                    Some(Submitted::Known(id)) if *id == waiting.id => Ok(Submitted::New),
                    Some(submitted) => Ok(*submitted),
                    None => Err(Arc::new(StoreError::NameConflict)),
                },
                Err(error) => Err(Arc::clone(error)),
            };
            match submitted {
                Ok(Submitted::New) => {
                    self.queue.lock().push(place, waiting);
                }
                _ => self.queue.lock().release(place),
            }
            // The caller may have gone; the execution goes on.
            let _ = answer.send(submitted);
        }
        self.queue.nudge();
    }
}

/// The first insert, and those that have come by now.
fn batch(
    first: PendingInsert,
    inserts: &mut mpsc::UnboundedReceiver<PendingInsert>,
) -> Vec<PendingInsert> {
    let mut bytes = first.new.input.as_str().len();
    let mut batch = vec![first];
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(next) = inserts.try_recv() else { break };
        bytes += next.new.input.as_str().len();
        batch.push(next);
    }
    batch
}

fn waiting(new: &NewExecution, max_concurrency: Option<NonZeroU32>) -> Waiting {
    Waiting {
        id: new.id,
        script_id: new.script_id,
        priority: new.priority.value(),
        max_concurrency: max_concurrency.map(NonZeroU32::get),
        demand: Demand {
            memory_bytes: new.snapshot.limits.memory_bytes,
            nano_cpus: new.snapshot.limits.nano_cpus,
            disk_bytes: new.snapshot.limits.disk_bytes,
        },
        since: clock::since(new.created_at),
    }
}

//! Storing what is accepted: whatever has come while the last batch was being
//! made durable is the next batch. One submission by itself waits for nobody.

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Executions, SubmitError};
use crate::clock;
use crate::domain::execution::NewExecution;
use crate::orchestrator::queue::{Demand, Place, Waiting};
use crate::store::{StoreError, Submitted};

/// Submissions that are stored in one transaction at most.
const BATCH: usize = 256;

/// Bytes of inputs beyond which nothing more is added to a transaction. Those
/// that are in it are copied once for the database.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// A submission on its way to the store.
pub(super) struct PendingInsert {
    new: NewExecution,
    max_concurrency: Option<NonZeroU32>,
    place: Place,
    answer: oneshot::Sender<Result<Submitted, Arc<StoreError>>>,
}

impl Executions {
    /// Hands a submission over, and waits until it is stored.
    pub(super) async fn take(
        &self,
        new: NewExecution,
        max_concurrency: Option<NonZeroU32>,
        place: Place,
    ) -> Result<Submitted, SubmitError> {
        let (answer, stored) = oneshot::channel();
        let envelope = PendingInsert { new, max_concurrency, place, answer };
        if let Err(mpsc::error::SendError(envelope)) = self.inner.intake.send(envelope) {
            self.queue().release(envelope.place);
            return Err(SubmitError::Stopping);
        }
        match stored.await {
            Ok(Ok(submitted)) => Ok(submitted),
            Ok(Err(error)) => Err(SubmitError::Store(shared(&error))),
            Err(_) => Err(SubmitError::Stopping),
        }
    }

    /// Stores submissions until this process is to end.
    pub(super) async fn run_intake(self, mut envelopes: mpsc::UnboundedReceiver<PendingInsert>) {
        loop {
            tokio::select! {
                biased;
                first = envelopes.recv() => {
                    let Some(first) = first else { return };
                    self.store_batch(batch(first, &mut envelopes)).await;
                }
                () = self.inner.stopping.cancelled() => return self.refuse_rest(envelopes),
            }
        }
    }

    fn refuse_rest(&self, mut envelopes: mpsc::UnboundedReceiver<PendingInsert>) {
        envelopes.close();
        while let Ok(envelope) = envelopes.try_recv() {
            self.queue().release(envelope.place);
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
        let mut stored = self.inner.store.submit(&news).await;
        if stored.as_ref().is_err_and(StoreError::is_outage) {
            // What was stored although the answer was lost is known by its id.
            stored = self.inner.store.submit(&news).await;
        }
        let stored = stored.map_err(Arc::new);
        if let Err(error) = &stored
            && let Some(suppressed) = self.inner.unstored.admit()
        {
            tracing::error!(?error, executions = news.len(), suppressed, "a batch was not stored");
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
                    self.queue().push(place, waiting);
                }
                _ => self.queue().release(place),
            }
            // Whoever asked may have gone; the execution goes on.
            let _ = answer.send(submitted);
        }
        self.inner.nudge.notify_one();
    }
}

/// The first, and what else has come by now.
fn batch(
    first: PendingInsert,
    envelopes: &mut mpsc::UnboundedReceiver<PendingInsert>,
) -> Vec<PendingInsert> {
    let mut bytes = first.new.input.as_str().len();
    let mut batch = vec![first];
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(next) = envelopes.try_recv() else { break };
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
        },
        since: clock::since(new.created_at),
    }
}

/// An error that a whole batch shares, for one of it: the cause is logged where
/// it came up.
fn shared(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(_) => StoreError::Unavailable(None),
        _ => StoreError::Refused(None),
    }
}

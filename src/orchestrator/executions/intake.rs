//! The way in: from a submission to a stored execution that waits in the queue.
//!
//! ```text
//! submit ─▶ key known? ─ no ─▶ check ─▶ files held ─▶ place reserved ─▶ insert ─▶ stored ─▶ queued
//!               │ yes            │ faults     │ gone       │ full         (in batches)
//!               ▼                ▼            ▼
//!        the first execution   refused      refused      refused
//! ```
//!
//! A refused submission is not stored. A stored execution can't get lost, and its
//! caller need not wait for the answer.

mod check;
mod inputs;
mod insert_writer;
mod submission;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

pub use submission::{Accepted, Submission, SubmitError};

use super::followers::{Followers, Waiter};
use super::shared_queue::SharedQueue;
use super::shutdown::Shutdown;
use crate::clock;
use crate::domain::execution::ExecutionSummary;
use crate::files::Files;
use crate::orchestrator::live::MAX_HANDED_OVER;
use crate::orchestrator::queue::Full;
use crate::orchestrator::schemas::Schemas;
use crate::sandbox::Cancel;
use crate::shares::Shares;
use crate::store::{Store, StoreError, Submitted};
use check::Checked;
use inputs::Inputs;
use insert_writer::{InsertWriter, PendingInsert};

/// Executions that may wait before those that come are read by their tasks: what
/// is kept in memory for them is bounded, and the reading is not what they wait for.
const MAX_BROUGHT: usize = 64;

/// Accepts executions.
pub(super) struct Intake {
    store: Store,
    inputs: Inputs,
    schemas: Arc<Schemas>,
    queue: Arc<SharedQueue>,
    followers: Followers,
    inserts: mpsc::UnboundedSender<PendingInsert>,
    stopping: Cancel,
}

impl Intake {
    /// Starts the task that stores what is accepted.
    pub(super) fn start(
        store: Store,
        (files, shares): (Files, Shares),
        schemas: Arc<Schemas>,
        queue: Arc<SharedQueue>,
        followers: Followers,
        shutdown: &Shutdown,
    ) -> Self {
        let (inserts, received) = mpsc::unbounded_channel();
        let stopping = shutdown.stopping.clone();
        let writer = InsertWriter::new(store.clone(), Arc::clone(&queue), stopping.clone());
        shutdown.spawn(writer.run_intake(received));
        let inputs = Inputs::new(store.clone(), files, shares);
        Self { store, inputs, schemas, queue, followers, inserts, stopping }
    }

    /// Accepts an execution. When it has answered, the execution is stored; also
    /// when the caller does not wait for the answer.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing is stored then.
    pub(super) async fn submit(&self, submission: Submission) -> Result<Accepted, SubmitError> {
        match self.find_known(&submission).await? {
            Some(known) => accepted(known, None),
            None => self.accept(self.check(submission).await?).await,
        }
    }

    /// The same for a caller that waits for the end. Its waiter spares the execution's
    /// task some reading.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub(super) async fn submit_awaited(
        &self,
        submission: Submission,
    ) -> Result<(Accepted, Waiter), SubmitError> {
        if let Some(known) = self.find_known(&submission).await? {
            let accepted = accepted(known, None)?;
            let waiter = self.followers.waiter(accepted.id);
            return Ok((accepted, waiter));
        }
        let checked = self.check(submission).await?;
        let (id, input) = (checked.new.id, checked.new.input.as_str().len());
        let waiter = self.followers.first_waiter(id);
        if input <= MAX_HANDED_OVER && self.queue.lock().waiting_len() < MAX_BROUGHT {
            waiter.bring(checked.runnable());
        }
        let accepted = self.accept(checked).await?;
        let waiter = if accepted.id == id { waiter } else { self.followers.waiter(accepted.id) };
        Ok((accepted, waiter))
    }

    /// The execution that came first with the same key, even if the script has changed
    /// since.
    async fn find_known(&self, submission: &Submission) -> Result<Option<Submitted>, SubmitError> {
        if self.stopping.is_cancelled() {
            return Err(SubmitError::Stopping);
        }
        let Some(key) = &submission.idempotency_key else { return Ok(None) };
        Ok(self.store.find_key(submission.caller.token_id, key).await?)
    }

    async fn check(&self, submission: Submission) -> Result<Checked, SubmitError> {
        let fits = |demand: &_| self.queue.lock().fits(demand);
        check::check(submission, &self.schemas, &self.inputs, fits).await
    }

    async fn accept(&self, checked: Checked) -> Result<Accepted, SubmitError> {
        let Checked { new, script_name, version, max_concurrency } = checked;
        self.inputs.hold(new.id, &new.snapshot.files.inputs).await?;
        let files = new.snapshot.files.inputs.clone();
        let digest = version.definition.digest;
        let pending = ExecutionSummary::pending(&new, script_name, version.number, digest);
        let place = self.queue.lock().reserve();
        let place = place.map_err(|Full { limit }| SubmitError::Full {
            limit,
            retry_after: self.queue.lock().retry_after(clock::since_epoch()),
        })?;
        let id = new.id;
        let (answer, stored) = oneshot::channel();
        let submitted =
            self.insert(PendingInsert { new, max_concurrency, place, answer }, stored).await?;
        tracing::info!(execution = %id, ?submitted, "execution accepted");
        Ok(Accepted { files, ..accepted(submitted, Some(pending))? })
    }

    /// Hands a submission to the writer, and waits until it is stored.
    async fn insert(
        &self,
        insert: PendingInsert,
        stored: oneshot::Receiver<Result<Submitted, Arc<StoreError>>>,
    ) -> Result<Submitted, SubmitError> {
        if let Err(mpsc::error::SendError(insert)) = self.inserts.send(insert) {
            self.queue.lock().release(insert.place);
            return Err(SubmitError::Stopping);
        }
        match stored.await {
            Ok(Ok(submitted)) => Ok(submitted),
            Ok(Err(error)) => Err(SubmitError::Store(shared(&error))),
            Err(_) => Err(SubmitError::Stopping),
        }
    }
}

fn accepted(
    submitted: Submitted,
    pending: Option<ExecutionSummary>,
) -> Result<Accepted, SubmitError> {
    match (submitted, pending) {
        (Submitted::New, Some(pending)) => {
            Ok(Accepted { id: pending.id, pending: Some(Box::new(pending)), files: Vec::new() })
        }
        (Submitted::New, None) => Err(SubmitError::Stopping),
        (Submitted::Known(known), _) => {
            Ok(Accepted { id: known, pending: None, files: Vec::new() })
        }
        (Submitted::KeyReused(other), _) => Err(SubmitError::KeyReused(other)),
    }
}

/// An error that a whole batch shares, for one of its submissions: the cause is logged
/// by the writer.
fn shared(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(_) => StoreError::Unavailable(None),
        _ => StoreError::Refused(None),
    }
}

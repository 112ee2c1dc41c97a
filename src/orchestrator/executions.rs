//! The service that accepts, runs, follows and ends executions on this node. Each part
//! owns its work; [`Executions`] only holds them.
//!
//! ```text
//!          submit                          cancel              wait, follow
//!            │                               │                      │
//!            ▼                               ▼                      ▼
//!        ┌────────┐                    ┌───────────┐          ┌───────────┐
//!        │ intake │                    │ canceller │          │ followers │
//!        └────────┘                    └───────────┘          └───────────┘
//!            │ stored as pending         │        │ cancel           ▲ what has
//!            ▼                           ▼        ▼                  │ changed
//!     ┌──────────────┐   next     ┌────────────┐  ┌───────────────┐  │
//!     │ shared queue │ ─────────▶ │ dispatcher │  │ live registry │ ─┘
//!     └──────────────┘   turn     └────────────┘  └───────────────┘
//!        ▲        ▲ slot freed          │ one task      ▲ output, states
//!        │        │                     ▼ each          │
//!        │        │               ┌──────────────────────────────────┐
//!        │        └────────────── │ task: PendingRun ▶ PreparedRun ▶ │
//!        │ pending rows           │   StartedRun ▶ EndedRun ▶ stored │
//!        │                        └──────────────────────────────────┘
//!     ┌────────────┐   adopted          ▲   │ claim, give back, end
//!     │ reconciler │ ───────────────────┘   ▼
//!     └────────────┘                  ┌─────────────┐
//!        │ orphans, retention,        │ transitions │ ─▶ store, then announced
//!        ▼ prewarm, engine watch      └─────────────┘
//!     engine, pool, store
//! ```
//!
//! Files import in one direction: settings, shutdown, shared queue, engine gate, job
//! loader and transitions at the bottom; followers, intake, canceller and task on them;
//! then dispatcher and reconciler. What a part changes in the store it changes there
//! first: memory only ever follows.

mod canceller;
mod claimed;
mod disk_watch;
mod dispatcher;
mod engine_gate;
mod followers;
mod intake;
mod job_loader;
mod reconciler;
mod settings;
mod shared_queue;
mod shutdown;
mod task;
mod transitions;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::Notify;
use uuid::Uuid;

pub use canceller::Cancelled;
pub use followers::{Event, Waiter};
pub use intake::{Accepted, Submission, SubmitError};
pub use settings::{ExecutionsParts, ExecutionsSettings};

use super::artifact_storage::ArtifactStorage;
use super::environments::Environments;
use super::live::LiveRegistry;
use super::queue::Queue;
use super::runner::Runner;
use super::schemas::Schemas;
use crate::domain::output_log::Position;
use crate::pool::PoolStatus;
use crate::store::StoreError;
use canceller::Canceller;
use disk_watch::DiskWatch;
use dispatcher::Dispatcher;
use engine_gate::EngineGate;
use followers::Followers;
use intake::Intake;
use job_loader::JobLoader;
use shared_queue::SharedQueue;
use shutdown::Shutdown;
use task::TaskContext;
use transitions::Transitions;

/// Accepts, runs, follows and ends executions.
#[derive(Clone)]
pub struct Executions {
    inner: Arc<Inner>,
}

struct Inner {
    intake: Intake,
    followers: Followers,
    canceller: Canceller,
    queue: Arc<SharedQueue>,
    queue_limit: usize,
    engine: Arc<EngineGate>,
    disk: Option<Arc<DiskWatch>>,
    runner: Runner,
    environments: Environments,
    artifacts: Arc<ArtifactStorage>,
    scripts_changed: Arc<Notify>,
    shutdown: Shutdown,
}

/// Failure to read an artifact.
#[derive(Debug, thiserror::Error)]
#[error("the artifact can't be read")]
pub struct ArtifactReadError(#[from] object_store::Error);

/// Load of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Executions that wait.
    pub waiting: usize,
    /// Executions that run.
    pub running: usize,
    /// Executions that may wait.
    pub queue_limit: usize,
    /// The engine starts sandboxes, as far as is known.
    pub is_engine_well: bool,
    /// Sandboxes that wait for executions.
    pub pool: PoolStatus,
}

impl Executions {
    /// Starts the service: executions of an earlier process are adopted or queued
    /// again, and submissions are accepted.
    ///
    /// # Errors
    /// If the data folder can't be used.
    pub fn start(parts: ExecutionsParts, settings: ExecutionsSettings) -> std::io::Result<Self> {
        let ExecutionsParts { store, files, runner, environments, observer } = parts;
        let shutdown = Shutdown::default();
        let live = LiveRegistry::default();
        let artifacts = Arc::new(ArtifactStorage::open(&settings.data_dir, files.clone())?);
        let schemas = Arc::new(Schemas::default());
        let queue = Queue::new(settings.capacity, settings.queue_limit);
        let queue = Arc::new(SharedQueue::new(queue));
        let engine = Arc::new(EngineGate::new(Arc::clone(&observer), Arc::clone(&queue)));
        let transitions = Transitions::new(
            store.clone(),
            settings.node.clone(),
            live.clone(),
            observer,
            shutdown.clone(),
        );
        let followers = Followers::new(store.clone(), live.clone());
        let intake = Intake::start(
            store.clone(),
            (files.clone(), settings.shares.clone()),
            Arc::clone(&schemas),
            Arc::clone(&queue),
            followers.clone(),
            &shutdown,
        );
        let canceller =
            Canceller::new(store.clone(), Arc::clone(&queue), live.clone(), transitions.clone());
        let disk = runner.remover().folders().map(|folders| {
            let folder = folders.root().to_owned();
            let reserve = settings.disk_reserve;
            Arc::new(DiskWatch::new(folder, reserve, Arc::clone(&queue), live.clone()))
        });
        if let Some(disk) = &disk {
            shutdown.spawn(Arc::clone(disk).run(shutdown.stopping.clone()));
        }
        let context = Arc::new(TaskContext {
            transitions,
            runner: runner.clone(),
            environments: environments.clone(),
            jobs: Arc::new(JobLoader::new(store.clone(), &settings)),
            artifacts: Arc::clone(&artifacts),
            files,
            schemas,
            engine: Arc::clone(&engine),
            live,
            queue: Arc::clone(&queue),
            shutdown: shutdown.clone(),
        });
        let scripts_changed = Arc::new(Notify::new());
        let recovered =
            reconciler::start(&store, &settings, &context, Arc::clone(&scripts_changed));
        shutdown.spawn(Dispatcher::new(context).run(recovered));
        let inner = Inner {
            intake,
            followers,
            canceller,
            queue,
            queue_limit: settings.queue_limit,
            engine,
            disk,
            runner,
            environments,
            artifacts,
            scripts_changed,
            shutdown,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Stops: nothing more is accepted or started, and running executions may end within
    /// `at_most`. Scripts that still run then go on by themselves, and the next process
    /// adopts them; waiting executions are left to it, too.
    pub async fn stop(&self, at_most: Duration) {
        self.inner.shutdown.begin();
        self.inner.shutdown.finish(at_most, || self.load().running).await;
        self.inner.environments.stop().await;
    }

    /// Accepts an execution. When it has answered, the execution is stored; also
    /// when the caller does not wait for the answer.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing is stored then.
    pub async fn submit(&self, submission: Submission) -> Result<Accepted, SubmitError> {
        self.inner.intake.submit(submission).await
    }

    /// The same for a caller that waits for its end, which spares some looks at the
    /// store.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn submit_awaited(
        &self,
        submission: Submission,
    ) -> Result<(Accepted, Waiter), SubmitError> {
        self.inner.intake.submit_awaited(submission).await
    }

    /// A waiter for the end of an execution, which may have ended.
    #[must_use]
    pub fn waiter(&self, id: Uuid) -> Waiter {
        self.inner.followers.waiter(id)
    }

    /// The events of an execution from a position on. There are none of an unknown
    /// execution. After an error nothing more comes.
    pub fn follow(
        &self,
        id: Uuid,
        from: Position,
    ) -> impl Stream<Item = Result<Event, StoreError>> + Send + use<> {
        self.inner.followers.follow(id, from)
    }

    /// Cancels an execution.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cancel(&self, id: Uuid) -> Result<Cancelled, StoreError> {
        self.inner.canceller.cancel(id).await
    }

    /// The content of an artifact, by its position; `None` when it was not kept.
    ///
    /// # Errors
    /// [`ArtifactReadError`] when it can't be read.
    pub async fn artifact(
        &self,
        id: Uuid,
        position: usize,
    ) -> Result<Option<Bytes>, ArtifactReadError> {
        Ok(self.inner.artifacts.read(id, position).await?)
    }

    /// Load of this node.
    #[must_use]
    pub fn load(&self) -> Load {
        let queue = self.inner.queue.lock();
        Load {
            waiting: queue.waiting_len(),
            running: queue.running_len(),
            queue_limit: self.inner.queue_limit,
            is_engine_well: self.inner.engine.fault().is_none(),
            pool: self.inner.runner.pool_status(),
        }
    }

    /// The reason that the engine starts nothing; `None` when it does, as far as is
    /// known.
    #[must_use]
    pub fn engine_fault(&self) -> Option<Arc<str>> {
        self.inner.engine.fault()
    }

    /// The reason that nothing starts that needs scratch on disk; `None` if something does,
    /// or nothing needs it.
    #[must_use]
    pub fn disk_fault(&self) -> Option<Arc<str>> {
        self.inner.disk.as_ref()?.fault()
    }

    /// Applies a stored change of a script: its limit counts for executions that wait, and
    /// the pool's content is brought up to date. Another node finds the change later.
    pub fn script_changed(&self, script_id: i64, max_concurrency: Option<u32>) {
        self.inner.queue.lock().set_max_concurrency(script_id, max_concurrency);
        self.inner.queue.nudge();
        self.inner.scripts_changed.notify_one();
    }
}

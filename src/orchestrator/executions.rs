//! The service that accepts, runs, follows and ends executions on this node.
//!
//! ```text
//! submit ─▶ intake ─▶ store (pending) ─▶ queue ─▶ dispatch ─▶ work ─▶ store (ended)
//!                                                    ▲           │
//! cancel ────────────────────────────────────────────┴─ live ◀───┘ ─▶ follow, wait
//! ```

mod adopt;
mod artifact_retry;
mod begin;
mod cancel;
mod conclude;
mod dispatch;
mod ending;
mod engine_watch;
mod follow;
mod intake;
mod job;
mod output;
mod prewarm;
mod reconcile;
mod retention;
mod submit;
mod wait;
mod work;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_util::task::TaskTracker;

pub use cancel::Cancelled;
pub use follow::Event;
pub use submit::{Accepted, Submission, SubmitError};
pub use wait::Waiter;

use super::artifact_storage::ArtifactStorage;
use super::engine_health::EngineHealth;
use super::environments::Environments;
use super::queue::{Capacity, Queue};
use super::schemas::Schemas;
use super::{LiveRegistry, Observer, Runner};
use crate::domain::requirements::RequirementsPolicy;
use crate::log_throttle::LogThrottle;
use crate::pool::PoolStatus;
use crate::sandbox::Cancel;
use crate::store::{Store, StoreError};
use intake::PendingInsert;

/// How long it may take to let go of everything: as long as an engine that is unwell
/// needs.
const GIVING_UP: Duration = Duration::from_secs(20);

/// What the service needs to know.
#[derive(Debug, Clone)]
pub struct ExecutionsSettings {
    /// This machine's name among those that share a database.
    pub node: String,
    /// What this machine has for executions.
    pub capacity: Capacity,
    /// Executions that may wait.
    pub queue_limit: usize,
    /// Where artifacts are kept, and files of unfinished executions.
    pub data_dir: PathBuf,
    /// The OCI runtime of sandboxes, when it is not the engine's default.
    pub oci_runtime: Option<String>,
    /// What requirements may be.
    pub policy: RequirementsPolicy,
    /// The folders that mounts may come from, links resolved.
    pub mount_roots: Vec<PathBuf>,
    /// How long executions are kept after their end; `None` is for ever.
    pub retention: Option<Duration>,
}

/// What the service is made of.
pub struct ExecutionsParts {
    /// The database.
    pub store: Store,
    /// What runs jobs.
    pub runner: Runner,
    /// The images.
    pub environments: Environments,
    /// Hears of what happens.
    pub observer: Arc<dyn Observer>,
}

/// Accepts, runs, follows and ends executions.
#[derive(Clone)]
pub struct Executions {
    inner: Arc<Inner>,
}

struct Inner {
    settings: ExecutionsSettings,
    store: Store,
    runner: Runner,
    environments: Environments,
    observer: Arc<dyn Observer>,
    engine: EngineHealth,
    artifacts: ArtifactStorage,
    schemas: Schemas,
    code: job::CodeCache,
    live: LiveRegistry,
    queue: Mutex<Queue>,
    /// Something of the queue has changed.
    nudge: Notify,
    /// Scripts have changed.
    scripts: Notify,
    /// What could not be stored on intake.
    unstored: LogThrottle,
    intake: mpsc::UnboundedSender<PendingInsert>,
    /// Nothing more is accepted or begun.
    stopping: Cancel,
    /// What still runs is left to the next process, and what has not begun is given up.
    giving_up: Cancel,
    tasks: TaskTracker,
}

/// Why an artifact can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the artifact can't be read")]
pub struct ArtifactReadError(#[from] object_store::Error);

/// How much there is to do.
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
    /// Begins to work: what an earlier process has left is brought to an end or
    /// queued again, and submissions are taken.
    ///
    /// # Errors
    /// When the data folder can't be used.
    pub fn start(parts: ExecutionsParts, settings: ExecutionsSettings) -> std::io::Result<Self> {
        let (intake, envelopes) = mpsc::unbounded_channel();
        let artifacts = ArtifactStorage::open(&settings.data_dir)?;
        let inner = Inner {
            queue: Mutex::new(Queue::new(settings.capacity, settings.queue_limit)),
            settings,
            store: parts.store,
            runner: parts.runner,
            environments: parts.environments,
            observer: parts.observer,
            engine: EngineHealth::default(),
            artifacts,
            schemas: Schemas::default(),
            code: job::CodeCache::default(),
            live: LiveRegistry::default(),
            nudge: Notify::new(),
            scripts: Notify::new(),
            unstored: LogThrottle::default(),
            intake,
            stopping: Cancel::new(),
            giving_up: Cancel::new(),
            tasks: TaskTracker::new(),
        };
        let this = Self { inner: Arc::new(inner) };
        this.inner.tasks.spawn(this.clone().run_intake(envelopes));
        this.inner.tasks.spawn(this.clone().dispatch());
        this.inner.tasks.spawn(this.clone().forget_old());
        this.inner.tasks.spawn(this.clone().run_prewarm());
        this.inner.tasks.spawn(this.clone().watch_engine());
        Ok(this)
    }

    /// Stops: nothing more is accepted or begun, and what runs may end within
    /// `at_most`. What then still runs goes on by itself, and the next process adopts
    /// it; what waits is left to the next process, too.
    pub async fn stop(&self, at_most: Duration) {
        self.inner.stopping.cancel();
        self.inner.nudge.notify_one();
        self.inner.tasks.close();
        if tokio::time::timeout(at_most, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!(running = self.load().running, "executions are left to the next start");
            self.inner.giving_up.cancel();
            if tokio::time::timeout(GIVING_UP, self.inner.tasks.wait()).await.is_err() {
                tracing::error!(running = self.load().running, "executions did not let go");
            }
        }
        self.inner.environments.stop().await;
    }

    /// How much there is to do.
    #[must_use]
    pub fn load(&self) -> Load {
        let queue = self.queue();
        Load {
            waiting: queue.waiting_len(),
            running: queue.running_len(),
            queue_limit: self.inner.settings.queue_limit,
            is_engine_well: self.inner.engine.fault().is_none(),
            pool: self.inner.runner.pool_status(),
        }
    }

    /// An operator has changed how many executions of a script may run at once.
    pub fn set_max_concurrency(&self, script_id: i64, limit: Option<u32>) {
        self.queue().set_max_concurrency(script_id, limit);
        self.inner.nudge.notify_one();
    }

    /// Scripts are others than before: what the pool holds for them is looked at
    /// again. It is found without being told, too, only later.
    pub fn scripts_changed(&self) {
        self.inner.scripts.notify_one();
    }

    /// The content of an artifact, by its position; `None` when it was not kept.
    ///
    /// # Errors
    /// [`ArtifactReadError`] when it can't be read.
    pub async fn artifact(
        &self,
        id: uuid::Uuid,
        position: usize,
    ) -> Result<Option<bytes::Bytes>, ArtifactReadError> {
        Ok(self.inner.artifacts.read(id, position).await?)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store again until it answers something else than that it is not
    /// available; `None` when this process is to end first.
    async fn retry_while_unavailable<T, F>(
        &self,
        what: &str,
        mut ask: impl FnMut() -> F,
    ) -> Option<Result<T, StoreError>>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = Duration::from_millis(100);
        loop {
            match ask().await {
                Err(error) if error.is_outage() => {
                    tracing::warn!(what, ?error, "trying again");
                }
                answer => return Some(answer),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(2)),
                () = self.inner.giving_up.cancelled() => return None,
            }
        }
    }
}

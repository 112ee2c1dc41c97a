//! Removal of containers, which no cancelled future can prevent.
//!
//! An [`OwnedContainer`] is removed when the value is dropped, by a background task;
//! [`Remover::drain`] waits for these tasks. Only a container that is detached for the
//! next process ([`OwnedContainer::detach`]) stays. The container's folder on the host goes
//! after it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{clearing, run_folder};
use crate::domain::run_folder::RunFolders;
use crate::engine::{Engine, EngineError};

/// Pauses between attempts to remove a container. The engine may be restarting, or still
/// busy with a creation whose answer was lost.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// Pending removals above which no container is started, so that an engine that can't
/// keep up is not given more and more of them.
const MAX_BEHIND: usize = 64;

/// Interval for checking the backlog.
const POLL: Duration = Duration::from_millis(20);

/// Time for a container to exit after its final frame. It takes milliseconds, and saves
/// the engine a kill, which costs more than the rest of the removal.
const EXIT_GRACE: Duration = Duration::from_secs(2);

/// Removes containers in the background.
#[derive(Clone)]
pub struct Remover {
    engine: Arc<dyn Engine>,
    folders: Option<Arc<RunFolders>>,
    tasks: TaskTracker,
    /// Names of containers that are in use or being removed.
    tracked: Arc<Mutex<HashSet<String>>>,
}

impl Remover {
    /// A remover without containers.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let tasks = TaskTracker::new();
        // A closed tracker still takes tasks; it can be waited for at any time.
        tasks.close();
        Self { engine, folders: None, tasks, tracked: Arc::default() }
    }

    /// The same for containers that have their own folders among these.
    #[must_use]
    pub fn with_run_folders(self, folders: RunFolders) -> Self {
        Self { folders: Some(Arc::new(folders)), ..self }
    }

    /// Folders of the containers.
    #[must_use]
    pub fn folders(&self) -> Option<&RunFolders> {
        self.folders.as_deref()
    }

    /// Waits until all containers dropped so far are removed. A container that can't be
    /// removed is logged and left to the next reconciliation.
    pub async fn drain(&self) {
        self.tasks.wait().await;
    }

    /// Waits while too many removals are pending.
    pub(super) async fn wait_for_backlog(&self) {
        while self.tasks.len() >= MAX_BEHIND {
            tokio::time::sleep(POLL).await;
        }
    }

    /// True if this process uses the container or is removing it.
    #[must_use]
    pub fn tracks(&self, name: &str) -> bool {
        self.tracked().contains(name)
    }

    /// Removes an existing container that is not in use.
    pub fn remove(&self, name: String) {
        drop(self.own_existing(name));
    }

    /// Takes ownership of a container that is about to be created.
    pub(super) fn own(&self, name: String) -> OwnedContainer {
        self.tracked().insert(name.clone());
        let creation = Creation::Unknown;
        OwnedContainer { name, remover: self.clone(), creation, is_exiting: false }
    }

    /// Takes ownership of a container that an earlier process created.
    pub(super) fn own_existing(&self, name: String) -> OwnedContainer {
        let mut owned = self.own(name);
        owned.creation = Creation::Answered;
        owned
    }

    fn tracked(&self) -> MutexGuard<'_, HashSet<String>> {
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A container that is removed when this value is dropped.
pub(super) struct OwnedContainer {
    pub(super) name: String,
    remover: Remover,
    creation: Creation,
    is_exiting: bool,
}

/// Outcome of a container's creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Creation {
    /// Unknown: the engine may still create it, or have created it.
    Unknown,
    /// The engine has answered: a removed container will not reappear.
    Answered,
    /// Another owner has it: the name was taken, or it was detached.
    Foreign,
}

impl OwnedContainer {
    /// Engine that has it.
    pub(super) fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.remover.engine)
    }

    /// Folders of containers.
    pub(super) fn folders(&self) -> Option<&RunFolders> {
        self.remover.folders()
    }

    /// Records that PID 1 has sent its final frame and is exiting.
    pub(super) fn note_final_frame(&mut self) {
        self.is_exiting = true;
    }

    /// Records that no container is created.
    pub(super) fn note_no_creation(&mut self, is_name_taken: bool) {
        self.creation = if is_name_taken { Creation::Foreign } else { Creation::Answered };
    }

    /// Leaves the container to the next process.
    pub(super) fn detach(&mut self) {
        self.creation = Creation::Foreign;
    }

    /// Records the engine's answer to the creation.
    pub(super) fn note_creation(&mut self, answer: &Result<(), EngineError>) {
        self.creation = match answer {
            // A creation has only one possible conflict: the name is taken.
            Err(EngineError::Refused { status: 409, .. }) => Creation::Foreign,
            Err(error) if error.is_outage() => Creation::Unknown,
            _ => Creation::Answered,
        };
    }
}

impl Drop for OwnedContainer {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        if self.creation == Creation::Foreign {
            self.remover.tracked().remove(&name);
            return;
        }
        let remover = self.remover.clone();
        let engine = Arc::clone(&self.remover.engine);
        let is_creation_answered = self.creation == Creation::Answered;
        let is_exiting = self.is_exiting;
        let removal = async move {
            if is_exiting {
                // The result does not matter: removal kills whatever is left.
                let _ = tokio::time::timeout(EXIT_GRACE, engine.wait(&name)).await;
            }
            remove_with_retries(engine.as_ref(), &name, is_creation_answered).await;
            if let Some(folders) = remover.folders() {
                clearing::clear(engine.as_ref(), folders, &name).await;
                remove_folder(folders, &name).await;
            }
            remover.tracked().remove(&name);
        };
        // Errors are logged in the span of the container's execution.
        self.remover.tasks.spawn(removal.in_current_span());
    }
}

/// Removes the folder of a removed container. What is left of it is removed by the next
/// reconciliation.
async fn remove_folder(folders: &RunFolders, name: &str) {
    if let Err(error) = run_folder::remove(folders, name).await {
        tracing::error!(container = name, %error, "failed to remove a container's folder");
    }
}

async fn remove_with_retries(engine: &dyn Engine, name: &str, is_creation_answered: bool) {
    let mut last = engine.remove(name).await;
    for pause in PAUSES {
        match &last {
            Ok(()) if is_creation_answered => return,
            // The engine may still carry out a creation whose answer was lost, so "no
            // such container" is final only after a while.
            Ok(()) if pause > Duration::from_secs(3) => return,
            _ => tokio::time::sleep(pause).await,
        }
        last = engine.remove(name).await;
    }
    if let Err(error) = last {
        tracing::error!(container = name, %error, "failed to remove a container");
    }
}

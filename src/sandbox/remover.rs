//! Removing containers, on a path that no cancellation can cut.
//!
//! A [`OwnedContainer`] container is removed when the value is dropped: by a task that
//! nobody awaits but [`Remover::drain`]. One stays only when it is left to the next
//! process ([`OwnedContainer::detach`]).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::engine::{Engine, EngineError};

/// Waits between the attempts to remove a container. The engine may be
/// restarting, or still busy with a creation that we gave up on.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// Containers that wait to be removed, beyond which no more are started: an engine
/// that can't keep up must not be given ever more of them.
const MAX_BEHIND: usize = 64;

/// How often it is looked whether it keeps up again.
const LOOK: Duration = Duration::from_millis(20);

/// How long a container whose PID 1 has said its last word may take to end by
/// itself. It takes milliseconds, and spares the engine a kill, which costs it
/// more than all the rest of a removal.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Removes containers in the background.
#[derive(Clone)]
pub struct Remover {
    engine: Arc<dyn Engine>,
    tasks: TaskTracker,
    /// The containers that are in use, or being removed.
    tracked: Arc<Mutex<HashSet<String>>>,
}

impl Remover {
    /// A remover with nothing to do.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        let tasks = TaskTracker::new();
        // A closed tracker still takes tasks; it can be waited for at any time.
        tasks.close();
        Self { engine, tasks, tracked: Arc::default() }
    }

    /// Waits until every container that was owned so far is removed, or given
    /// up on, which is logged and left to the next reconciliation.
    pub async fn drain(&self) {
        self.tasks.wait().await;
    }

    /// Waits until not too many containers are still to be removed.
    pub(super) async fn wait_for_backlog(&self) {
        while self.tasks.len() >= MAX_BEHIND {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether a container is in use by this process, or being removed by it.
    #[must_use]
    pub fn tracks(&self, name: &str) -> bool {
        self.tracked().contains(name)
    }

    /// Removes a container that is there and that nobody uses.
    pub fn remove(&self, name: String) {
        drop(self.own_existing(name));
    }

    /// A container that is removed when the value is dropped.
    pub(super) fn own(&self, name: String) -> OwnedContainer {
        self.tracked().insert(name.clone());
        let creation = Creation::Unknown;
        OwnedContainer { name, remover: self.clone(), creation, is_ending: false }
    }

    /// The same, of one that an earlier process has made.
    pub(super) fn own_existing(&self, name: String) -> OwnedContainer {
        let mut owned = self.own(name);
        owned.creation = Creation::Over;
        owned
    }

    fn tracked(&self) -> MutexGuard<'_, HashSet<String>> {
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A container that lives as long as this value.
pub(super) struct OwnedContainer {
    pub(super) name: String,
    remover: Remover,
    creation: Creation,
    is_ending: bool,
}

/// What became of a container's creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Creation {
    /// It may still happen, or have happened.
    Unknown,
    /// The engine has answered: once the container is gone, it stays gone.
    Over,
    /// The name was taken, or it was left to the next process: the container is
    /// somebody else's.
    NotOurs,
}

impl OwnedContainer {
    /// Notes that PID 1 has said its last word.
    pub(super) fn note_final_frame(&mut self) {
        self.is_ending = true;
    }

    /// Leaves the container to the next process.
    pub(super) fn detach(&mut self) {
        self.creation = Creation::NotOurs;
    }

    /// Notes what the engine has answered to the creation.
    pub(super) fn note_creation(&mut self, answer: &Result<(), EngineError>) {
        self.creation = match answer {
            // The only conflict that a creation can have is about the name.
            Err(EngineError::Refused { status: 409, .. }) => Creation::NotOurs,
            Err(error) if error.is_outage() => Creation::Unknown,
            _ => Creation::Over,
        };
    }
}

impl Drop for OwnedContainer {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        if self.creation == Creation::NotOurs {
            self.remover.tracked().remove(&name);
            return;
        }
        let remover = self.remover.clone();
        let engine = Arc::clone(&self.remover.engine);
        let is_over = self.creation == Creation::Over;
        let is_ending = self.is_ending;
        let removal = async move {
            if is_ending {
                // Whatever comes of it, what is left is killed.
                let _ = tokio::time::timeout(LAST_WORD, engine.wait(&name)).await;
            }
            remove(engine.as_ref(), &name, is_over).await;
            remover.tracked().remove(&name);
        };
        // What goes wrong is said of whatever the container was for.
        self.remover.tasks.spawn(removal.in_current_span());
    }
}

async fn remove(engine: &dyn Engine, name: &str, creation_is_over: bool) {
    let mut last = removed(engine, name).await;
    for pause in PAUSES {
        match &last {
            Ok(()) if creation_is_over => return,
            // The engine may still be creating what we gave up on; "there is no
            // such container" is true only a little later.
            Ok(()) if pause > Duration::from_secs(3) => return,
            _ => tokio::time::sleep(pause).await,
        }
        last = removed(engine, name).await;
    }
    if let Err(error) = last {
        tracing::error!(container = name, %error, "a container could not be removed");
    }
}

async fn removed(engine: &dyn Engine, name: &str) -> Result<(), EngineError> {
    engine.remove(name).await
}

//! Removing containers, on a path that no cancellation can cut.
//!
//! A [`Doomed`] container is removed when the value is dropped: by a task that
//! nobody awaits but [`Remover::drain`]. There is no way to keep one.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

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

/// Removes containers in the background.
#[derive(Clone)]
pub struct Remover {
    engine: Arc<dyn Engine>,
    tasks: TaskTracker,
}

impl Remover {
    /// A remover with nothing to do.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, tasks: TaskTracker::new() }
    }

    /// Waits until every container that was doomed so far is removed, or given
    /// up on, which is logged and left to the next reconciliation.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// A container that is removed when the value is dropped.
    pub(super) fn doom(&self, name: String) -> Doomed {
        Doomed { name, remover: self.clone(), creation_is_certain: false }
    }
}

/// A container that lives as long as this value.
pub(super) struct Doomed {
    pub(super) name: String,
    remover: Remover,
    creation_is_certain: bool,
}

impl Doomed {
    /// The engine has said that the container is there: once it is gone, it
    /// stays gone.
    pub(super) fn was_created(&mut self) {
        self.creation_is_certain = true;
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let engine = Arc::clone(&self.remover.engine);
        let certain = self.creation_is_certain;
        self.remover.tasks.spawn(async move { remove(engine.as_ref(), &name, certain).await });
    }
}

async fn remove(engine: &dyn Engine, name: &str, creation_is_certain: bool) {
    let mut last = removed(engine, name).await;
    for pause in PAUSES {
        match &last {
            Ok(()) if creation_is_certain => return,
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

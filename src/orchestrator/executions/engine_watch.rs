//! What is done about an engine that starts nothing: no execution begins until one
//! start succeeds, which is tried from here with a sandbox of nobody, and the reason is
//! there for whoever asks.

use std::sync::Arc;
use std::time::Duration;

use super::Executions;
use crate::domain::outcome::ErrorKind;
use crate::domain::runtime::Runtime;
use crate::orchestrator::RunError;

/// Before the first trial; doubled from one to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest time between two trials.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// A start that takes longer says that the engine is not well, before it has failed: a
/// wedged engine takes a minute to say so.
const SLOW: Duration = Duration::from_secs(15);

impl Executions {
    /// Why the engine starts nothing; `None` when it does, as far as is known.
    #[must_use]
    pub fn engine_fault(&self) -> Option<Arc<str>> {
        self.inner.engine.fault()
    }

    pub(super) fn engine_failed(&self, reason: &str) {
        self.inner.observer.engine_started(false);
        self.inner.engine.failed(reason);
    }

    pub(super) fn engine_started(&self) {
        self.inner.observer.engine_started(true);
        if self.inner.engine.started() {
            tracing::info!("the engine starts sandboxes again");
            self.inner.nudge.notify_one();
        }
    }

    /// Waits for a start, and says so when it takes too long.
    pub(super) async fn watched<T>(
        &self,
        starting: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, RunError> {
        tokio::pin!(starting);
        if let Ok(started) = tokio::time::timeout(SLOW, &mut starting).await {
            return started;
        }
        let seconds = SLOW.as_secs();
        self.engine_failed(&format!("a sandbox has not started within {seconds} s"));
        starting.await
    }

    /// Tries an engine that starts nothing until it does, until this process is to end.
    pub(super) async fn watch_engine(self) {
        loop {
            tokio::select! {
                () = self.inner.engine.next_failure() => {}
                () = self.inner.stopping.cancelled() => return,
            }
            let mut pause = FIRST_PAUSE;
            while let Some(reason) = self.engine_fault() {
                tracing::warn!(%reason, "no execution begins until the engine starts a sandbox");
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                    () = self.inner.stopping.cancelled() => return,
                }
                self.try_engine().await;
            }
        }
    }

    async fn try_engine(&self) {
        let image = self.inner.environments.known_of_any(&Runtime::ALL);
        match self.inner.runner.try_start(image, &self.inner.stopping).await {
            Err(error) if error.outcome().error_kind == Some(ErrorKind::EngineUnavailable) => {
                self.engine_failed(&error.public_message());
            }
            // What else can be wrong is the image's fault, and an execution's to say.
            Ok(()) | Err(_) => self.engine_started(),
        }
    }
}

//! The script's run, from the Go frame to its ending.

use futures::FutureExt;

use super::conversation::ProtocolError;
use super::load::Loaded;
use super::running::Running;
use super::sink::{Cancel, ContainerGuard, RunResult, RunSignals, Sink};
use super::{Sandbox, SandboxError};
use crate::domain::outcome::Ending;

impl Loaded {
    /// Runs the script and returns its ending, or returns early when it is detached. If
    /// this future is dropped, the container is removed in the background.
    pub async fn run(mut self, sink: &mut dyn Sink, signals: RunSignals<'_>) -> RunResult {
        match self.ending_before_start(signals.cancel).await {
            Some(ending) => {
                let container = ContainerGuard::new(self.sandbox.container);
                RunResult { ending: ending.map(Some), container }
            }
            None => self.into_running().follow(sink, signals).await,
        }
    }

    /// Runs the script and returns its ending. The container is removed in the background
    /// then, and also when this future is dropped.
    ///
    /// # Errors
    /// See [`RunResult::ending`].
    pub async fn run_to_end(
        mut self,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        match self.ending_before_start(cancel).await {
            Some(ending) => ending,
            None => self.into_running().follow_to_end(sink, cancel).await,
        }
    }

    /// Ending of a script that is not to be started any more; `None` if it can start.
    async fn ending_before_start(
        &mut self,
        cancel: &Cancel,
    ) -> Option<Result<Ending, SandboxError>> {
        if let Some(ending) = self.ending.take() {
            return Some(Ok(ending));
        }
        if cancel.is_cancelled() {
            return Some(Ok(Ending::RemovedOnCancel));
        }
        // The container may have exited while it waited.
        let frame = self.sandbox.frames.next().now_or_never()?;
        Some(match frame {
            Ok(Some(frame)) => Err(ProtocolError::Unexpected(frame.kind).into()),
            Ok(None) => self.sandbox.exited_before_start().await,
            Err(error) => Err(error),
        })
    }

    /// Hands over to [`Running`]: from here on the script may have started.
    fn into_running(self) -> Running {
        let Self { sandbox, conversation, timeout, limits, .. } = self;
        let Sandbox { engine, input, frames, container, .. } = sandbox;
        Running::attached(engine, container, conversation, frames, input, timeout, limits)
    }
}

//! The script's run, from the Go frame to its ending.

use std::io;

use futures::FutureExt;
use gantry_init::message::ArtifactBegin;
use tokio_util::sync::CancellationToken;

use super::conversation::ProtocolError;
use super::load::Loaded;
use super::remover::OwnedContainer;
use super::running::Running;
use super::{Sandbox, SandboxError};
use crate::domain::outcome::Ending;

/// Cancels an execution.
pub type Cancel = CancellationToken;

/// Signals to a running script.
#[derive(Debug, Clone, Copy)]
pub struct RunSignals<'a> {
    /// Stops the script.
    pub cancel: &'a Cancel,
    /// Stops following the script, which runs on for the next process to adopt.
    pub detach: &'a Cancel,
}

/// Result of a script's run.
pub struct RunResult {
    /// Ending of the script; `None` when it was detached and runs on.
    ///
    /// A [`SandboxError`] is the sandbox's failure, not the script's. If it is the
    /// engine's error or [`SandboxError::NotReady`], nothing of the script has run.
    pub ending: Result<Option<Ending>, SandboxError>,
    /// Container of the script.
    pub container: ContainerGuard,
}

/// Container of an ended script, removed when this is dropped. Until then all output can
/// be read from it again, so it is kept until that is stored. For a detached script it
/// does nothing.
pub struct ContainerGuard {
    container: OwnedContainer,
}

impl ContainerGuard {
    pub(super) fn new(container: OwnedContainer) -> Self {
        Self { container }
    }

    /// Leaves the container to the next process, which reads all output again.
    pub fn detach(mut self) {
        self.container.detach();
    }
}

/// Receiver of a script's output. Its methods must not block: meanwhile nothing is read
/// from the container.
pub trait Sink: Send {
    /// The script's process exists.
    fn started(&mut self) {}

    /// Bytes of stdout.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Bytes of stderr.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Bytes of the declared output file.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn output_file(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// An artifact begins. Its name is a relative path without `..`.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn artifact_begin(&mut self, artifact: &ArtifactBegin) -> io::Result<()>;

    /// Bytes of the current artifact.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn artifact_data(&mut self, bytes: &[u8]) -> io::Result<()>;
}

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
            return Some(Ok(Ending::Withdrawn));
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

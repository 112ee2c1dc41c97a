//! The script's run, from the word to start it to its end, told by whoever listens.

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

/// Ends an execution before its time.
pub type Cancel = CancellationToken;

/// What others want of a script that runs.
#[derive(Debug, Clone, Copy)]
pub struct RunSignals<'a> {
    /// That it ends.
    pub cancel: &'a Cancel,
    /// That it runs on, and nobody listens any more: the next process will.
    pub detach: &'a Cancel,
}

/// What has become of a script's run.
pub struct RunResult {
    /// How it ended; `None` when it was left and runs on.
    ///
    /// It is the sandbox, not the script, that is at fault in a [`SandboxError`].
    /// Nothing of the script has run when that is the engine's, or the sandbox was
    /// not ready.
    pub ending: Result<Option<Ending>, SandboxError>,
    /// Its container.
    pub container: ContainerGuard,
}

/// The container of a script that has ended. It is removed when this is dropped; until
/// then all that the script left can be read from it once more, so whoever stores that
/// keeps it until it is stored. Of a script that was left it is nothing.
pub struct ContainerGuard {
    container: OwnedContainer,
}

impl ContainerGuard {
    pub(super) fn new(container: OwnedContainer) -> Self {
        Self { container }
    }

    /// Leaves the container to the next process, which reads all of it once more.
    pub fn detach(mut self) {
        self.container.detach();
    }
}

/// Takes what a script leaves, as it comes. Its methods must not block: while
/// they run nobody reads from the container.
pub trait Sink: Send {
    /// The script's process exists.
    fn started(&mut self) {}

    /// A piece of stdout.
    ///
    /// # Errors
    /// When it can't be kept; the execution ends then.
    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// A piece of stderr.
    ///
    /// # Errors
    /// When it can't be kept; the execution ends then.
    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// A piece of the declared output file.
    ///
    /// # Errors
    /// When it can't be kept; the execution ends then.
    fn output_file(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// An artifact begins. Its name is a relative path without `..`.
    ///
    /// # Errors
    /// When it can't be kept; the execution ends then.
    fn artifact_begin(&mut self, artifact: &ArtifactBegin) -> io::Result<()>;

    /// A piece of the artifact that was begun last.
    ///
    /// # Errors
    /// When it can't be kept; the execution ends then.
    fn artifact_data(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Loaded {
    /// Runs the script and answers when its end is known, or when it is to be left.
    /// When this future is dropped, the container is removed in the background.
    pub async fn run(mut self, sink: &mut dyn Sink, signals: RunSignals<'_>) -> RunResult {
        match self.ends_before_it_starts(signals.cancel).await {
            Some(ending) => {
                let container = ContainerGuard::new(self.sandbox.container);
                RunResult { ending: ending.map(Some), container }
            }
            None => self.start().follow(sink, signals).await,
        }
    }

    /// Runs the script and answers when its end is known. The container is removed in
    /// the background then, and also when this future is dropped.
    ///
    /// # Errors
    /// As [`RunResult::ending`] says.
    pub async fn run_to_end(
        mut self,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        match self.ends_before_it_starts(cancel).await {
            Some(ending) => ending,
            None => self.start().follow_to_end(sink, cancel).await,
        }
    }

    /// How it has ended, if it has, and nothing is to be started.
    async fn ends_before_it_starts(
        &mut self,
        cancel: &Cancel,
    ) -> Option<Result<Ending, SandboxError>> {
        if let Some(ending) = self.ending.take() {
            return Some(Ok(ending));
        }
        if cancel.is_cancelled() {
            return Some(Ok(Ending::Withdrawn));
        }
        // It may have ended while it waited.
        let frame = self.sandbox.frames.next().now_or_never()?;
        Some(match frame {
            Ok(Some(frame)) => Err(ProtocolError::Unexpected(frame.kind).into()),
            Ok(None) => self.sandbox.ended_unused().await,
            Err(error) => Err(error),
        })
    }

    /// From here on the script may have started, even if nothing is heard of it.
    fn start(self) -> Running {
        let Self { sandbox, conversation, timeout, limits, .. } = self;
        let Sandbox { engine, input, frames, container, .. } = sandbox;
        Running::attached(engine, container, conversation, frames, input, timeout, limits)
    }
}

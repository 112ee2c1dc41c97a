//! The script's run, from the word to start it to its end.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use futures::FutureExt;
use gantry_init::frame::Kind;
use gantry_init::message::ArtifactBegin;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::conversation::{Event, Violation};
use super::load::{Loaded, send_frame};
use super::{Sandbox, SandboxError};
use crate::domain::outcome::Ending;

/// How long PID 1 may take for all that is not the script: killing what is left,
/// sending artifacts. Beyond that it is hung, or the engine is.
const SLACK: Duration = Duration::from_secs(15);

/// Ends an execution before its time.
pub type Cancel = CancellationToken;

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
    /// Runs the script and answers when its end is known. The container is
    /// removed in the background, also when this future is dropped.
    ///
    /// # Errors
    /// [`SandboxError`] when the sandbox, not the script, is at fault. Nothing of
    /// the script has run when it is the engine's, or the sandbox was not ready.
    pub async fn run(
        mut self,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        if let Some(ending) = self.ending.take() {
            return Ok(ending);
        }
        if cancel.is_cancelled() {
            return Ok(Ending::Withdrawn);
        }
        // It may have ended while it waited.
        if let Some(frame) = self.sandbox.frames.next().now_or_never() {
            return match frame? {
                Some(frame) => Err(Violation::Unexpected(frame.kind).into()),
                None => self.sandbox.ended_unused().await,
            };
        }
        // From here on the script may have started, even if nothing is heard of it.
        match self.converse(sink, cancel).await {
            Ok(Some(ending)) => {
                if matches!(ending, Ending::Reported(_) | Ending::Refused(_)) {
                    self.sandbox.container.note_last_word();
                }
                Ok(ending)
            }
            Ok(None) => Ok(self.vanished().await),
            // An engine's fault alone would mean that it can be run once more,
            // and what has started can't.
            Err(SandboxError::Engine(error)) => {
                tracing::warn!(%error, "the connection to a running script broke");
                Ok(self.vanished().await)
            }
            Err(error) => Err(error),
        }
    }

    /// Has the script started and listens until its end is known; `None` when the
    /// output ended before.
    async fn converse(
        &mut self,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Option<Ending>, SandboxError> {
        let Self { sandbox, conversation, timeout, grace, .. } = self;
        let Sandbox { input, frames, .. } = sandbox;
        let deadline = Instant::now() + timeout.saturating_add(*grace).saturating_add(SLACK);
        let send = async {
            // Failed writes are not looked at, as in `load`.
            let _ = send_frame(input, Kind::Go, &[]).await;
            cancel.cancelled().await;
            let _ = send_frame(input, Kind::Cancel, &[]).await;
            std::future::pending::<Infallible>().await
        };
        // PID 1 has the grace period to end the script, and some time more to say
        // so. If it is hung, even the frames may not get through.
        let give_up = async {
            cancel.cancelled().await;
            tokio::time::sleep(*grace + SLACK).await;
        };
        tokio::pin!(send, give_up);
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame?,
                never = &mut send => match never {},
                () = &mut give_up => return Ok(Some(Ending::Withdrawn)),
                () = tokio::time::sleep_until(deadline) => return Ok(Some(Ending::Overdue)),
            };
            let Some(frame) = frame else {
                return Ok(None);
            };
            match conversation.accept(frame)? {
                Event::Exit(exit) => return Ok(Some(Ending::Reported(exit))),
                Event::Refused(refused) => return Ok(Some(Ending::Refused(refused))),
                event => deliver(event, sink).map_err(SandboxError::Sink)?,
            }
        }
    }

    async fn vanished(&mut self) -> Ending {
        let (exit_code, out_of_memory) = self.sandbox.find_out().await;
        Ending::Vanished { exit_code, out_of_memory }
    }
}

impl Sandbox {
    /// Asks the engine what became of a container that ended without a word: its
    /// exit code, and whether its memory was used up.
    pub(super) async fn find_out(&mut self) -> (Option<i64>, bool) {
        let name = &self.container.name;
        let waited = self.engine.wait(name).await;
        let state = self.engine.inspect(name).await.ok();
        let exit_code = state.as_ref().and_then(|it| it.exit_code).or(waited.ok());
        (exit_code, state.is_some_and(|it| it.out_of_memory))
    }
}

fn deliver(event: Event, sink: &mut dyn Sink) -> io::Result<()> {
    match event {
        Event::Started => {
            sink.started();
            Ok(())
        }
        Event::Stdout(bytes) => sink.stdout(&bytes),
        Event::Stderr(bytes) => sink.stderr(&bytes),
        Event::OutputFile(bytes) => sink.output_file(&bytes),
        Event::ArtifactBegin(artifact) => sink.artifact_begin(&artifact),
        Event::ArtifactData(bytes) => sink.artifact_data(&bytes),
        Event::Loaded | Event::Exit(_) | Event::Refused(_) => Ok(()),
    }
}

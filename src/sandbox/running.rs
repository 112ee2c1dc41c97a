//! A script that may have started, until its end is known.
//!
//! ```text
//! Loaded ─Go─▶ attached ──Exit──────────────────────────────▶ ended
//!                 │ the connection broke, or its time is up     ▲
//!                 ▼                                             │
//! adopted ───▶ replayed: the engine's log from its first byte ──┤
//!                 │ TERM, KILL, and the log once more           │
//!                 └──────────── whatever the log says, or Vanished, Overdue, Withdrawn
//! ```
//!
//! Who listens first is attached to the container, and hears everything at once. When
//! that breaks, and when another process has started the script, the same bytes are
//! read from the engine's log ([`replay`](super::replay)): what was heard before is
//! skipped, and the conversation goes on where it was.
//!
//! Nothing is concluded from silence alone: before an execution is said to have been
//! lost, overdue or withdrawn, its log is read to the end.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gantry_init::frame::Kind;
use gantry_init::message::Stopped;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::conversation::{Conversation, Event};
use super::load::send_frame;
use super::remover::OwnedContainer;
use super::start::Frames;
use super::{
    Cancel, ContainerGuard, OutputLimits, Remover, RunResult, RunSignals, SandboxError, Sink,
};
use crate::domain::outcome::Ending;
use crate::engine::Engine;

/// How long PID 1 may take for all that is not the script: killing what is left,
/// sending artifacts. Beyond that it is hung, or the engine is.
const SLACK: Duration = Duration::from_secs(15);

/// PID 1's stdin.
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A container whose script may have started.
pub struct Running {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) container: OwnedContainer,
    pub(super) conversation: Conversation,
    pub(super) frames: Frames,
    /// The way in, while somebody is attached.
    input: Option<Input>,
    pub(super) limits: OutputLimits,
    /// When the script will have ended, or PID 1 is hung.
    pub(super) deadline: Instant,
}

/// Why nothing more is heard for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The output is over.
    Over,
    /// The connection to it broke.
    Broken,
    /// It has not been heard to start in time, and nobody is there any more who could
    /// have it started.
    Unstarted,
    /// All of its time is up.
    Overdue,
    /// It was cancelled, and the time that it had to obey is up.
    Disobedient,
}

/// How long is listened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// In any case.
    pub(super) until: Instant,
    /// To what was not heard to start; `None` is as long.
    pub(super) start_by: Option<Instant>,
}

/// What listening has come to.
pub(super) enum ReadOutcome {
    Ended(Ending),
    StreamEnd(StreamEnd),
}

impl Running {
    pub(super) fn attached(
        engine: Arc<dyn Engine>,
        container: OwnedContainer,
        conversation: Conversation,
        frames: Frames,
        input: Input,
        timeout: Duration,
        limits: OutputLimits,
    ) -> Self {
        let deadline = Instant::now() + timeout.saturating_add(limits.grace).saturating_add(SLACK);
        let input = Some(input);
        Self { engine, container, conversation, frames, input, limits, deadline }
    }

    /// The container of an execution that an earlier process has started, with these
    /// limits. `time_left` is what its script still has, its time to obey included.
    #[must_use]
    pub fn adopt(
        engine: Arc<dyn Engine>,
        remover: &Remover,
        name: String,
        limits: OutputLimits,
        time_left: Duration,
    ) -> Self {
        Self {
            engine,
            container: remover.own_existing(name),
            conversation: Conversation::from_the_beginning(&limits),
            frames: Frames::unheard(),
            input: None,
            limits,
            deadline: Instant::now() + time_left.saturating_add(SLACK),
        }
    }

    /// The name of its container.
    pub(super) fn name(&self) -> &str {
        &self.container.name
    }

    /// Answers when the end of the script is known, or when it is to be left. When
    /// this future is dropped, the container is removed in the background.
    pub async fn follow(mut self, sink: &mut dyn Sink, signals: RunSignals<'_>) -> RunResult {
        let ending = tokio::select! {
            biased;
            // What was heard and is not stored is read again by the next process.
            () = signals.detach.cancelled() => Ok(None),
            ending = self.find_ending(sink, signals.cancel) => ending.map(Some),
        };
        if matches!(ending, Ok(None)) {
            self.container.detach();
        }
        RunResult { ending, container: ContainerGuard::new(self.container) }
    }

    /// The same for those who never leave it, and store nothing.
    pub(super) async fn follow_to_end(
        mut self,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        self.find_ending(sink, cancel).await
    }

    async fn find_ending(
        &mut self,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        let heard = match self.input.take() {
            Some(input) => self.hear_attached(input, sink, cancel).await?,
            None => ReadOutcome::StreamEnd(StreamEnd::Broken),
        };
        let ending = match heard {
            ReadOutcome::Ended(ending) => ending,
            ReadOutcome::StreamEnd(silence) => {
                self.find_ending_in_log(silence, sink, cancel).await?
            }
        };
        if matches!(ending, Ending::Reported(_) | Ending::Refused(_)) {
            self.container.note_final_frame();
        }
        Ok(match ending {
            Ending::Reported(exit)
                if exit.stopped == Some(Stopped::Cancelled) && !cancel.is_cancelled() =>
            {
                Ending::StoppedFromOutside(exit)
            }
            other => other,
        })
    }

    /// Has the script started and listens to the attached container.
    async fn hear_attached(
        &mut self,
        mut input: Input,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<ReadOutcome, SandboxError> {
        let say = async {
            // Failed writes are not looked at, as in `load`.
            let _ = send_frame(&mut input, Kind::Go, &[]).await;
            cancel.cancelled().await;
            let _ = send_frame(&mut input, Kind::Cancel, &[]).await;
            std::future::pending::<Infallible>().await
        };
        let times = Times { until: self.deadline, start_by: None };
        self.hear(say, sink, cancel, times).await
    }

    /// Listens to what comes, while `say` says what is to be said.
    pub(super) async fn hear(
        &mut self,
        say: impl Future<Output = Infallible>,
        sink: &mut dyn Sink,
        cancel: &Cancel,
        times: Times,
    ) -> Result<ReadOutcome, SandboxError> {
        let disobeys = disobeys(cancel, self.limits.grace);
        tokio::pin!(say, disobeys);
        loop {
            let frame = tokio::select! {
                frame = self.frames.next() => frame,
                never = &mut say => match never {},
                () = &mut disobeys => return Ok(ReadOutcome::StreamEnd(StreamEnd::Disobedient)),
                () = tokio::time::sleep_until(times.until) => {
                    return Ok(ReadOutcome::StreamEnd(StreamEnd::Overdue));
                }
                () = past(times.start_by), if !self.conversation.has_started() => {
                    return Ok(ReadOutcome::StreamEnd(StreamEnd::Unstarted));
                }
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(ReadOutcome::StreamEnd(StreamEnd::Over)),
                Err(SandboxError::Engine(error)) => {
                    tracing::warn!(%error, "the connection to a running script broke");
                    return Ok(ReadOutcome::StreamEnd(StreamEnd::Broken));
                }
                Err(error) => return Err(error),
            };
            match self.conversation.accept(frame)? {
                Event::Exit(exit) => return Ok(ReadOutcome::Ended(Ending::Reported(exit))),
                Event::Refused(refused) => return Ok(ReadOutcome::Ended(Ending::Refused(refused))),
                event => deliver(event, sink).map_err(SandboxError::Sink)?,
            }
        }
    }
}

/// Waits for a time, if there is one.
async fn past(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits until a script that was told to end should have. PID 1 has the grace period
/// for it, and some time more to say so.
async fn disobeys(cancel: &Cancel, grace: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(grace + SLACK).await;
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
        Event::Up | Event::Loaded | Event::Exit(_) | Event::Refused(_) => Ok(()),
    }
}

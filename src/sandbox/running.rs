//! A script that may have started, until its ending is known.
//!
//! ```text
//! Loaded ─Go─▶ attached ──Exit──────────────────────────────▶ ended
//!                 │ connection broken, or deadline passed     ▲
//!                 ▼                                             │
//! adopted ───▶ replayed: the engine's log from its first byte ──┤
//!                 │ TERM, KILL, and the log again               │
//!                 └──────────── the log's final frame, or Vanished, Overdue, RemovedOnCancel
//! ```
//!
//! The process that starts a script is attached to its container. When that connection
//! breaks, or when another process started the script, the same bytes are read from the
//! engine's log ([`replay`](super::replay)); bytes that were read before are skipped, and
//! the conversation continues.
//!
//! Silence alone proves nothing: before an execution counts as lost or overdue, or
//! is removed on a cancel, its log is read to the end.

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

/// PID 1's stdin.
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A container whose script may have started.
pub struct Running {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) container: OwnedContainer,
    pub(super) conversation: Conversation,
    pub(super) frames: Frames,
    /// PID 1's stdin, while this process is attached.
    input: Option<Input>,
    pub(super) limits: OutputLimits,
    /// Time at which the script has ended, unless PID 1 hangs.
    pub(super) deadline: Instant,
}

/// Reason why no more frames are read for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The output has ended.
    Finished,
    /// The connection to the engine broke.
    Disconnected,
    /// No Started frame came in time, and no process can send Go any more.
    NotStarted,
    /// The script's deadline has passed.
    DeadlinePassed,
    /// The script was cancelled and has not ended within its grace period.
    CancelIgnored,
}

/// Deadlines for reading frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadDeadlines {
    /// End of reading.
    pub(super) until: Instant,
    /// End of reading while there was no Started frame; `None` for no such limit.
    pub(super) start_by: Option<Instant>,
}

/// Outcome of reading the frame stream.
pub(super) enum ReadOutcome {
    Ended(Box<Ending>),
    Stopped(StreamEnd),
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
        let allowed = timeout.saturating_add(limits.grace).saturating_add(limits.init_overhead());
        let deadline = Instant::now() + allowed;
        let input = Some(input);
        Self { engine, container, conversation, frames, input, limits, deadline }
    }

    /// Adopts the container of an execution that an earlier process started with these
    /// limits. `time_left` is the rest of the script's time, its grace period included.
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
            conversation: Conversation::from_hello(&limits),
            frames: Frames::detached(),
            input: None,
            limits,
            deadline: Instant::now() + time_left.saturating_add(limits.init_overhead()),
        }
    }

    /// Name of its container.
    pub(super) fn name(&self) -> &str {
        &self.container.name
    }

    /// Reads the output until the script's ending is known or the script is detached. If
    /// this future is dropped, the container is removed in the background.
    pub async fn follow(mut self, sink: &mut dyn Sink, signals: RunSignals<'_>) -> RunResult {
        let ending = tokio::select! {
            biased;
            // The next process reads again what is not stored.
            () = signals.detach.cancelled() => Ok(None),
            ending = self.find_ending(sink, signals.cancel) => ending.map(Some),
        };
        if matches!(ending, Ok(None)) {
            self.container.detach();
        }
        RunResult { ending, container: ContainerGuard::new(self.container) }
    }

    /// Reads the output until the script's ending is known, without a way to detach.
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
        let outcome = match self.input.take() {
            Some(input) => self.read_attached(input, sink, cancel).await?,
            None => ReadOutcome::Stopped(StreamEnd::Disconnected),
        };
        let ending = match outcome {
            ReadOutcome::Ended(ending) => *ending,
            ReadOutcome::Stopped(stream_end) => {
                self.find_ending_in_log(stream_end, sink, cancel).await?
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

    /// Sends Go and reads the attached output.
    async fn read_attached(
        &mut self,
        mut input: Input,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<ReadOutcome, SandboxError> {
        let send = async {
            // Write errors are ignored, as in `load`.
            let _ = send_frame(&mut input, Kind::Go, &[]).await;
            cancel.cancelled().await;
            let _ = send_frame(&mut input, Kind::Cancel, &[]).await;
            std::future::pending::<Infallible>().await
        };
        let deadlines = ReadDeadlines { until: self.deadline, start_by: None };
        self.read_frames(send, sink, cancel, deadlines).await
    }

    /// Reads frames while `send` writes to the container.
    pub(super) async fn read_frames(
        &mut self,
        send: impl Future<Output = Infallible>,
        sink: &mut dyn Sink,
        cancel: &Cancel,
        deadlines: ReadDeadlines,
    ) -> Result<ReadOutcome, SandboxError> {
        let cancel_ignored = cancel_ignored(cancel, self.limits);
        tokio::pin!(send, cancel_ignored);
        loop {
            let frame = tokio::select! {
                frame = self.frames.next() => frame,
                never = &mut send => match never {},
                () = &mut cancel_ignored => {
                    return Ok(ReadOutcome::Stopped(StreamEnd::CancelIgnored));
                }
                () = tokio::time::sleep_until(deadlines.until) => {
                    return Ok(ReadOutcome::Stopped(StreamEnd::DeadlinePassed));
                }
                () = reached(deadlines.start_by), if !self.conversation.has_started() => {
                    return Ok(ReadOutcome::Stopped(StreamEnd::NotStarted));
                }
            };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(ReadOutcome::Stopped(StreamEnd::Finished)),
                Err(SandboxError::Engine(error)) => {
                    let container = self.name();
                    tracing::warn!(%error, container, "lost the connection to a sandbox");
                    return Ok(ReadOutcome::Stopped(StreamEnd::Disconnected));
                }
                Err(error) => return Err(error),
            };
            match self.conversation.accept(frame)? {
                Event::Exit(exit) => {
                    return Ok(ReadOutcome::Ended(Box::new(Ending::Reported(exit))));
                }
                Event::Refused(refused) => {
                    return Ok(ReadOutcome::Ended(Box::new(Ending::Refused(refused))));
                }
                event => write_event(event, sink).map_err(SandboxError::Sink)?,
            }
        }
    }
}

/// Waits until a time; forever if there is none.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Waits until a cancelled script should have ended: PID 1 has the grace period, and time
/// for its own work.
async fn cancel_ignored(cancel: &Cancel, limits: OutputLimits) {
    cancel.cancelled().await;
    tokio::time::sleep(limits.grace + limits.init_overhead()).await;
}

fn write_event(event: Event, sink: &mut dyn Sink) -> io::Result<()> {
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
        Event::LeftFile(file) => {
            sink.left_file(file);
            Ok(())
        }
        Event::DiskUse(bytes) => {
            sink.disk_use(bytes);
            Ok(())
        }
        Event::Up | Event::Loaded | Event::Exit(_) | Event::Refused(_) => Ok(()),
    }
}

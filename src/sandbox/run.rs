//! One request and its answer.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gantry_init::frame::{Header, Kind, MAX_REQUEST_JSON, MAX_REQUEST_PAYLOAD};
use gantry_init::message::{ArtifactBegin, Request};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::conversation::{Conversation, Event};
use super::{Sandbox, SandboxError};
use crate::domain::outcome::Ending;

/// How long PID 1 may take for all that is not the script: receiving the
/// request, killing what is left, sending artifacts. Beyond that it is hung, or
/// the engine is.
const SLACK: Duration = Duration::from_secs(15);

/// Ends an execution before its time.
pub type Cancel = CancellationToken;

/// What a sandbox is to do.
pub struct Order<'a> {
    /// The request's head.
    pub request: &'a Request,
    /// The script.
    pub script: &'a [u8],
    /// What it reads from stdin.
    pub stdin: &'a [u8],
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

impl Sandbox {
    /// Runs the script and answers when its end is known. The container is
    /// removed in the background, also when this future is dropped.
    ///
    /// # Errors
    /// [`SandboxError`] when the sandbox, not the script, is at fault.
    pub async fn run(
        mut self,
        order: &Order<'_>,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        let request = order.request;
        let head = serde_json::to_vec(request).map_err(|error| SandboxError::Sink(error.into()))?;
        if head.len() > MAX_REQUEST_JSON {
            return Err(SandboxError::RequestTooLarge(head.len()));
        }
        let mut conversation = Conversation::new(request);
        let time = Duration::from_millis(request.timeout_ms.saturating_add(request.grace_ms));
        let deadline = Instant::now() + time + SLACK;
        let outgoing = Outgoing { order, head, sent: AtomicBool::new(false) };
        let ended = self.converse(&outgoing, &mut conversation, sink, cancel, deadline).await;
        // A request that PID 1 may have whole may have started the script, even
        // if nothing was heard of it.
        let started = conversation.has_started() || outgoing.sent.load(Ordering::Relaxed);
        match ended {
            Ok(Some(ending)) => {
                if matches!(ending, Ending::Reported(_) | Ending::Refused(_)) {
                    self.container.note_last_word();
                }
                Ok(ending)
            }
            Ok(None) => Ok(self.find_out(started).await),
            // An engine's fault alone would mean that it can be run once more,
            // and what has started can't.
            Err(SandboxError::Engine(error)) if started => {
                tracing::warn!(%error, "the connection to a running script broke");
                Ok(self.find_out(started).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Talks until the end is known; `None` when the output ended before.
    async fn converse(
        &mut self,
        outgoing: &Outgoing<'_>,
        conversation: &mut Conversation,
        sink: &mut dyn Sink,
        cancel: &Cancel,
        deadline: Instant,
    ) -> Result<Option<Ending>, SandboxError> {
        let input = &mut self.input;
        let send = async {
            tokio::select! {
                // A failed write is not looked at: whatever broke the connection
                // shows in the output, where more is known of it.
                _ = outgoing.send(input) => cancel.cancelled().await,
                // The request is not complete, so nothing has started.
                () = cancel.cancelled() => return,
            }
            // PID 1 has the grace period to end the script, and some time more
            // to say so. If it is hung, even the frame may not get through.
            let grace = Duration::from_millis(outgoing.order.request.grace_ms);
            let answer = async {
                let _ = send_frame(input, Kind::Cancel, &[]).await;
                std::future::pending::<()>().await;
            };
            let _ = tokio::time::timeout(grace + SLACK, answer).await;
        };
        tokio::pin!(send);
        loop {
            let frame = tokio::select! {
                frame = self.frames.next() => frame?,
                () = &mut send => return Ok(Some(Ending::Withdrawn)),
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

    /// Asks the engine what became of a container that ended without a word.
    async fn find_out(self, started: bool) -> Ending {
        let name = &self.container.name;
        let waited = self.engine.wait(name).await;
        let state = self.engine.inspect(name).await.ok();
        Ending::Vanished {
            started,
            exit_code: state.as_ref().and_then(|it| it.exit_code).or(waited.ok()),
            out_of_memory: state.is_some_and(|it| it.out_of_memory),
        }
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
        Event::Exit(_) | Event::Refused(_) => Ok(()),
    }
}

/// A request on its way.
struct Outgoing<'a> {
    order: &'a Order<'a>,
    /// The request's head, as JSON.
    head: Vec<u8>,
    /// True from when its last frame is begun.
    sent: AtomicBool,
}

impl Outgoing<'_> {
    async fn send(&self, input: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let Order { script, stdin, .. } = self.order;
        let mut frames = vec![(Kind::Request, self.head.as_slice())];
        frames.extend(script.chunks(MAX_REQUEST_PAYLOAD).map(|piece| (Kind::Script, piece)));
        frames.extend(stdin.chunks(MAX_REQUEST_PAYLOAD).map(|piece| (Kind::Stdin, piece)));
        for (number, (kind, payload)) in (1..).zip(&frames) {
            self.sent.store(number == frames.len(), Ordering::Relaxed);
            send_frame(input, *kind, payload).await?;
        }
        Ok(())
    }
}

async fn send_frame(
    input: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    payload: &[u8],
) -> io::Result<()> {
    let header = Header::encode(kind, payload.len()).map_err(io::Error::other)?;
    input.write_all(&header).await?;
    input.write_all(payload).await?;
    input.flush().await
}

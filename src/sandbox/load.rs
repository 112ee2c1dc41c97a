//! Loading a request into a waiting sandbox. The script does not run yet.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use gantry_init::frame::{Header, Kind, MAX_REQUEST_JSON, MAX_REQUEST_PAYLOAD};
use gantry_init::message::Request;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::conversation::{Conversation, Event, ProtocolError};
use super::{Cancel, OutputLimits, Sandbox, SandboxError};
use crate::domain::outcome::Ending;
use crate::engine::Engine;

/// Time for PID 1 to receive a request. The largest one, with 64 MiB of stdin, takes
/// about a second on an idle engine.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Script, its input and its settings, to be run in a sandbox.
pub struct LaunchRequest<'a> {
    /// Head of the request: settings and sizes.
    pub head: &'a Request,
    /// Content of the script.
    pub script: &'a [u8],
    /// Bytes that the script reads from stdin.
    pub stdin: &'a [u8],
}

/// A sandbox that has its whole request and waits for the Go frame. Nothing of the script
/// has run.
pub struct Loaded {
    pub(super) sandbox: Sandbox,
    pub(super) conversation: Conversation,
    /// Longest run of the script.
    pub(super) timeout: Duration,
    pub(super) limits: OutputLimits,
    /// Ending that is known already: refused, cancelled, or out of memory.
    pub(super) ending: Option<Ending>,
}

impl Loaded {
    /// Leaves its container behind. PID 1 exits by itself, because no Go frame comes.
    pub fn detach(mut self) {
        self.sandbox.container.detach();
    }
}

impl Sandbox {
    /// Sends PID 1 the request and waits until it has received all of it. If the request
    /// is refused or cancelled, [`Loaded::run`] returns that ending.
    ///
    /// # Errors
    /// [`SandboxError`]; nothing of the script has run then.
    pub async fn load(
        mut self,
        launch: &LaunchRequest<'_>,
        cancel: &Cancel,
    ) -> Result<Loaded, SandboxError> {
        let request = launch.head;
        let head = serde_json::to_vec(request).map_err(|error| SandboxError::Sink(error.into()))?;
        if head.len() > MAX_REQUEST_JSON {
            return Err(SandboxError::RequestTooLarge(head.len()));
        }
        let limits = OutputLimits::from(request);
        let mut conversation = Conversation::new(&limits);
        let send_until_loaded = self.send_until_loaded(launch, &head, &mut conversation);
        let ending = tokio::select! {
            biased;
            () = cancel.cancelled() => Some(Ending::RemovedOnCancel),
            answer = tokio::time::timeout(LOAD_TIMEOUT, send_until_loaded) => match answer {
                Ok(ending) => ending?,
                Err(_) => return Err(self.load_timed_out()),
            },
        };
        Ok(Loaded {
            sandbox: self,
            conversation,
            timeout: Duration::from_millis(request.timeout_ms),
            limits,
            ending,
        })
    }

    /// Sends the request; returns `None` once it is loaded, or the ending.
    async fn send_until_loaded(
        &mut self,
        launch: &LaunchRequest<'_>,
        head: &[u8],
        conversation: &mut Conversation,
    ) -> Result<Option<Ending>, SandboxError> {
        let send = async {
            // A write's error is ignored: the output shows a broken connection, with more
            // detail.
            let _ = send_request(&mut self.input, launch, head).await;
            std::future::pending::<Infallible>().await
        };
        let frame = tokio::select! {
            frame = self.frames.next() => frame?,
            never = send => match never {},
        };
        let Some(frame) = frame else {
            return self.exited_before_start().await.map(Some);
        };
        let kind = frame.kind;
        match conversation.accept(frame)? {
            Event::Loaded => Ok(None),
            Event::Refused(refused) => {
                self.container.note_final_frame();
                Ok(Some(Ending::Refused(refused)))
            }
            _ => Err(ProtocolError::Unexpected(kind).into()),
        }
    }

    /// Result for a container that exited before its script started. If its memory was
    /// too small for the request, that is an ending; any other exit is an error, and
    /// another sandbox may do better.
    pub(super) async fn exited_before_start(&mut self) -> Result<Ending, SandboxError> {
        let (exit_code, out_of_memory) = exit_state(&*self.engine, &self.container.name).await;
        if out_of_memory {
            return Ok(Ending::Vanished { exit_code, out_of_memory });
        }
        let code = exit_code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
        let stderr_suffix = self.frames.stderr_suffix();
        Err(SandboxError::NotReady(format!(
            "the container exited before its script started (exit code {code}){stderr_suffix}"
        )))
    }

    fn load_timed_out(&self) -> SandboxError {
        let seconds = LOAD_TIMEOUT.as_secs();
        let stderr_suffix = self.frames.stderr_suffix();
        SandboxError::NotReady(format!(
            "PID 1 did not accept the request within {seconds} s{stderr_suffix}"
        ))
    }
}

/// Exit code of an exited container, and true if it ran out of memory.
async fn exit_state(engine: &dyn Engine, name: &str) -> (Option<i64>, bool) {
    let waited = engine.wait(name).await;
    let state = engine.inspect(name).await.ok();
    let exit_code = state.as_ref().and_then(|it| it.exit_code).or(waited.ok());
    (exit_code, state.is_some_and(|it| it.out_of_memory))
}

async fn send_request(
    input: &mut (impl AsyncWrite + Unpin),
    launch: &LaunchRequest<'_>,
    head: &[u8],
) -> io::Result<()> {
    send_frame(input, Kind::Request, head).await?;
    for (kind, content) in [(Kind::Script, launch.script), (Kind::Stdin, launch.stdin)] {
        for piece in content.chunks(MAX_REQUEST_PAYLOAD) {
            send_frame(input, kind, piece).await?;
        }
    }
    Ok(())
}

pub(super) async fn send_frame(
    input: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    payload: &[u8],
) -> io::Result<()> {
    let header = Header::encode(kind, payload.len()).map_err(io::Error::other)?;
    input.write_all(&header).await?;
    input.write_all(payload).await?;
    input.flush().await
}

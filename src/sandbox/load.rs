//! From a sandbox that waits to one that has its whole request, and in which
//! nothing has run.

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

/// How long PID 1 may take to receive a request. The largest, of 64 MiB of stdin,
/// takes about a second on an engine that has little else to do.
const LOADED_WITHIN: Duration = Duration::from_secs(60);

/// What a sandbox is to do.
pub struct LaunchRequest<'a> {
    /// The request's head.
    pub head: &'a Request,
    /// The script.
    pub script: &'a [u8],
    /// What it reads from stdin.
    pub stdin: &'a [u8],
}

/// A sandbox that has its whole request and waits to be told to run it. Nothing of
/// the script has run.
pub struct Loaded {
    pub(super) sandbox: Sandbox,
    pub(super) conversation: Conversation,
    /// How long the script may run.
    pub(super) timeout: Duration,
    pub(super) limits: OutputLimits,
    /// How it has ended already: refused, cancelled, or with its memory used up.
    pub(super) ending: Option<Ending>,
}

impl Loaded {
    /// Leaves its container, which ends by itself: nobody will say the word.
    pub fn detach(mut self) {
        self.sandbox.container.detach();
    }
}

impl Sandbox {
    /// Hands PID 1 the request and waits until it has all of it. A request that is
    /// refused, or cancelled, is an ending already, which [`Loaded::run`] answers
    /// with.
    ///
    /// # Errors
    /// [`SandboxError`]. Nothing of the script has run then.
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
        let hand_over = self.hand_over(launch, &head, &mut conversation);
        let ending = tokio::select! {
            biased;
            () = cancel.cancelled() => Some(Ending::Withdrawn),
            handed_over = tokio::time::timeout(LOADED_WITHIN, hand_over) => match handed_over {
                Ok(ending) => ending?,
                Err(_) => return Err(self.has_not_loaded()),
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

    /// Sends the request until it is loaded (`None`) or has come to an end.
    async fn hand_over(
        &mut self,
        launch: &LaunchRequest<'_>,
        head: &[u8],
        conversation: &mut Conversation,
    ) -> Result<Option<Ending>, SandboxError> {
        let send = async {
            // A failed write is not looked at: whatever broke the connection shows
            // in the output, where more is known of it.
            let _ = send_request(&mut self.input, launch, head).await;
            std::future::pending::<Infallible>().await
        };
        let frame = tokio::select! {
            frame = self.frames.next() => frame?,
            never = send => match never {},
        };
        let Some(frame) = frame else {
            return self.ended_unused().await.map(Some);
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

    /// What is said of a container that has ended before its script was to start.
    /// One whose memory is too small for its request has met its limit; every other
    /// can be replaced by a new one.
    pub(super) async fn ended_unused(&mut self) -> Result<Ending, SandboxError> {
        let (exit_code, out_of_memory) = find_out(&*self.engine, &self.container.name).await;
        if out_of_memory {
            return Ok(Ending::Vanished { exit_code, out_of_memory });
        }
        let code = exit_code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
        let stderr_suffix = self.frames.stderr_suffix();
        Err(SandboxError::NotReady(format!(
            "it ended before its script was to start (container exit code {code}){stderr_suffix}"
        )))
    }

    fn has_not_loaded(&self) -> SandboxError {
        let seconds = LOADED_WITHIN.as_secs();
        let stderr_suffix = self.frames.stderr_suffix();
        SandboxError::NotReady(format!(
            "it has not taken its request within {seconds} s{stderr_suffix}"
        ))
    }
}

/// Asks the engine what became of a container that ended without a word: its exit
/// code, and whether its memory was used up.
async fn find_out(engine: &dyn Engine, name: &str) -> (Option<i64>, bool) {
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

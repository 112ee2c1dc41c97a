//! From a spec to a sandbox that waits for its request.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use gantry_init::frame::{Frame, Kind};

use super::conversation::ProtocolError;
use super::transcript::Transcript;
use super::{Attached, Remover, Sandbox, SandboxError};
use crate::engine::{Engine, NewContainer, OutputChunk, OutputStream};

/// PID 1 says Hello about a millisecond after the start.
const HELLO_WITHIN: Duration = Duration::from_secs(20);

/// Longest text of PID 1's stderr that is kept, in bytes: it has nothing to say
/// unless something is wrong with the image.
const MAX_COMPLAINT: usize = 2048;

impl Sandbox {
    /// Creates and starts a container and waits until it is ready; but first until
    /// the removal of others keeps up.
    ///
    /// # Errors
    /// [`SandboxError`]; nothing is left of the container then, or will be soon.
    pub async fn start(
        engine: Arc<dyn Engine>,
        remover: &Remover,
        container: &NewContainer,
    ) -> Result<Self, SandboxError> {
        remover.wait_for_backlog().await;
        let mut owned = remover.own(container.name.clone());
        let created = engine.create(container).await;
        owned.note_creation(&created);
        created?;
        let Attached { input, output } = engine.attach(&container.name).await?;
        let mut frames = Frames::new(output);
        engine.start(&container.name).await?;
        let hello = tokio::time::timeout(HELLO_WITHIN, frames.next()).await;
        match hello {
            Ok(Ok(Some(Frame { kind: Kind::Hello, .. }))) => {}
            Ok(Ok(Some(frame))) => return Err(ProtocolError::Unexpected(frame.kind).into()),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(None)) => {
                return Err(SandboxError::NotReady(format!("it ended{}", frames.stderr_suffix())));
            }
            Err(_) => {
                let seconds = HELLO_WITHIN.as_secs();
                let stderr_suffix = frames.stderr_suffix();
                return Err(SandboxError::NotReady(format!(
                    "nothing was heard within {seconds} s{stderr_suffix}"
                )));
            }
        }
        let (confinement, stand_by_failure) = (None, None);
        Ok(Self { engine, input, frames, container: owned, confinement, stand_by_failure })
    }
}

/// The frames that come out of a container.
pub(super) struct Frames {
    output: OutputStream,
    /// Of PID 1's stdout.
    transcript: Transcript,
    stderr_suffix: Vec<u8>,
}

impl Frames {
    fn new(output: OutputStream) -> Self {
        Self { output, transcript: Transcript::new(), stderr_suffix: Vec::new() }
    }

    /// Those of a container that nobody is attached to.
    pub(super) fn unheard() -> Self {
        Self::new(stream::empty().boxed())
    }

    /// Goes on with an output that begins once more with the first byte.
    pub(super) fn replay(&mut self, output: OutputStream) {
        self.output = output;
        self.transcript.begin_again();
        self.stderr_suffix.clear();
    }

    /// The next frame; `None` at the end of the output. May be dropped and
    /// called again: nothing is lost.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, SandboxError> {
        loop {
            if let Some(frame) = self.transcript.next_frame().map_err(ProtocolError::Frame)? {
                return Ok(Some(frame));
            }
            match self.output.next().await {
                Some(Ok(OutputChunk::Stdout(bytes))) => self.transcript.feed(&bytes),
                Some(Ok(OutputChunk::Stderr(bytes))) => self.note(&bytes),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(None),
            }
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        let room = MAX_COMPLAINT.saturating_sub(self.stderr_suffix.len());
        self.stderr_suffix.extend(bytes.iter().take(room));
    }

    /// What PID 1 has said on stderr, to be put behind a sentence.
    pub(super) fn stderr_suffix(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr_suffix);
        match text.trim() {
            "" => String::new(),
            text => format!(": {}", text.escape_debug()),
        }
    }
}

//! Creation and start of a sandbox.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use gantry_init::frame::{Frame, Kind};

use super::conversation::ProtocolError;
use super::transcript::Transcript;
use super::{Attached, Remover, Sandbox, SandboxError, run_folder};
use crate::domain::run_folder::RunFolder;
use crate::engine::{Engine, NewContainer, OutputChunk, OutputStream};

/// Time for PID 1's Hello, which takes about a millisecond.
const HELLO_TIMEOUT: Duration = Duration::from_secs(20);

/// Longest part of PID 1's stderr that is kept, in bytes. PID 1 writes to it only when
/// the image is broken.
const MAX_STDERR: usize = 2048;

impl Sandbox {
    /// Creates and starts a container and waits for PID 1's Hello. Waits first while too
    /// many removals are pending.
    ///
    /// # Errors
    /// [`SandboxError`]; the container is removed in the background then.
    pub async fn start(
        engine: Arc<dyn Engine>,
        remover: &Remover,
        container: &NewContainer,
    ) -> Result<Self, SandboxError> {
        remover.wait_for_backlog().await;
        let mut owned = remover.own(container.name.clone());
        if let Err(error) = run_folder::create(remover.folders(), container).await {
            owned.note_no_creation(error.is_name_taken());
            return Err(error.into());
        }
        let created = engine.create(container).await;
        owned.note_creation(&created);
        if let Err(error) = created {
            let unseen = run_folder::unseen(remover.folders(), container, &error);
            return Err(unseen.map_or_else(|| error.into(), SandboxError::from));
        }
        let Attached { input, output } = engine.attach(&container.name).await?;
        let mut frames = Frames::new(output);
        engine.start(&container.name).await?;
        let hello = tokio::time::timeout(HELLO_TIMEOUT, frames.next()).await;
        match hello {
            Ok(Ok(Some(Frame { kind: Kind::Hello, .. }))) => {}
            Ok(Ok(Some(frame))) => return Err(ProtocolError::Unexpected(frame.kind).into()),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(None)) => {
                return Err(SandboxError::NotReady(format!(
                    "PID 1 exited{}",
                    frames.stderr_suffix()
                )));
            }
            Err(_) => {
                let seconds = HELLO_TIMEOUT.as_secs();
                let stderr_suffix = frames.stderr_suffix();
                return Err(SandboxError::NotReady(format!(
                    "PID 1 did not say Hello within {seconds} s{stderr_suffix}"
                )));
            }
        }
        let (confinement, stand_by_failure) = (None, None);
        let has_folder = container.spec.folder != RunFolder::None;
        let inputs = remover.folders().filter(|_| has_folder).map(|it| it.inputs(&container.name));
        let container = owned;
        Ok(Self { engine, input, frames, container, inputs, confinement, stand_by_failure })
    }
}

/// Frames that a container sends.
pub(super) struct Frames {
    output: OutputStream,
    /// Decodes PID 1's stdout.
    transcript: Transcript,
    pid1_stderr: Vec<u8>,
}

impl Frames {
    fn new(output: OutputStream) -> Self {
        Self { output, transcript: Transcript::new(), pid1_stderr: Vec::new() }
    }

    /// Frames of a container to which this process is not attached; it has none yet.
    pub(super) fn detached() -> Self {
        Self::new(stream::empty().boxed())
    }

    /// Continues with an output that starts over from its first byte.
    pub(super) fn replay(&mut self, output: OutputStream) {
        self.output = output;
        self.transcript.restart();
        self.pid1_stderr.clear();
    }

    /// Reads the next frame; `None` at the end of the output. Safe to cancel and call
    /// again: no byte is lost.
    pub(super) async fn next(&mut self) -> Result<Option<Frame>, SandboxError> {
        loop {
            if let Some(frame) = self.transcript.next_frame().map_err(ProtocolError::Frame)? {
                return Ok(Some(frame));
            }
            match self.output.next().await {
                Some(Ok(OutputChunk::Stdout(bytes))) => self.transcript.feed(&bytes),
                Some(Ok(OutputChunk::Stderr(bytes))) => self.keep_stderr(&bytes),
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(None),
            }
        }
    }

    fn keep_stderr(&mut self, bytes: &[u8]) {
        let room = MAX_STDERR.saturating_sub(self.pid1_stderr.len());
        self.pid1_stderr.extend(bytes.iter().take(room));
    }

    /// Formats PID 1's stderr as a suffix for an error message.
    pub(super) fn stderr_suffix(&self) -> String {
        let text = String::from_utf8_lossy(&self.pid1_stderr);
        match text.trim() {
            "" => String::new(),
            text => format!(": {}", text.escape_debug()),
        }
    }
}

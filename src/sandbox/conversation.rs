//! Holds what comes out of a sandbox against the protocol and the limits of the
//! request. Pure: one frame in, one event out, or the sandbox is given up. Public for
//! the fuzzers (`tests/fuzz`), who hold arbitrary frames against it.
//!
//! ```text
//! Silent ─Hello─▶ Up ─Prepared─▶ Ready   (only when all is heard from the beginning)
//! Ready ─Loaded─▶ Loaded ─Started─▶ Running ─OutputFile─▶ OutputFile ─ArtifactBegin─▶ Artifact
//!   │               │                  │                      │               ▲  │ ArtifactData
//!   └────Refused────┴─────▶ Ended ◀────┴─────────Exit─────────┴──(all bytes)──┴──┘
//! ```

#[cfg(test)]
mod tests;

use gantry_init::artifact_name;
use gantry_init::frame::{Frame, FrameError, Kind};
use gantry_init::message::{ArtifactBegin, Exit, MAX_SKIPPED_ARTIFACTS, Refused};
use thiserror::Error;

use super::OutputLimits;

/// How a sandbox broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// Bytes that are no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame where it has no place.
    #[error("an unexpected {0:?} frame")]
    Unexpected(Kind),
    /// A frame whose JSON is not what it should be.
    #[error("a {0:?} frame that can't be read")]
    Unreadable(Kind),
    /// More than the request allows.
    #[error("more {0} than the request allows")]
    TooMuch(&'static str),
    /// An artifact with a name that breaks the rule of [`artifact_name`].
    #[error("an artifact with a forbidden name")]
    ArtifactName,
    /// The end in the middle of an artifact.
    #[error("an artifact that was not finished")]
    ArtifactCut,
}

/// What a frame means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// PID 1 is up, or prepared.
    Up,
    /// The request is there as a whole.
    Loaded,
    /// The script's process exists.
    Started,
    /// It printed to stdout.
    Stdout(Vec<u8>),
    /// It printed to stderr.
    Stderr(Vec<u8>),
    /// A piece of the output file.
    OutputFile(Vec<u8>),
    /// An artifact begins.
    ArtifactBegin(ArtifactBegin),
    /// A piece of it.
    ArtifactData(Vec<u8>),
    /// The script has ended.
    Exit(Exit),
    /// It could not be started.
    Refused(Refused),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Silent,
    Up,
    Ready,
    Loaded,
    Running,
    OutputFile,
    Artifacts,
    Ended,
}

/// What may still come.
#[derive(Debug)]
pub struct Conversation {
    phase: Phase,
    stdout_left: u64,
    stderr_left: u64,
    output_file_left: u64,
    artifacts_left: u32,
    artifact_bytes_left: u64,
    this_artifact_left: u64,
}

impl Conversation {
    /// The conversation that a request with these limits begins.
    #[must_use]
    pub fn new(limits: &OutputLimits) -> Self {
        Self {
            phase: Phase::Ready,
            stdout_left: limits.stream_cap,
            stderr_left: limits.stream_cap,
            output_file_left: limits.output_file_cap.unwrap_or_default(),
            artifacts_left: limits.artifacts.count,
            artifact_bytes_left: limits.artifacts.bytes,
            this_artifact_left: 0,
        }
    }

    /// The same, from PID 1's first word.
    #[must_use]
    pub fn from_the_beginning(limits: &OutputLimits) -> Self {
        Self { phase: Phase::Silent, ..Self::new(limits) }
    }

    /// Whether it was heard that the script's process exists.
    pub(super) fn has_started(&self) -> bool {
        !matches!(self.phase, Phase::Silent | Phase::Up | Phase::Ready | Phase::Loaded)
    }

    /// What the next frame means.
    ///
    /// # Errors
    /// [`ProtocolError`]; nothing more may be accepted then.
    pub fn accept(&mut self, frame: Frame) -> Result<Event, ProtocolError> {
        let Frame { kind, payload } = frame;
        if self.this_artifact_left > 0 && kind != Kind::ArtifactData {
            return Err(ProtocolError::ArtifactCut);
        }
        match (self.phase, kind) {
            (Phase::Silent, Kind::Hello) => {
                self.phase = Phase::Up;
                Ok(Event::Up)
            }
            (Phase::Up, Kind::Prepared) => {
                self.phase = Phase::Ready;
                Ok(Event::Up)
            }
            (Phase::Up | Phase::Ready, Kind::Loaded) => {
                self.phase = Phase::Loaded;
                Ok(Event::Loaded)
            }
            (Phase::Loaded, Kind::Started) => {
                self.phase = Phase::Running;
                Ok(Event::Started)
            }
            (Phase::Up | Phase::Ready | Phase::Loaded, Kind::Refused) => {
                self.phase = Phase::Ended;
                parse(kind, &payload).map(Event::Refused)
            }
            (Phase::Running, Kind::Stdout) => {
                spend(&mut self.stdout_left, &payload, "stdout")?;
                Ok(Event::Stdout(payload))
            }
            (Phase::Running, Kind::Stderr) => {
                spend(&mut self.stderr_left, &payload, "stderr")?;
                Ok(Event::Stderr(payload))
            }
            (Phase::Running | Phase::OutputFile, Kind::OutputFile) => {
                self.phase = Phase::OutputFile;
                spend(&mut self.output_file_left, &payload, "output file")?;
                Ok(Event::OutputFile(payload))
            }
            (Phase::Running | Phase::OutputFile | Phase::Artifacts, Kind::ArtifactBegin) => {
                self.phase = Phase::Artifacts;
                self.begin_artifact(&payload)
            }
            (Phase::Artifacts, Kind::ArtifactData) => {
                spend(&mut self.this_artifact_left, &payload, "artifact")?;
                Ok(Event::ArtifactData(payload))
            }
            (Phase::Running | Phase::OutputFile | Phase::Artifacts, Kind::Exit) => {
                self.phase = Phase::Ended;
                let exit: Exit = parse(kind, &payload)?;
                if exit.artifacts_skipped.len() > MAX_SKIPPED_ARTIFACTS {
                    return Err(ProtocolError::TooMuch("names of artifacts"));
                }
                Ok(Event::Exit(exit))
            }
            _ => Err(ProtocolError::Unexpected(kind)),
        }
    }

    fn begin_artifact(&mut self, payload: &[u8]) -> Result<Event, ProtocolError> {
        let begin: ArtifactBegin = parse(Kind::ArtifactBegin, payload)?;
        if !artifact_name::is_allowed(&begin.name) {
            return Err(ProtocolError::ArtifactName);
        }
        self.artifacts_left =
            self.artifacts_left.checked_sub(1).ok_or(ProtocolError::TooMuch("artifacts"))?;
        self.artifact_bytes_left = self
            .artifact_bytes_left
            .checked_sub(begin.size)
            .ok_or(ProtocolError::TooMuch("artifact bytes"))?;
        self.this_artifact_left = begin.size;
        Ok(Event::ArtifactBegin(begin))
    }
}

fn spend(left: &mut u64, payload: &[u8], what: &'static str) -> Result<(), ProtocolError> {
    *left = left.checked_sub(payload.len() as u64).ok_or(ProtocolError::TooMuch(what))?;
    Ok(())
}

fn parse<'a, T: serde::Deserialize<'a>>(kind: Kind, payload: &'a [u8]) -> Result<T, ProtocolError> {
    serde_json::from_slice(payload).map_err(|_| ProtocolError::Unreadable(kind))
}

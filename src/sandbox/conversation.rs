//! Checks the frames of a sandbox against the protocol and the limits of its request.
//! Pure: each frame yields one event or ends the conversation with an error. Public for
//! the fuzzers (`tests/fuzz`), which feed it arbitrary frames.
//!
//! ```text
//! AwaitingHello ─Hello─▶ Up ─Prepared─▶ Ready   (only when read from the first frame)
//! Ready ─Loaded─▶ Loaded ─Started─▶ Running ─OutputFile─▶ OutputFile ─ArtifactBegin─▶ Artifact
//!   │               │                  │                      │               ▲  │ ArtifactData
//!   └────Refused────┴─────▶ Ended ◀────┴─────────Exit─────────┴──(all bytes)──┴──┘
//! ```
//!
//! With scratch on disk there are `LeftFile` frames in place of artifacts, and `DiskUse`
//! frames while the script runs.

#[cfg(test)]
mod tests;

use gantry_init::artifact_name;
use gantry_init::frame::{Frame, FrameError, Kind};
use gantry_init::message::{
    ArtifactBegin, DiskUse, Exit, LeftFile, MAX_SKIPPED_ARTIFACTS, Refused,
};
use thiserror::Error;

use super::OutputLimits;

/// Violation of the protocol by a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// Bytes that do not form a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame that the current phase does not allow.
    #[error("an unexpected {0:?} frame")]
    Unexpected(Kind),
    /// A frame with malformed JSON.
    #[error("a malformed {0:?} frame")]
    Malformed(Kind),
    /// Output beyond a limit of the request.
    #[error("more {0} than the request allows")]
    LimitExceeded(&'static str),
    /// An artifact whose name [`artifact_name`] does not allow.
    #[error("an artifact with a forbidden name")]
    ArtifactName,
    /// A file on disk whose name does not come behind the one before it.
    #[error("files that are not in the order of their names")]
    FileOrder,
    /// Another frame before the artifact's last byte.
    #[error("an incomplete artifact")]
    ArtifactIncomplete,
}

/// Meaning of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// PID 1 is up, or is prepared.
    Up,
    /// PID 1 has received the whole request.
    Loaded,
    /// The script's process exists.
    Started,
    /// Bytes that the script wrote to stdout.
    Stdout(Vec<u8>),
    /// Bytes that the script wrote to stderr.
    Stderr(Vec<u8>),
    /// Bytes of the output file.
    OutputFile(Vec<u8>),
    /// An artifact begins.
    ArtifactBegin(ArtifactBegin),
    /// Bytes of the current artifact.
    ArtifactData(Vec<u8>),
    /// A file was left on disk.
    LeftFile(LeftFile),
    /// Bytes that the script has on disk.
    DiskUse(u64),
    /// The script has exited.
    Exit(Exit),
    /// PID 1 could not start the script.
    Refused(Refused),
}

/// Most reports of the disk's use: PID 1 sends ten in a second at most, and a script runs
/// for a day at most.
const MAX_DISK_USES: u32 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    AwaitingHello,
    Up,
    Ready,
    Loaded,
    Running,
    OutputFile,
    Artifacts,
    Ended,
}

/// State of the protocol: its phase and the bytes and artifacts still allowed.
#[derive(Debug)]
pub struct Conversation {
    phase: Phase,
    stdout_left: u64,
    stderr_left: u64,
    output_file_left: u64,
    artifacts_left: u32,
    artifact_bytes_left: u64,
    this_artifact_left: u64,
    on_disk: bool,
    /// Name of the file on disk that was told last.
    last_file: Option<String>,
    disk_uses_left: u32,
}

impl Conversation {
    /// Starts after the request was sent, with the request's limits.
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
            on_disk: limits.on_disk,
            last_file: None,
            disk_uses_left: if limits.on_disk { MAX_DISK_USES } else { 0 },
        }
    }

    /// Starts before PID 1's Hello.
    #[must_use]
    pub fn from_hello(limits: &OutputLimits) -> Self {
        Self { phase: Phase::AwaitingHello, ..Self::new(limits) }
    }

    /// True once a Started frame was read.
    pub(super) fn has_started(&self) -> bool {
        !matches!(self.phase, Phase::AwaitingHello | Phase::Up | Phase::Ready | Phase::Loaded)
    }

    /// Checks the next frame and returns its meaning.
    ///
    /// # Errors
    /// [`ProtocolError`]; no further frame may be accepted then.
    pub fn accept(&mut self, frame: Frame) -> Result<Event, ProtocolError> {
        let Frame { kind, payload } = frame;
        if self.this_artifact_left > 0 && kind != Kind::ArtifactData {
            return Err(ProtocolError::ArtifactIncomplete);
        }
        match (self.phase, kind) {
            (Phase::AwaitingHello, Kind::Hello) => {
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
            (Phase::Running, Kind::DiskUse) => self.disk_use(&payload),
            (Phase::Running | Phase::OutputFile | Phase::Artifacts, Kind::LeftFile)
                if self.on_disk =>
            {
                self.phase = Phase::Artifacts;
                self.left_file(&payload)
            }
            (Phase::Running | Phase::OutputFile | Phase::Artifacts, Kind::ArtifactBegin)
                if !self.on_disk =>
            {
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
                    return Err(ProtocolError::LimitExceeded("names of artifacts"));
                }
                Ok(Event::Exit(exit))
            }
            _ => Err(ProtocolError::Unexpected(kind)),
        }
    }

    fn begin_artifact(&mut self, payload: &[u8]) -> Result<Event, ProtocolError> {
        let begin: ArtifactBegin = parse(Kind::ArtifactBegin, payload)?;
        self.spend_artifact(&begin.name, begin.size)?;
        self.this_artifact_left = begin.size;
        Ok(Event::ArtifactBegin(begin))
    }

    fn disk_use(&mut self, payload: &[u8]) -> Result<Event, ProtocolError> {
        let too_many = ProtocolError::LimitExceeded("reports of the disk");
        self.disk_uses_left = self.disk_uses_left.checked_sub(1).ok_or(too_many)?;
        let DiskUse { bytes } = parse(Kind::DiskUse, payload)?;
        Ok(Event::DiskUse(bytes))
    }

    fn left_file(&mut self, payload: &[u8]) -> Result<Event, ProtocolError> {
        let file: LeftFile = parse(Kind::LeftFile, payload)?;
        self.spend_artifact(&file.name, file.size)?;
        // PID 1 walks through sorted folders. In this order no name comes twice.
        let is_behind = |last: &String| last.split('/').lt(file.name.split('/'));
        if !self.last_file.as_ref().is_none_or(is_behind) {
            return Err(ProtocolError::FileOrder);
        }
        self.last_file = Some(file.name.clone());
        Ok(Event::LeftFile(file))
    }

    fn spend_artifact(&mut self, name: &str, size: u64) -> Result<(), ProtocolError> {
        if !artifact_name::is_allowed(name) {
            return Err(ProtocolError::ArtifactName);
        }
        self.artifacts_left =
            self.artifacts_left.checked_sub(1).ok_or(ProtocolError::LimitExceeded("artifacts"))?;
        self.artifact_bytes_left = self
            .artifact_bytes_left
            .checked_sub(size)
            .ok_or(ProtocolError::LimitExceeded("artifact bytes"))?;
        Ok(())
    }
}

fn spend(left: &mut u64, payload: &[u8], what: &'static str) -> Result<(), ProtocolError> {
    *left = left.checked_sub(payload.len() as u64).ok_or(ProtocolError::LimitExceeded(what))?;
    Ok(())
}

fn parse<'a, T: serde::Deserialize<'a>>(kind: Kind, payload: &'a [u8]) -> Result<T, ProtocolError> {
    serde_json::from_slice(payload).map_err(|_| ProtocolError::Malformed(kind))
}

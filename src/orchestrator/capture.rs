//! Keeps what a script prints and leaves. Its size is bounded by the caps of
//! the request, which the sandbox has checked before anything comes here.

use std::io;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gantry_init::artifact_name;
use gantry_init::message::{ArtifactBegin, Exit, LeftFile};

use super::artifact_writer::ArtifactWriter;
use super::live::LiveExecution;
use super::{Live, LiveSender};
use crate::clock;
use crate::domain::execution::Artifact;
use crate::domain::outcome::skip_reason;
use crate::domain::output_log::StreamName;
use crate::sandbox::Sink;

/// All that a script printed and left.
pub struct Capture {
    pub(super) live: Arc<LiveExecution>,
    pub(super) output_file: Vec<u8>,
    pub(super) artifacts: Vec<Artifact>,
    /// Files on disk, the first of the artifacts, in the same order.
    pub(super) left: Vec<LeftFile>,
    pub(super) started_at: Option<DateTime<Utc>>,
    /// Files have come, so all that was printed had come before.
    pub(super) has_printed_all: bool,
    begun_at: Option<DateTime<Utc>>,
    store: ArtifactWriter,
    printer: Option<LiveSender>,
}

impl Capture {
    /// One whose output is kept in `live`, and whose artifacts go to `store`.
    #[must_use]
    pub fn new(live: Arc<LiveExecution>, store: ArtifactWriter) -> Self {
        Self {
            live,
            output_file: Vec::new(),
            artifacts: Vec::new(),
            left: Vec::new(),
            started_at: None,
            has_printed_all: false,
            begun_at: None,
            store,
            printer: None,
        }
    }

    /// The same, and `printer` gets everything as it comes.
    #[must_use]
    pub fn told_to(self, printer: LiveSender) -> Self {
        Self { printer: Some(printer), ..self }
    }

    /// The same for a script that was started at this time, before anybody listened.
    #[must_use]
    pub(super) fn begun_at(self, at: DateTime<Utc>) -> Self {
        Self { begun_at: Some(at), ..self }
    }

    /// One that nobody follows, and that keeps no artifacts.
    #[must_use]
    pub fn unfollowed() -> Self {
        Self::new(Arc::default(), ArtifactWriter::default())
    }

    /// True if exactly this has been kept of stdout.
    #[must_use]
    pub fn has_printed(&self, bytes: &[u8]) -> bool {
        self.live.has_printed(bytes)
    }

    /// Adds what PID 1 did not send.
    pub(super) fn note_skipped(&mut self, exit: &Exit) {
        self.artifacts.extend(exit.artifacts_skipped.iter().map(|skipped| {
            let name = artifact_name::shown("", skipped.name.as_bytes());
            Artifact::skipped(name, skip_reason(skipped.reason))
        }));
    }

    /// Nobody may be listening any more, which changes nothing.
    fn tell(&self, live: impl FnOnce() -> Live) {
        if let Some(printer) = &self.printer {
            let _ = printer.send(live());
        }
    }
}

impl Sink for Capture {
    fn started(&mut self) {
        self.started_at = Some(self.begun_at.unwrap_or_else(clock::now));
    }

    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.live.append(StreamName::Stdout, bytes);
        self.tell(|| Live::Stdout(bytes.to_vec()));
        Ok(())
    }

    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.live.append(StreamName::Stderr, bytes);
        self.tell(|| Live::Stderr(bytes.to_vec()));
        Ok(())
    }

    fn output_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.has_printed_all = true;
        self.output_file.extend_from_slice(bytes);
        self.tell(|| Live::OutputFile(bytes.to_vec()));
        Ok(())
    }

    fn artifact_begin(&mut self, artifact: &ArtifactBegin) -> io::Result<()> {
        self.has_printed_all = true;
        self.artifacts.push(Artifact::kept(artifact.name.clone(), artifact.size));
        self.store.begin(artifact)
    }

    fn artifact_data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.store.write(bytes)
    }

    fn left_file(&mut self, file: LeftFile) {
        self.has_printed_all = true;
        let executable = file.executable;
        self.artifacts
            .push(Artifact { executable, ..Artifact::kept(file.name.clone(), file.size) });
        self.left.push(file);
    }

    fn disk_use(&mut self, bytes: u64) {
        self.live.note_disk_use(bytes);
    }
}

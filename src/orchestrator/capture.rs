//! Keeps what a script prints and leaves. Its size is bounded by the caps of
//! the request, which the sandbox has checked before anything comes here.

use std::io;
use std::time::SystemTime;

use gantry_init::message::{ArtifactBegin, Exit, SkipReason};

use super::{ArtifactStore, Live, LiveSender};
use crate::domain::execution::Artifact;
use crate::sandbox::Sink;

/// All that a script printed and left.
#[derive(Default)]
pub struct Capture {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) output_file: Vec<u8>,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) started_at: Option<SystemTime>,
    store: ArtifactStore,
    live: Option<LiveSender>,
}

impl Capture {
    pub(super) fn new(store: ArtifactStore, live: LiveSender) -> Self {
        Self { store, live: Some(live), ..Self::default() }
    }

    /// One that nobody follows, and that keeps no artifacts.
    #[must_use]
    pub fn unfollowed() -> Self {
        Self::default()
    }

    /// What has been kept of stdout.
    #[must_use]
    pub fn stdout(&self) -> &[u8] {
        &self.stdout
    }

    /// Adds what PID 1 did not send.
    pub(super) fn note_skipped(&mut self, exit: &Exit) {
        self.artifacts.extend(exit.artifacts_skipped.iter().map(|skipped| Artifact {
            name: skipped.name.clone(),
            bytes: 0,
            skipped: Some(match skipped.reason {
                SkipReason::TooMany => "too many artifacts",
                SkipReason::TooLarge => "too large",
                SkipReason::Name => "forbidden name",
                SkipReason::Unreadable => "not a readable file",
            }),
        }));
    }

    /// Nobody may be listening any more, which changes nothing.
    fn tell(&self, live: Live) {
        if let Some(follower) = &self.live {
            let _ = follower.send(live);
        }
    }
}

impl Sink for Capture {
    fn started(&mut self) {
        self.started_at = Some(SystemTime::now());
    }

    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.extend_from_slice(bytes);
        self.tell(Live::Stdout(bytes.to_vec()));
        Ok(())
    }

    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stderr.extend_from_slice(bytes);
        self.tell(Live::Stderr(bytes.to_vec()));
        Ok(())
    }

    fn output_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output_file.extend_from_slice(bytes);
        self.tell(Live::OutputFile(bytes.to_vec()));
        Ok(())
    }

    fn artifact_begin(&mut self, artifact: &ArtifactBegin) -> io::Result<()> {
        self.artifacts.push(Artifact {
            name: artifact.name.clone(),
            bytes: artifact.size,
            skipped: None,
        });
        self.store.begin(artifact)
    }

    fn artifact_data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.store.write(bytes)
    }
}

/// A stream as text: what is not UTF-8 replaced, and a note where it was cut.
pub(super) fn log_text(kept: &[u8], written: u64, name: &str) -> String {
    let mut text = String::from_utf8_lossy(kept).into_owned();
    let kept = kept.len() as u64;
    if written > kept {
        text.push_str(&format!(
            "\n[gantry: {name} was cut here, {kept} of {written} bytes kept]\n"
        ));
    }
    text
}

//! What a script may leave, and what it is given when it has to end.

use std::time::Duration;

use gantry_init::message::{ArtifactCaps, Request};

/// What is agreed with a sandbox about its script, beside its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Bytes of stdout and of stderr at most, each.
    pub stream_cap: u64,
    /// Bytes of the output file at most; `None` when none was declared.
    pub output_file_cap: Option<u64>,
    /// Artifacts at most.
    pub artifacts: ArtifactCaps,
    /// How long it may take to end when it is told to.
    pub grace: Duration,
}

impl From<&Request> for OutputLimits {
    fn from(request: &Request) -> Self {
        Self {
            stream_cap: request.stream_cap,
            output_file_cap: request.output_file.as_ref().map(|file| file.cap),
            artifacts: request.artifacts,
            grace: Duration::from_millis(request.grace_ms),
        }
    }
}

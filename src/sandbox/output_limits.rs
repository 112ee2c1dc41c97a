//! Limits on a script's output, and its grace period.

use std::time::Duration;

use gantry_init::message::{ArtifactCaps, Request};

/// Limits on a script's output, and its grace period. The timeout is kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Largest stdout and largest stderr, in bytes each.
    pub stream_cap: u64,
    /// Largest output file, in bytes; `None` when the script declares none.
    pub output_file_cap: Option<u64>,
    /// Largest number of artifacts, and their bytes together.
    pub artifacts: ArtifactCaps,
    /// Time between TERM and KILL when the script is stopped.
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

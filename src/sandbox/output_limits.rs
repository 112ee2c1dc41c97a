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
    /// True if its files are left on disk and told by name, and false if they are sent.
    pub on_disk: bool,
    /// Time between TERM and KILL when the script is stopped.
    pub grace: Duration,
}

/// Time for PID 1's own work after the script: killing leftover processes, sending
/// artifacts. Beyond that PID 1 or the engine hangs.
const INIT_OVERHEAD: Duration = Duration::from_secs(15);

/// The same for measuring the disk once more.
const DISK_OVERHEAD: Duration = Duration::from_secs(10);

/// The same for each file that may be moved on disk, which takes some 20 µs.
const FILE_OVERHEAD: Duration = Duration::from_millis(1);

impl OutputLimits {
    /// Time for PID 1's own work after the script.
    pub(super) fn init_overhead(&self) -> Duration {
        let on_disk =
            DISK_OVERHEAD.saturating_add(FILE_OVERHEAD.saturating_mul(self.artifacts.count));
        if self.on_disk { INIT_OVERHEAD.saturating_add(on_disk) } else { INIT_OVERHEAD }
    }
}

impl From<&Request> for OutputLimits {
    fn from(request: &Request) -> Self {
        Self {
            stream_cap: request.stream_cap,
            output_file_cap: request.output_file.as_ref().map(|file| file.cap),
            artifacts: request.artifacts,
            on_disk: request.disk.is_some(),
            grace: Duration::from_millis(request.grace_ms),
        }
    }
}

//! An execution that this node has claimed: the data that its states share.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::job::artifact_caps;
use crate::domain::limits::GRACE;
use crate::orchestrator::live::LiveExecution;
use crate::sandbox::OutputLimits;
use crate::store::Runnable;

/// An execution that this node has claimed.
pub(super) struct ClaimedExecution {
    pub(super) runnable: Box<Runnable>,
    /// From 1.
    pub(super) attempt: u32,
    /// Time from its acceptance to its turn.
    pub(super) queued: Duration,
    pub(super) live: Arc<LiveExecution>,
}

impl ClaimedExecution {
    /// Bounds of what its script may leave, as its snapshot has them.
    pub(super) fn output_limits(&self) -> OutputLimits {
        let limits = &self.runnable.snapshot.limits;
        let output_bytes = limits.output_bytes;
        let output_file = self.runnable.definition.output_file.as_ref();
        OutputLimits {
            stream_cap: output_bytes,
            output_file_cap: output_file.map(|_| output_bytes),
            artifacts: artifact_caps(limits),
            on_disk: limits.disk_bytes > 0,
            grace: GRACE,
        }
    }
}

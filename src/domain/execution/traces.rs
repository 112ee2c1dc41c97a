//! Traces of a run: the resources that it used, the place where it ran, and the files that it left.

use serde::Serialize;

use crate::domain::confinement::SealedConfinement;
use crate::domain::file::FileDigest;
use crate::domain::media_type::media_type_of;

/// Resources that an execution used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// CPU time, user and system, in milliseconds.
    pub cpu_ms: f64,
    /// Peak memory, in bytes.
    pub peak_memory_bytes: u64,
    /// Number of processes that the kernel killed for lack of memory.
    pub oom_kills: u64,
    /// Most bytes on disk at once; null if `/work` was in memory.
    pub peak_disk_bytes: Option<u64>,
}

/// Place where an execution ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SandboxReceipt {
    /// Image id.
    pub image: String,
    /// Unique name of the container.
    pub container_id: String,
    /// Node; null for `gantry run`.
    pub node: Option<String>,
    /// True if the container was started before the execution arrived.
    pub warm: bool,
    /// True if the script's interpreter had imported its modules before the execution
    /// arrived, false if it started with the execution. Null for scripts that are not
    /// Python, until the execution has ended, and if its end was not seen.
    pub preloaded: Option<bool>,
    /// Reason why `preloaded` is false; null otherwise.
    pub preload_reason: Option<String>,
    /// Confinement of the container, as the engine reports it. Absent from lists, until the
    /// execution has ended, and if the engine did not report it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confinement: Option<SealedConfinement>,
}

impl SandboxReceipt {
    /// Records that the script's modules were preloaded, or the reason why not.
    pub fn note_preload(&mut self, preload: Result<(), String>) {
        self.preloaded = Some(preload.is_ok());
        self.preload_reason = preload.err();
    }
}

/// File that a script left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// Relative path, with `/` between components.
    pub name: String,
    /// Size in bytes; 0 if the file was not kept.
    pub bytes: u64,
    /// Reason why the file was not kept; null if it was.
    pub skipped: Option<String>,
    /// Digest of its content; null if it was not kept, and for files from before digests.
    pub digest: Option<FileDigest>,
    /// Media type that the script's version declares for it, or else that of its name;
    /// null if neither tells.
    pub media_type: Option<String>,
    /// Role that the script's version declares for it, such as `preview`.
    pub role: Option<String>,
    /// True if the script left it executable.
    pub executable: bool,
}

impl Artifact {
    /// File that is kept, or is about to be.
    #[must_use]
    pub fn kept(name: String, bytes: u64) -> Self {
        let media_type = media_type_of(&name).map(str::to_owned);
        let (skipped, digest, role) = (None, None, None);
        Self { name, bytes, skipped, digest, media_type, role, executable: false }
    }

    /// File that was not kept, for a reason.
    #[must_use]
    pub fn skipped(name: String, reason: impl Into<String>) -> Self {
        let (digest, media_type, role) = (None, None, None);
        let skipped = Some(reason.into());
        Self { name, bytes: 0, skipped, digest, media_type, role, executable: false }
    }
}

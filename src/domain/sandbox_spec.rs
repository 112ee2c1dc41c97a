//! Spec of a sandbox: everything that determines its container, and nothing of its content.
//! Two executions with equal specs could use the same warm container.

use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::mount::Mount;
use super::run_folder::RunFolder;

/// Group of all processes in a sandbox, and user of those without their own
/// ([`SandboxSpec::shares_user`]): `nogroup` and `nobody` of Debian.
pub const SANDBOX_UID: u32 = 65534;

/// Network access of a sandbox.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Only its own loopback interface.
    #[default]
    None,
    /// The outside, through a bridge on which sandboxes don't see each other.
    Egress,
}

/// Purpose of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Runs a script.
    Execution,
    /// Installs packages, and writes to a volume that no script ever sees.
    Build {
        /// Name of the volume; `None` means one that is removed with the container.
        cache_volume: Option<String>,
    },
}

/// Spec of a sandbox's container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SandboxSpec {
    /// Image id: unlike a tag, it never moves.
    pub image: String,
    /// Limits.
    pub limits: Limits,
    /// Network access.
    pub network: Network,
    /// Host paths that it sees; none by default.
    pub mounts: Vec<Mount>,
    /// Folder on the host that is its own, and gone with it.
    pub folder: RunFolder,
    /// OCI runtime, if not the engine's default.
    pub oci_runtime: Option<String>,
    /// True if files in its writable places may be executed and loaded.
    pub exec: bool,
    /// Purpose.
    pub purpose: Purpose,
}

impl SandboxSpec {
    /// True if it runs as [`SANDBOX_UID`], because its output outlives it and belongs to
    /// that user.
    #[must_use]
    pub fn shares_user(&self) -> bool {
        self.purpose != Purpose::Execution || self.mounts.iter().any(|mount| !mount.read_only)
    }
}

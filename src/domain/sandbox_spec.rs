//! Spec of a sandbox: everything that determines its container, and nothing of its content.
//! Two executions with equal specs could use the same warm container.

use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::mount::Mount;
use super::run_folder::RunFolder;
use super::user::User;

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
    /// User that it runs as, and that owns what it writes to mounts; `None` for one of its
    /// own.
    pub owner: Option<User>,
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
    /// User that it shares with other sandboxes: its owner, or [`User::SHARED`] if what it
    /// writes outlives it. `None` if it has a user of its own.
    #[must_use]
    pub fn shared_user(&self) -> Option<User> {
        let writes = self.mounts.iter().any(|mount| !mount.read_only);
        let is_shared = self.purpose != Purpose::Execution || writes;
        self.owner.or(is_shared.then_some(User::SHARED))
    }
}

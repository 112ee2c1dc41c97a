//! What a sandbox is made of: all that decides how its container is created,
//! and nothing of what runs in it. Two executions with equal specs could use
//! the same unused container.

use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::mount::Mount;

/// The group that everything in a sandbox runs as, and the user of those that have
/// none of their own ([`SandboxSpec::shares_user`]): `nogroup` and `nobody` of Debian.
pub const SANDBOX_UID: u32 = 65534;

/// What a sandbox can reach.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Nothing but its own loopback interface.
    #[default]
    None,
    /// The outside, through a bridge on which sandboxes don't see each other.
    Egress,
}

/// What a sandbox is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Runs a script.
    Execution,
    /// Installs packages: it writes to a volume, which no script ever sees.
    Build {
        /// The name of the volume; `None` is one that is removed with the
        /// container.
        cache_volume: Option<String>,
    },
}

/// How a sandbox is created.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SandboxSpec {
    /// Id of the image, so that a tag that moves changes nothing.
    pub image: String,
    /// What it may use.
    pub limits: Limits,
    /// What it can reach.
    pub network: Network,
    /// What it sees of the host; nothing by default.
    pub mounts: Vec<Mount>,
    /// The OCI runtime, when it is not the engine's default.
    pub oci_runtime: Option<String>,
    /// Files in its writable places may be executed and loaded.
    pub exec: bool,
    /// What it is for.
    pub purpose: Purpose,
}

impl SandboxSpec {
    /// True if it runs as [`SANDBOX_UID`], because what it writes to outlives it and is
    /// made for that user.
    #[must_use]
    pub fn shares_user(&self) -> bool {
        self.purpose != Purpose::Execution || self.mounts.iter().any(|mount| !mount.read_only)
    }
}

//! How a container is confined, in the engine's own words: what an execution's
//! receipt shows. What it must be at least is said by [`Confinement::holds`].

mod sealed;
mod shortfall;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use sealed::SealedConfinement;
pub use shortfall::Shortfall;

/// The effective settings of a container, as its engine reports them. What an
/// engine does not report is null, or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Confinement {
    /// The OCI runtime.
    pub runtime: Option<String>,
    /// User and group of all its processes.
    pub user: String,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// Docker's network mode.
    pub network_mode: String,
    /// There is nothing but the loopback interface, whatever the mode.
    pub network_disabled: bool,
    /// The engine's networks that it is on.
    pub networks: Vec<String>,
    /// The root file system can't be written to.
    pub readonly_root: bool,
    /// Nothing of all this holds.
    pub privileged: bool,
    /// Capabilities that it does not have.
    pub capabilities_dropped: Vec<String>,
    /// Capabilities beyond the engine's defaults.
    pub capabilities_added: Vec<String>,
    /// No program gives more rights than whoever starts it has.
    pub no_new_privileges: bool,
    /// The system call filter: `sha256:` and the SHA-256 of its content in
    /// hexadecimal, or the engine's own word for it.
    pub seccomp: Option<String>,
    /// The AppArmor profile.
    pub apparmor: Option<String>,
    /// All other security options.
    pub security_options: Vec<String>,
    /// Memory, in bytes.
    pub memory_bytes: i64,
    /// Memory and swap together, in bytes; −1 where the kernel can't limit swap.
    pub memory_swap_bytes: i64,
    /// CPU time per time, in billionths of a CPU.
    pub nano_cpus: i64,
    /// Processes and threads.
    pub pids: i64,
    /// Limits of each process, by their names.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Settings of its own kernel namespaces; null when the engine does not say.
    pub sysctls: Option<BTreeMap<String, String>>,
    /// The places in memory that can be written to, with their mount options.
    pub tmpfs: BTreeMap<String, String>,
    /// What it sees of the host.
    pub mounts: Vec<SeenMount>,
    /// Devices of the host.
    pub devices: Vec<String>,
    /// What in /proc and /sys it does not see; null when the engine does not say.
    pub masked_paths: Option<Vec<String>>,
    /// What in /proc it can't write to; null when the engine does not say.
    pub readonly_paths: Option<Vec<String>>,
    /// Whose IPC namespace it has.
    pub ipc_mode: String,
    /// Whose process namespace it has; empty is its own.
    pub pid_mode: String,
    /// Whose host name it has; empty is its own.
    pub uts_mode: String,
    /// Whose users it has; empty is the engine's default.
    pub userns_mode: String,
    /// Whose cgroups it sees.
    pub cgroupns_mode: String,
    /// What keeps its output.
    pub log_driver: String,
}

impl Confinement {
    /// True when files in the sandbox's own places can be executed.
    #[must_use]
    pub fn executes_files(&self) -> bool {
        let options = self.tmpfs.get("/work").map_or("", String::as_str);
        !options.split(',').any(|option| option == "noexec")
    }
}

/// A limit of each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ulimit {
    /// What it begins with.
    pub soft: i64,
    /// What it can be raised to.
    pub hard: i64,
}

/// A folder or volume of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeenMount {
    /// Where it is on the host.
    pub source: String,
    /// Where the sandbox sees it.
    pub target: String,
    /// It can't be written to.
    pub read_only: bool,
}

//! Confinement of a container in the engine's own terms, as the execution's receipt shows
//! it. [`Confinement::verify_against`] compares it with the required minimum.

mod gap;
mod sealed;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use gap::ConfinementGap;
pub use sealed::SealedConfinement;

/// Effective settings of a container, as its engine reports them. A setting that the engine
/// does not report is null or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confinement {
    /// OCI runtime.
    pub runtime: Option<String>,
    /// User and group of all its processes.
    pub user: String,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// Docker's network mode.
    pub network_mode: String,
    /// True if the loopback interface is the only one, in any network mode.
    pub network_disabled: bool,
    /// The engine's networks that the container is connected to.
    pub networks: Vec<String>,
    /// True if the root file system is read-only.
    pub readonly_root: bool,
    /// True if the container is privileged, which cancels all other settings.
    pub privileged: bool,
    /// Capabilities that were dropped.
    pub capabilities_dropped: Vec<String>,
    /// Capabilities added to the engine's defaults.
    pub capabilities_added: Vec<String>,
    /// True if a program never gets more privileges than its parent.
    pub no_new_privileges: bool,
    /// System call filter: `sha256:` and the SHA-256 of its content in hexadecimal, or the
    /// engine's own word for it.
    pub seccomp: Option<String>,
    /// AppArmor profile.
    pub apparmor: Option<String>,
    /// All other security options.
    pub security_options: Vec<String>,
    /// Memory limit, in bytes.
    pub memory_bytes: i64,
    /// Limit of memory and swap together, in bytes; −1 if the kernel can't limit swap.
    pub memory_swap_bytes: i64,
    /// CPU limit, in billionths of a CPU.
    pub nano_cpus: i64,
    /// Limit of processes and threads.
    pub pids: i64,
    /// Limits of each process, by name.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Settings of its own kernel namespaces; null if the engine does not report them.
    pub sysctls: Option<BTreeMap<String, String>>,
    /// Writable file systems in memory, with their mount options.
    pub tmpfs: BTreeMap<String, String>,
    /// Folders and volumes of the host that it sees.
    pub mounts: Vec<SeenMount>,
    /// Devices of the host that it sees.
    pub devices: Vec<String>,
    /// Hidden paths in /proc and /sys; null if the engine does not report them.
    pub masked_paths: Option<Vec<String>>,
    /// Read-only paths in /proc; null if the engine does not report them.
    pub readonly_paths: Option<Vec<String>>,
    /// IPC namespace mode.
    pub ipc_mode: String,
    /// Process namespace mode; empty means its own.
    pub pid_mode: String,
    /// Host name (UTS) namespace mode; empty means its own.
    pub uts_mode: String,
    /// User namespace mode; empty means the engine's default.
    pub userns_mode: String,
    /// Cgroup namespace mode.
    pub cgroupns_mode: String,
    /// Log driver of the engine.
    pub log_driver: String,
}

impl Confinement {
    /// True if files in the sandbox's writable places can be executed.
    #[must_use]
    pub fn executes_files(&self) -> bool {
        let options = self.tmpfs.get("/work").map_or("", String::as_str);
        !options.split(',').any(|option| option == "noexec")
    }
}

/// Limit of each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Initial value.
    pub soft: i64,
    /// Value up to which the process may raise it.
    pub hard: i64,
}

/// Folder or volume of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenMount {
    /// Path on the host.
    pub source: String,
    /// Path in the sandbox.
    pub target: String,
    /// True if it is read-only.
    pub read_only: bool,
}

//! Comparison of a container's confinement with the requested one. Some engines report a
//! setting in other words: that is no gap. Any other difference that weakens the
//! confinement is one, also in settings that this module does not know: capabilities,
//! devices, groups and mounts must be requested to be allowed.

use std::fmt;

use thiserror::Error;

use super::{Confinement, SeenMount};

/// The first setting that is weaker than requested.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the engine confines the sandbox less than requested: {setting} {is}")]
pub struct ConfinementGap {
    /// Name of the setting in the receipt.
    pub setting: &'static str,
    /// Its value, and the value that it should have.
    is: String,
}

/// Default capabilities of containers on every engine. Podman lists dropped capabilities
/// one by one, and never reports `ALL`.
const DEFAULT_CAPABILITIES: [&str; 11] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Options that restrict a tmpfs; the others describe its content.
const TMPFS_BOUNDS: [&str; 4] = ["noexec", "nosuid", "nodev", "size="];

/// Tolerance for `nano_cpus`, in billionths of a CPU: engines that store a quota in
/// microseconds per 100 milliseconds (`cpu.cfs_quota_us`) report it rounded.
const CPU_ROUNDING: i64 = 10_000;

/// Name that Podman reports for every OCI runtime in Docker's API.
const ANY_RUNTIME: &str = "oci";

impl Confinement {
    /// Checks that no setting is weaker than `requested`.
    ///
    /// # Errors
    /// [`ConfinementGap`], the first that is found.
    pub fn verify_against(&self, requested: &Self) -> Result<(), ConfinementGap> {
        self.verify_privileges(requested)?;
        self.verify_kernel(requested)?;
        self.verify_network(requested)?;
        self.verify_limits(requested)?;
        self.verify_files(requested)
    }

    fn verify_privileges(&self, requested: &Self) -> Result<(), ConfinementGap> {
        require("privileged", !self.privileged, self.privileged, false)?;
        require("user", self.user == requested.user, &self.user, &requested.user)?;
        none_beyond("groups", &self.groups, &requested.groups)?;
        none_beyond("capabilities_added", &self.capabilities_added, &requested.capabilities_added)?;
        let is_dropped = |name: &str| {
            let mut dropped = self.capabilities_dropped.iter();
            dropped.any(|it| it.trim_start_matches("CAP_").eq_ignore_ascii_case(name))
        };
        let is_bare = is_dropped("ALL") || DEFAULT_CAPABILITIES.into_iter().all(is_dropped);
        let dropped = self.capabilities_dropped.join(", ");
        require("capabilities_dropped", is_bare, format!("{dropped:?}"), "ALL")?;
        let has_none = self.no_new_privileges || !requested.no_new_privileges;
        require("no_new_privileges", has_none, self.no_new_privileges, true)
    }

    fn verify_kernel(&self, requested: &Self) -> Result<(), ConfinementGap> {
        let wanted = requested.seccomp.as_deref().unwrap_or_default();
        let seccomp = self.seccomp.as_deref().unwrap_or("not set");
        // A word is the name or the path under which the engine keeps a profile.
        let is_filtered = match seccomp {
            "not set" | "" | "unconfined" => wanted.is_empty(),
            content if content.starts_with("sha256:") => content == wanted,
            _ => true,
        };
        require("seccomp", is_filtered, seccomp, wanted)?;
        let is_runtime = match (&self.runtime, &requested.runtime) {
            (_, None) => true,
            (Some(is), Some(requested)) => is == requested || is == ANY_RUNTIME,
            (None, Some(_)) => false,
        };
        let runtime = |it: &Option<String>| it.as_deref().unwrap_or("not set").to_owned();
        require("runtime", is_runtime, runtime(&self.runtime), runtime(&requested.runtime))?;
        none_beyond("devices", &self.devices, &requested.devices)?;
        for (setting, paths) in
            [("masked_paths", &self.masked_paths), ("readonly_paths", &self.readonly_paths)]
        {
            let are_held = paths.as_ref().is_none_or(|it| !it.is_empty());
            require(setting, are_held, "empty", "the engine's defaults")?;
        }
        for (setting, mode) in [
            ("ipc_mode", &self.ipc_mode),
            ("pid_mode", &self.pid_mode),
            ("uts_mode", &self.uts_mode),
            ("userns_mode", &self.userns_mode),
        ] {
            require(setting, is_own(mode), mode, "its own")?;
        }
        Ok(())
    }

    fn verify_network(&self, requested: &Self) -> Result<(), ConfinementGap> {
        let mode = self.network_mode.as_str();
        let is_held = match requested.network_mode.as_str() {
            "none" => mode == "none",
            // Engines say its id or its driver in place of its name.
            _ => is_own(mode) && self.networks.iter().all(|it| requested.networks.contains(it)),
        };
        let networks = self.networks.join(", ");
        require("network_mode", is_held, format!("{mode} ({networks})"), &requested.network_mode)
    }

    fn verify_limits(&self, requested: &Self) -> Result<(), ConfinementGap> {
        at_most("memory_bytes", self.memory_bytes, requested.memory_bytes)?;
        // Without swap accounting a sandbox may swap, and is bounded all the same.
        if self.memory_swap_bytes != -1 {
            at_most("memory_swap_bytes", self.memory_swap_bytes, requested.memory_swap_bytes)?;
        }
        at_most("nano_cpus", self.nano_cpus, requested.nano_cpus.saturating_add(CPU_ROUNDING))?;
        at_most("pids", self.pids, requested.pids)?;
        for (name, limit) in &requested.ulimits {
            let is = self.ulimits.get(name).map(|it| it.hard);
            let is_held = is.is_some_and(|is| (0..=limit.hard).contains(&is));
            let is = is.map_or_else(|| "not set".to_owned(), |is| is.to_string());
            require("ulimits", is_held, format!("{name}={is}"), format!("{name}={}", limit.hard))?;
        }
        let Some(sysctls) = &self.sysctls else { return Ok(()) };
        for (name, value) in requested.sysctls.iter().flatten() {
            let is = sysctls.get(name).map_or("not set", String::as_str);
            require("sysctls", is == value, format!("{name}={is}"), format!("{name}={value}"))?;
        }
        Ok(())
    }

    fn verify_files(&self, requested: &Self) -> Result<(), ConfinementGap> {
        let is_readonly = self.readonly_root || !requested.readonly_root;
        require("readonly_root", is_readonly, self.readonly_root, true)?;
        for (target, options) in &requested.tmpfs {
            let is = self.tmpfs.get(target).map_or("", String::as_str);
            let has = |wanted: &str| is.split(',').any(|option| option == wanted);
            let is_bound = |it: &&str| TMPFS_BOUNDS.iter().any(|bound| it.starts_with(bound));
            let is_held = options.split(',').filter(is_bound).all(has);
            let (is, wanted) = (format!("{target} {is:?}"), format!("{options:?}"));
            require("tmpfs", is_held, is, wanted)?;
        }
        for mount in &self.mounts {
            let mut wanted = requested.mounts.iter().filter(|it| it.target == mount.target);
            let is_held = wanted.any(|requested| is_no_more(mount, requested));
            require("mounts", is_held, mount, "what was requested for")?;
        }
        Ok(())
    }
}

/// True if a mount is the requested one. An engine in a virtual machine sees the host's
/// files below a folder of its own; a volume that was requested without a name has one.
fn is_no_more(mount: &SeenMount, requested: &SeenMount) -> bool {
    mount.source.ends_with(&requested.source) && (mount.read_only || !requested.read_only)
}

/// True if a namespace is not shared.
fn is_own(mode: &str) -> bool {
    let owner = mode.split(':').next().unwrap_or_default();
    !matches!(owner, "host" | "container" | "ns" | "shareable" | "pod")
}

fn require(
    setting: &'static str,
    is_held: bool,
    is: impl fmt::Display,
    requested: impl fmt::Display,
) -> Result<(), ConfinementGap> {
    if is_held {
        return Ok(());
    }
    Err(ConfinementGap { setting, is: format!("is {is}, and should be {requested}") })
}

/// Checks a limit; 0 or less means no limit.
fn at_most(setting: &'static str, is: i64, most: i64) -> Result<(), ConfinementGap> {
    require(setting, (1..=most).contains(&is), is, format!("at most {most}"))
}

fn none_beyond(
    setting: &'static str,
    is: &[String],
    requested: &[String],
) -> Result<(), ConfinementGap> {
    let is_held = is.iter().all(|it| requested.contains(it));
    let requested = if requested.is_empty() { "empty".to_owned() } else { requested.join(", ") };
    require(setting, is_held, is.join(", "), requested)
}

impl fmt::Display for SeenMount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sources are the server's own files, which callers are told nothing of.
        let access = if self.read_only { "read-only" } else { "writable" };
        write!(formatter, "{} ({access})", self.target)
    }
}

#[cfg(test)]
mod tests;

//! Conversion of the engine's inspection of a container, and of the requested settings,
//! to a [`Confinement`]. Both go through one function, so that equal settings give equal
//! values.

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, DeviceMapping, DeviceRequest, HostConfig, Mount,
    MountPoint, ResourcesUlimits,
};
use sha2::{Digest, Sha256};

use super::hardening;
use crate::domain::confinement::{Confinement, SeenMount, Ulimit};
use crate::domain::mount;
use crate::domain::sandbox_spec::SandboxSpec;
use crate::domain::user::User;
use crate::engine::Labels;

/// Default CPU period, in microseconds (`cpu.cfs_period_us`).
const CPU_PERIOD: i64 = 100_000;

/// Source of a mount that is part of the container's own folder. Its path differs from
/// container to container and is nobody's business, and receipts that differ in nothing else
/// are stored once.
const OWN_FOLDER: &str = "own folder";

/// Confinement that a spec requests for this user, with these parts of its own folder.
#[must_use]
pub fn requested_confinement(spec: &SandboxSpec, user: User, own: &[mount::Mount]) -> Confinement {
    let body = hardening::container_body(spec, user, &Labels::new(), own);
    let host = body.host_config.unwrap_or_default();
    let mounts = host.mounts.iter().flatten().map(requested_mount);
    let mounts = mounts.map(|mount| named_as_own(mount, own)).collect();
    let networks = host.network_mode.clone().into_iter().collect();
    Confinement {
        user: body.user.unwrap_or_default(),
        network_disabled: body.network_disabled.unwrap_or_default(),
        networks,
        mounts,
        ..from_host_config(host)
    }
}

/// Confinement that the engine reports of a container that may see these parts of its own
/// folder.
pub(super) fn reported_confinement(
    inspected: ContainerInspectResponse,
    own: &[mount::Mount],
) -> Confinement {
    let ContainerConfig { user, network_disabled, .. } = inspected.config.unwrap_or_default();
    let networks = inspected.network_settings.and_then(|it| it.networks).unwrap_or_default();
    let mut networks: Vec<_> = networks.into_keys().collect();
    networks.sort();
    let mounts = inspected.mounts.iter().flatten().filter_map(reported_mount);
    let mut mounts: Vec<_> = mounts.map(|mount| named_as_own(mount, own)).collect();
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    Confinement {
        user: user.unwrap_or_default(),
        network_disabled: network_disabled.unwrap_or_default(),
        networks,
        mounts,
        apparmor: inspected.app_armor_profile.filter(|it| !it.is_empty()),
        ..from_host_config(inspected.host_config.unwrap_or_default())
    }
}

fn from_host_config(host: HostConfig) -> Confinement {
    let security = Security::read(host.security_opt.unwrap_or_default());
    let devices = host.devices.iter().flatten().map(device);
    let requests = host.device_requests.iter().flatten().map(requested_device);
    let rules = host.device_cgroup_rules.iter().flatten().cloned();
    let quota = host.cpu_quota.filter(|it| *it > 0).map(|quota| {
        let period = host.cpu_period.filter(|it| *it > 0).unwrap_or(CPU_PERIOD);
        quota.saturating_mul(1_000_000_000) / period
    });
    Confinement {
        runtime: host.runtime.filter(|it| !it.is_empty()),
        groups: host.group_add.unwrap_or_default(),
        network_mode: host.network_mode.unwrap_or_default(),
        readonly_root: host.readonly_rootfs.unwrap_or_default(),
        privileged: host.privileged.unwrap_or_default(),
        capabilities_dropped: host.cap_drop.unwrap_or_default(),
        capabilities_added: host.cap_add.unwrap_or_default(),
        no_new_privileges: security.no_new_privileges,
        seccomp: security.seccomp,
        security_options: security.others,
        memory_bytes: host.memory.unwrap_or_default(),
        memory_swap_bytes: host.memory_swap.unwrap_or_default(),
        nano_cpus: host.nano_cpus.filter(|it| *it > 0).or(quota).unwrap_or_default(),
        pids: host.pids_limit.unwrap_or_default(),
        ulimits: host.ulimits.into_iter().flatten().filter_map(ulimit).collect(),
        sysctls: host.sysctls.map(|it| it.into_iter().collect()),
        tmpfs: host.tmpfs.unwrap_or_default().into_iter().collect(),
        devices: devices.chain(requests).chain(rules).collect(),
        masked_paths: host.masked_paths,
        readonly_paths: host.readonly_paths,
        ipc_mode: host.ipc_mode.unwrap_or_default(),
        pid_mode: host.pid_mode.unwrap_or_default(),
        uts_mode: host.uts_mode.unwrap_or_default(),
        userns_mode: host.userns_mode.unwrap_or_default(),
        cgroupns_mode: host.cgroupns_mode.map(|it| it.to_string()).unwrap_or_default(),
        log_driver: host.log_config.and_then(|it| it.typ).unwrap_or_default(),
        ..Confinement::default()
    }
}

#[derive(Default)]
struct Security {
    no_new_privileges: bool,
    seccomp: Option<String>,
    others: Vec<String>,
}

impl Security {
    fn read(options: Vec<String>) -> Self {
        let mut security = Self::default();
        for option in options {
            let (name, value) = option.split_once(['=', ':']).unwrap_or((&option, "true"));
            match name {
                "no-new-privileges" => security.no_new_privileges = value == "true",
                "seccomp" => security.seccomp = Some(profile(value)),
                _ => security.others.push(option),
            }
        }
        security
    }
}

/// Shortens a profile: its content is replaced by its digest.
fn profile(value: &str) -> String {
    if value.trim_start().starts_with('{') {
        return format!("sha256:{}", hex::encode(Sha256::digest(value)));
    }
    value.to_owned()
}

/// Reads a ulimit; Podman reports `RLIMIT_NOFILE` for `nofile`.
fn ulimit(limit: ResourcesUlimits) -> Option<(String, Ulimit)> {
    let name = limit.name?.trim_start_matches("RLIMIT_").to_ascii_lowercase();
    let value = |it: Option<i64>| it.unwrap_or(-1);
    Some((name, Ulimit { soft: value(limit.soft), hard: value(limit.hard) }))
}

fn device(device: &DeviceMapping) -> String {
    device.path_on_host.clone().unwrap_or_default()
}

fn requested_device(request: &DeviceRequest) -> String {
    format!("{}: {:?}", request.driver.as_deref().unwrap_or_default(), request.device_ids)
}

fn requested_mount(mount: &Mount) -> SeenMount {
    SeenMount {
        source: mount.source.clone().unwrap_or_default(),
        target: mount.target.clone().unwrap_or_default(),
        read_only: mount.read_only.unwrap_or_default(),
    }
}

/// Reads a mount of the host; a tmpfs is none. A volume is identified by its name, as it
/// was requested.
fn reported_mount(mount: &MountPoint) -> Option<SeenMount> {
    if mount.typ.as_deref() == Some("tmpfs") {
        return None;
    }
    Some(SeenMount {
        source: mount.name.clone().or_else(|| mount.source.clone()).unwrap_or_default(),
        target: mount.destination.clone().unwrap_or_default(),
        read_only: mount.rw == Some(false),
    })
}

/// The mount with a word in place of its path, if it is part of the container's own folder.
/// An engine in a virtual machine sees the host's files below a folder of its own.
fn named_as_own(mount: SeenMount, own: &[mount::Mount]) -> SeenMount {
    let is_own = own.iter().any(|own| {
        own.target == mount.target && mount.source.ends_with(&*own.source.to_string_lossy())
    });
    if is_own { SeenMount { source: OWN_FOLDER.to_owned(), ..mount } } else { mount }
}

#[cfg(test)]
mod tests;

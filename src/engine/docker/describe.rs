//! Version and state of the engine.

use super::Docker;
use crate::engine::deadline::{self, within};
use crate::engine::{EngineError, Verb};

/// Version and state of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Version of the engine.
    pub version: String,
    /// Version of its API.
    pub api_version: String,
    /// Version of Podman, if it answers in place of Docker.
    pub podman_version: Option<String>,
    /// Version of runc, if it is the default runtime: the engine reports no other.
    pub runc_version: Option<String>,
    /// Version of crun, if it is the default runtime.
    pub crun_version: Option<String>,
    /// Version of containerd, if the engine reports it.
    pub containerd_version: Option<String>,
    /// Processor architecture in Go's terms: `amd64`, `arm64`.
    pub architecture: String,
    /// Version of cgroups: `1` or `2`.
    pub cgroup_version: String,
    /// True if containers survive a restart of the engine.
    pub live_restore: bool,
    /// Name of the storage driver of images.
    pub storage_driver: String,
    /// True if images are in containerd's store, not in the engine's own.
    pub containerd_store: bool,
    /// Folder of the engine's data, on the engine's machine.
    pub root_directory: String,
    /// Number of processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// OCI runtimes that a container can request.
    pub oci_runtimes: Vec<String>,
    /// Security options, such as `name=seccomp,…`.
    pub security_options: Vec<String>,
    /// Authorization plugins, which may refuse calls to the engine.
    pub authorization_plugins: Vec<String>,
    /// Limits that the engine can't enforce on this kernel.
    pub missing_limits: Vec<&'static str>,
}

impl Docker {
    /// Asks the engine for its version and state.
    ///
    /// # Errors
    /// [`EngineError`] when it does not answer.
    pub async fn describe(&self) -> Result<Description, EngineError> {
        within(Verb::Describe, deadline::DESCRIBE, async {
            let failed = |error| self.error(Verb::Describe, error);
            let version = self.client.version().await.map_err(failed)?;
            let info = self.client.info().await.map_err(failed)?;
            Ok(description(version, info))
        })
        .await
    }
}

fn description(
    version: bollard::models::SystemVersion,
    info: bollard::models::SystemInfo,
) -> Description {
    let component = |wanted: &str| {
        let components = version.components.iter().flatten();
        components.clone().find(|part| part.name == wanted).map(|part| part.version.clone())
    };
    let mut oci_runtimes: Vec<_> = info.runtimes.unwrap_or_default().into_keys().collect();
    oci_runtimes.sort();
    let limits = [
        ("memory", info.memory_limit),
        ("swap", info.swap_limit),
        ("cpu", info.cpu_cfs_quota),
        ("pids", info.pids_limit),
    ];
    let missing = |(name, there): (&'static str, _)| (there == Some(false)).then_some(name);
    let missing_limits = limits.into_iter().filter_map(missing).collect();
    let status = info.driver_status.unwrap_or_default();
    Description {
        podman_version: component("Podman Engine"),
        runc_version: component("runc"),
        crun_version: component("crun"),
        containerd_version: component("containerd"),
        version: version.version.unwrap_or_default(),
        api_version: version.api_version.unwrap_or_default(),
        architecture: version.arch.unwrap_or_default(),
        cgroup_version: info.cgroup_version.map(|it| it.to_string()).unwrap_or_default(),
        live_restore: info.live_restore_enabled.unwrap_or_default(),
        storage_driver: info.driver.unwrap_or_default(),
        containerd_store: status.iter().flatten().any(|it| it == "io.containerd.snapshotter.v1"),
        root_directory: info.docker_root_dir.unwrap_or_default(),
        cpus: info.ncpu.and_then(|it| u32::try_from(it).ok()).unwrap_or(1),
        memory_bytes: info.mem_total.and_then(|it| u64::try_from(it).ok()).unwrap_or_default(),
        oci_runtimes,
        security_options: info.security_options.unwrap_or_default(),
        authorization_plugins: info.plugins.and_then(|it| it.authorization).unwrap_or_default(),
        missing_limits,
    }
}

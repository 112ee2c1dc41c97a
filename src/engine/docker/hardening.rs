//! Conversion of a [`SandboxSpec`] to the engine's settings. **Deny by default**: each
//! new field here opens something, and `tests/sandbox` has to show that it is safe.

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, ResourcesUlimits,
};
use std::collections::HashMap;

use gantry_init::message::{SCRIPT_DIR, SHARED_MEMORY_DIR, TEMPORARY_DIR, WORK_DIR};

use super::resources::{BUILD_NETWORK, EGRESS_NETWORK};
use crate::domain::limits::Limits;
use crate::domain::mount;
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::domain::script::MAX_SCRIPT_BYTES;
use crate::domain::user::User;
use crate::engine::Labels;

/// Path of PID 1 in every image.
pub(super) const INIT_PATH: &str = "/gantry-init";

/// Mount point of a build sandbox's cache volume.
const CACHE_DIR: &str = "/cache";

/// Seccomp profile: the system calls that a sandbox may make. All others fail with EPERM.
/// The API takes the profile's content, not a path. Arguments are restricted as well:
/// `clone` creates no namespaces; `clone3`, whose arguments can't be checked, fails as on
/// a kernel without it; sockets are unix, IP, or `NETLINK_ROUTE` for the sandbox's own
/// interfaces (netlink(7)); `mknod` creates named pipes only (`S_IFMT` and `S_IFIFO`,
/// inode(7)); `personality` is read-only. PID 1's own filter (`filter.rs` there) protects
/// PID 1 from `prlimit64`, `setpriority` and the like.
const SECCOMP_PROFILE: &str = include_str!("seccomp.json");

/// Largest number of open files of one process; Docker's default is a million.
const OPEN_FILES: i64 = 4096;

/// Largest core file, in bytes. Any value below a page allows no file. If `core_pattern`
/// is a pipe, only 1 keeps the kernel from starting the host's program (`do_coredump`,
/// fs/coredump.c).
const CORE_BYTES: i64 = 1;

/// Largest number of files in one tmpfs: an inode costs the kernel about 1 KiB, which no
/// size limit covers.
const INODES: u32 = 65_536;

/// Size of /tmp, in bytes. It is small: data belongs in /work.
const TMP_BYTES: u64 = 64 * 1024 * 1024;

/// Space in the engine's log besides the two streams, in bytes: for frame headers,
/// artifacts and the output file. Rotation drops the oldest output, so the log must hold
/// everything.
const LOG_OVERHEAD_BYTES: u64 = 256 * 1024 * 1024;

/// Smallest limit on the size of one file, in bytes: PID 1 writes the script and its stdin,
/// of 64 MiB each at most, to files in memory, for which the kernel has the same limit.
const LEAST_FILE_SIZE: u64 = 128 * 1024 * 1024;

/// Request body for the creation of a container that runs as `user` and sees these parts
/// of its own folder on the host.
pub(super) fn container_body(
    spec: &SandboxSpec,
    user: User,
    labels: &Labels,
    own: &[mount::Mount],
) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        labels: Some(labels.clone().into_iter().collect()),
        entrypoint: Some(vec![INIT_PATH.to_owned()]),
        cmd: Some(Vec::new()),
        // A fixed directory, not a script's: CVE-2024-21626 was exploited through the
        // working directory.
        working_dir: Some("/".to_owned()),
        user: Some(user.to_string()),
        hostname: Some("sandbox".to_owned()),
        open_stdin: Some(true),
        // Without it, attached stdin would end only when the client closes its direction.
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        // Avoids the hook that re-executes dockerd at every start (half of the start's
        // time), and all locks of libnetwork.
        network_disabled: Some(spec.network_name() == "none"),
        host_config: Some(host_config(spec, user, own)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &SandboxSpec, user: User, own: &[mount::Mount]) -> HostConfig {
    let Limits { nano_cpus, memory_bytes, pids, .. } = spec.limits;
    HostConfig {
        network_mode: Some(spec.network_name().to_owned()),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec![
            "no-new-privileges".to_owned(),
            format!("seccomp={SECCOMP_PROFILE}"),
        ]),
        ipc_mode: Some("none".to_owned()),
        nano_cpus: i64::try_from(nano_cpus).ok(),
        memory: i64::try_from(memory_bytes).ok(),
        // Equal to the memory limit: no swap.
        memory_swap: i64::try_from(memory_bytes).ok(),
        pids_limit: Some(i64::from(pids)),
        ulimits: Some(ulimits(spec)),
        tmpfs: Some(tmpfs(spec, user)),
        mounts: Some(mounts(spec, own)),
        log_config: Some(log_config(spec)),
        init: Some(false),
        auto_remove: Some(false),
        runtime: spec.oci_runtime.clone(),
        sysctls: Some(sysctls(spec)),
        ..HostConfig::default()
    }
}

impl SandboxSpec {
    fn network_name(&self) -> &'static str {
        match (&self.purpose, self.network) {
            (_, Network::None) => "none",
            (Purpose::Build { .. }, Network::Egress) => BUILD_NETWORK,
            (Purpose::Execution, Network::Egress) => EGRESS_NETWORK,
        }
    }
}

/// Smallest, initial and largest size of TCP socket buffers (tcp(7)), which PID 1's
/// filter enforces. cgroups v1 do not count these buffers, and the kernel has one limit
/// for all containers and the host together (`tcp_mem`).
fn sysctls(spec: &SandboxSpec) -> HashMap<String, String> {
    let (receive, send) = match (&spec.purpose, spec.network) {
        // On loopback smaller buffers are not slower: they fit into the processor's
        // caches. They hold a message of 100 KiB that nobody has read yet, as programs
        // expect that talk to themselves, and no more than UDP's own.
        (_, Network::None) => ("4096 65536 131072", "4096 16384 65536"),
        // Nothing of a wheel runs in a build that may share packages, and it downloads
        // them at high rates.
        (Purpose::Build { cache_volume: Some(_) }, Network::Egress) => return HashMap::new(),
        // Enough for 100 Mbit/s over 80 ms.
        (_, Network::Egress) => ("4096 131072 1048576", "4096 16384 1048576"),
    };
    let both = [("net.ipv4.tcp_rmem", receive), ("net.ipv4.tcp_wmem", send)];
    both.map(|(name, sizes)| (name.to_owned(), sizes.to_owned())).into()
}

fn ulimits(spec: &SandboxSpec) -> Vec<ResourcesUlimits> {
    let limit = |name: &str, value: i64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(value),
        hard: Some(value),
    };
    let mut limits = vec![limit("nofile", OPEN_FILES), limit("core", CORE_BYTES)];
    limits.extend(largest_file(spec).map(|bytes| limit("fsize", bytes)));
    limits
}

/// Largest file that a sandbox with scratch on disk may write, in bytes. Without disk there
/// is no such limit: a tmpfs bounds the space of its files, which is less than their length
/// if they have holes. Mounts have the size that they have, so with a writable one there is
/// none either.
fn largest_file(spec: &SandboxSpec) -> Option<i64> {
    let is_bounded = spec.mounts.iter().all(|mount| mount.read_only);
    match spec.folder {
        RunFolder::Scratch { disk_bytes } if is_bounded => {
            i64::try_from(disk_bytes.max(LEAST_FILE_SIZE)).ok()
        }
        _ => None,
    }
}

/// Options of all writable file systems, each with a size: without one, a tmpfs may take
/// half of the machine's memory. Their pages count against the sandbox's memory.
fn tmpfs(spec: &SandboxSpec, user: User) -> HashMap<String, String> {
    let (uid, gid) = (user.uid(), user.gid());
    let options = |bytes: u64, mode: &str, exec: bool| {
        let exec = if exec { "exec" } else { "noexec" };
        format!(
            "rw,{exec},nosuid,nodev,size={bytes},nr_inodes={INODES},mode={mode},\
             uid={uid},gid={gid}"
        )
    };
    let (scratch, exec) = (spec.limits.scratch_bytes, spec.exec);
    let mut all = HashMap::from([
        (SCRIPT_DIR.to_owned(), options(MAX_SCRIPT_BYTES + 4096, "0700", exec)),
        (TEMPORARY_DIR.to_owned(), options(TMP_BYTES.min(scratch), "1777", exec)),
        // Shared memory, as Docker provides it. Python's multiprocessing needs it, and
        // `IpcMode: none` leaves it out.
        (SHARED_MEMORY_DIR.to_owned(), options(TMP_BYTES.min(scratch), "1777", false)),
    ]);
    if !spec.folder.is_scratch() {
        all.insert(WORK_DIR.to_owned(), options(scratch, "0700", exec));
    }
    all
}

fn mounts(spec: &SandboxSpec, own: &[mount::Mount]) -> Vec<Mount> {
    let cache = match &spec.purpose {
        Purpose::Execution => None,
        Purpose::Build { cache_volume } => Some(Mount {
            typ: Some(MountType::VOLUME),
            source: cache_volume.clone(),
            target: Some(CACHE_DIR.to_owned()),
            ..Mount::default()
        }),
    };
    spec.mounts.iter().chain(own).map(bind).chain(cache).collect()
}

/// Bind mount without the mounts below its source: engines before 25 leave those writable
/// under a read-only bind.
fn bind(mount: &mount::Mount) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.to_string_lossy().into_owned()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            non_recursive: Some(true),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}

/// Log settings. The `local` driver is binary-safe, and PID 1's output can be read again
/// from it after a crash of this process. A build prints an image layer, which nobody
/// reads again.
fn log_config(spec: &SandboxSpec) -> HostConfigLogConfig {
    if spec.purpose != Purpose::Execution {
        return HostConfigLogConfig { typ: Some("none".to_owned()), config: None };
    }
    let bytes = spec.limits.output_bytes.saturating_mul(2).saturating_add(LOG_OVERHEAD_BYTES);
    HostConfigLogConfig {
        typ: Some("local".to_owned()),
        config: Some(HashMap::from([
            ("max-size".to_owned(), bytes.to_string()),
            ("max-file".to_owned(), "1".to_owned()),
            ("compress".to_owned(), "false".to_owned()),
        ])),
    }
}

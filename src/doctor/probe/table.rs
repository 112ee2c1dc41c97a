//! Expected results of all attempts, by the probe's names: a group, a dot, and the
//! attempt.
//!
//! The table holds on every engine from 20.10 on, with cgroups of either version. Where
//! these differ, one of the two is absent: `cgroups` names files of both. Engines mask
//! more of /proc from version to version, which is refused in different ways, and seen in
//! none. Kernels that lack a system call refuse it by that.

use super::expected::Expected;
use crate::domain::limits::Limits;
use crate::domain::sandbox_spec::Network;
use crate::domain::script::MAX_SCRIPT_BYTES;
use crate::domain::uid_range::UidRange;

/// Things of one group that should come out alike.
type Row = (&'static str, &'static [&'static str], Expected);

/// All that is the same with and without a network.
const EVERYWHERE: &[Row] = &[
    ("network", &["loopback"], Expected::Done),
    ("network", &["host's abstract sockets"], Expected::Nothing),
    (
        "sockets",
        &[
            "netlink audit",
            "netlink diagnosis",
            "netlink filters",
            "netlink IPsec",
            "netlink events",
            "netlink generic",
            "netlink cryptography",
            "vsock",
            "pair of vsock",
            "AF_ALG",
            "packet",
            "raw IPv4",
            "raw IPv6",
            "rxrpc",
            "bluetooth",
            "CAN",
            "TIPC",
            "XDP",
            "key management",
            "RDS",
        ],
        Expected::Refused,
    ),
    // Its own interfaces; changing them takes a capability.
    ("sockets", &["netlink route"], Expected::Done),
    (
        "host",
        &[
            "/var/run/docker.sock",
            "/run/docker.sock",
            "/run/containerd/containerd.sock",
            "/run/podman/podman.sock",
            "/run/crio/crio.sock",
            "/run/systemd/private",
        ],
        Expected::RefusedOrAbsent,
    ),
    (
        "host",
        &[
            "/etc/shadow",
            "/proc/kcore",
            "/proc/keys",
            "/proc/timer_list",
            "/proc/sched_debug",
            "/proc/latency_stats",
            "/proc/kpagecount",
            "/proc/kmsg",
            "/proc/vmallocinfo",
            "/proc/slabinfo",
            "/sys/kernel/debug/tracing/trace",
            "/sys/firmware",
            "/proc/acpi",
        ],
        Expected::Nothing,
    ),
    (
        "settings",
        &[
            "/proc/sysrq-trigger",
            "/proc/sys/kernel/core_pattern",
            "/proc/sys/kernel/modprobe",
            "/proc/sys/kernel/hostname",
            "/proc/sys/kernel/panic",
            "/proc/sys/vm/drop_caches",
            "/proc/sys/vm/overcommit_memory",
            "/proc/sys/net/ipv4/ip_forward",
            "/proc/sys/fs/binfmt_misc/register",
            "/proc/irq/default_smp_affinity",
            "/proc/bus/input/devices",
            "/sys/kernel/uevent_helper",
            "/sys/power/state",
        ],
        Expected::RefusedOrAbsent,
    ),
    (
        "cgroups",
        &[
            "/sys/fs/cgroup/cgroup.procs",
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/pids.max",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/pids/pids.max",
            "/sys/fs/cgroup/memory/release_agent",
        ],
        Expected::RefusedOrAbsent,
    ),
    (
        "devices",
        &[
            "/dev/mem",
            "/dev/kmsg",
            "/dev/kvm",
            "/dev/fuse",
            "/dev/net/tun",
            "/dev/sda",
            "/dev/vda",
            "/dev/loop-control",
            "/dev/userfaultfd",
        ],
        Expected::RefusedOrAbsent,
    ),
    ("devices", &["make a disk", "make memory"], Expected::Refused),
    ("devices", &["beyond the ordinary"], Expected::Nothing),
    (
        "writing",
        &[
            "/", "/etc", "/usr/bin", "/opt", "/var/tmp", "/var/lib", "/dev", "/home", "/root",
            "/run", "/sys", "/proc",
        ],
        Expected::RefusedOrAbsent,
    ),
    ("writing", &["/work", "/tmp", "/dev/shm"], Expected::Done),
    ("executing", &["/dev/shm"], Expected::Refused),
    ("identity", &["Gid"], Expected::Is("65534")),
    ("identity", &["Groups"], Expected::Is("65534")),
    (
        "identity",
        &["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"],
        Expected::Is("0000000000000000"),
    ),
    ("identity", &["NoNewPrivs"], Expected::Is("1")),
    // A filter, and not strict mode.
    ("identity", &["Seccomp"], Expected::Is("2")),
    (
        "identity",
        &["setuid root", "setgid root", "setgroups root", "chown to root", "capset"],
        Expected::Refused,
    ),
    ("identity", &["set-id files"], Expected::Nothing),
    ("identity", &["host name"], Expected::Is("sandbox")),
    ("identity", &["environment"], Expected::Is("EXECUTION_ID HOME LANG PATH SCRIPT_NAME")),
    ("processes", &["open descriptors"], Expected::Is("0 1 2")),
    ("processes", &["seen"], Expected::Is("gantry-init")),
    ("processes", &["to be killed last"], Expected::Refused),
    (
        "processes",
        &[
            "own limits",
            "own limits set",
            "own priority",
            "own priority of reading",
            "own scheduler",
            "own processors",
        ],
        Expected::Done,
    ),
    (
        "pid 1",
        &[
            "environ",
            "maps",
            "auxv",
            "stack",
            "syscall",
            "io",
            "pagemap",
            "memory",
            "list of descriptors",
            "descriptor 0",
            "descriptor 1",
            "descriptor 2",
            "root",
            "working directory",
            "program",
            "to be killed first",
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "pidfd_getfd",
            "process_madvise",
            "kcmp",
            "limits",
            "priority",
            "priority of its group",
            "priority of its user",
            "priority of reading",
            "priority of its user's reading",
            "scheduler",
            "processors",
            "limits by another number",
            "priority by another number",
            "processors by another number",
            "move_pages",
        ],
        Expected::RefusedOrAbsent,
    ),
    (
        "namespaces",
        &[
            "user",
            "mount",
            "process",
            "network",
            "host name",
            "IPC",
            "cgroup",
            "clone with one",
            "clone3",
            "setns",
        ],
        Expected::Refused,
    ),
    (
        "mounts",
        &[
            "mount",
            "remount the root",
            "umount",
            "open_tree",
            "move_mount",
            "fsopen",
            "mount_setattr",
            "pivot_root",
            "chroot",
            "open_by_handle_at",
        ],
        Expected::Refused,
    ),
    ("keyring", &["keyctl", "add_key", "request_key"], Expected::Refused),
    (
        "kernel",
        &[
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "bpf",
            "perf_event_open",
            "userfaultfd",
            "personality",
            "init_module",
            "finit_module",
            "delete_module",
            "fanotify_init",
            "name_to_handle_at",
            "mbind",
            "set_mempolicy",
        ],
        Expected::Refused,
    ),
    (
        "administration",
        &[
            "reboot",
            "kexec_load",
            "swapon",
            "swapoff",
            "acct",
            "quotactl",
            "sethostname",
            "setdomainname",
            "syslog",
            "vhangup",
        ],
        Expected::Refused,
    ),
    ("IPC", &["shmget", "msgget", "semget", "mq_open"], Expected::Done),
    ("IPC", &["beyond its own"], Expected::Nothing),
    // Memory has them since kernel 6.6.
    ("attributes", &["user"], Expected::Anything),
    ("attributes", &["capability", "trusted"], Expected::Refused),
    ("clock", &["read"], Expected::Done),
    ("clock", &["set", "settimeofday", "adjust"], Expected::Refused),
    ("limits", &["raised"], Expected::Refused),
    ("limits", &["core files", "core files once lowered"], Expected::Is("1")),
    ("network", &["bytes in a UDP socket"], Expected::Between(1, 1 << 20)),
    ("limits", &["core file"], Expected::Nothing),
    ("limits", &["memory"], Expected::Is("ended by signal 9")),
    ("limits", &["outlived"], Expected::Done),
];

/// Attempts that only this processor has.
#[cfg(target_arch = "x86_64")]
const OF_PROCESSOR: &[Row] = &[("kernel", &["iopl", "ioperm", "modify_ldt"], Expected::Refused)];

#[cfg(not(target_arch = "x86_64"))]
const OF_PROCESSOR: &[Row] = &[];

const WITHOUT_NETWORK: &[Row] = &[
    ("network", &["interfaces"], Expected::Is("lo")),
    ("network", &["default route", "resolvers"], Expected::Nothing),
    ("network", &["IPv4", "IPv6", "metadata service", "DNS"], Expected::Unreachable),
    ("network", &["bytes in a TCP connection"], Expected::Between(1, 256 << 10)),
];

/// Expectations of a sandbox with egress. IPv6, a resolver that answers and a cloud's
/// metadata service depend on the machine: egress is the way out, whatever is there.
const WITH_EGRESS: &[Row] = &[
    ("network", &["interfaces"], Expected::Is("eth0 lo")),
    ("network", &["default route"], Expected::Is("eth0")),
    ("network", &["resolvers"], Expected::Between(1, 16)),
    ("network", &["IPv4"], Expected::Done),
    ("network", &["bytes in a TCP connection"], Expected::Between(1, 4 << 20)),
    ("network", &["IPv6", "metadata service", "DNS"], Expected::Anything),
];

/// Attempts of a script that may execute its own files.
const EXECUTABLE: &[Row] = &[("executing", &["/work", "/tmp"], Expected::Done)];

/// The same of a script with `exec: false`.
const NOT_EXECUTABLE: &[Row] = &[("executing", &["/work", "/tmp"], Expected::Refused)];

/// Open files of one process, and files in one place, as set in the engine.
const OPEN_FILES: u64 = 4_096;
const FILES: u64 = 65_536;

/// /tmp and /dev/shm have no more room than this.
const TMP_BYTES: u64 = 64 << 20;

/// All that is to be tried, with what should come of it.
pub(super) fn expectations(
    network: Network,
    exec: bool,
    limits: &Limits,
    uids: UidRange,
) -> Vec<(String, Expected)> {
    let of_network = match network {
        Network::None => WITHOUT_NETWORK,
        Network::Egress => WITH_EGRESS,
    };
    let of_exec = if exec { EXECUTABLE } else { NOT_EXECUTABLE };
    let rows = of_network.iter().chain(of_exec).chain(EVERYWHERE).chain(OF_PROCESSOR);
    let fixed = rows.flat_map(|(group, names, expected)| {
        names.iter().map(move |name| (format!("{group}.{name}"), expected.clone()))
    });
    let users = Expected::Between(uids.first().into(), uids.last().into());
    let user = ("identity.Uid".to_owned(), users);
    fixed.chain([user]).chain(of_limits(limits)).collect()
}

fn of_limits(limits: &Limits) -> Vec<(String, Expected)> {
    let scratch = limits.scratch_bytes;
    let places = [
        ("/work", scratch),
        ("/tmp", scratch.min(TMP_BYTES)),
        ("/dev/shm", scratch.min(TMP_BYTES)),
        ("/run/gantry", MAX_SCRIPT_BYTES + 4096),
    ];
    let mut all = vec![
        ("limits.open files".to_owned(), Expected::Between(1, OPEN_FILES)),
        // PID 1 and the script are some of them.
        ("limits.processes".to_owned(), Expected::Between(1, u64::from(limits.pids) - 2)),
    ];
    for (place, bytes) in places {
        all.push((format!("limits.bytes in {place}"), Expected::Between(1, bytes)));
        all.push((format!("limits.files in {place}"), Expected::Between(1, FILES)));
    }
    all
}

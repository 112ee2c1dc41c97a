//! Attempts on the file system: files of the host, places that can be written to, and
//! places where files can be executed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::libc;

use crate::attempt::Attempts;

/// The argument with which this program does nothing.
pub(crate) const EXECUTED: &str = "--executed";

/// Sockets of engines.
const ENGINES: [&str; 6] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/systemd/private",
];

/// Files that tell of the host, or of its kernel's memory.
const HOST: [&str; 11] = [
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
];

/// Files that change the kernel of everybody.
const SETTINGS: [&str; 13] = [
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
];

/// Files that would let a sandbox out of its limits, on version 1 and 2.
const CGROUPS: [&str; 6] = [
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/pids.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    "/sys/fs/cgroup/pids/pids.max",
    "/sys/fs/cgroup/memory/release_agent",
];

/// Devices of the host that no container should have.
const DEVICES: [&str; 9] = [
    "/dev/mem",
    "/dev/kmsg",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/sda",
    "/dev/vda",
    "/dev/loop-control",
    "/dev/userfaultfd",
];

/// Devices that every container has (OCI runtime specification, "Default Devices"), and
/// what the engine makes beside them.
const ORDINARY: [&str; 16] = [
    "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr",
    "stdin", "stdout", "tty", "urandom", "zero",
];

/// Places that are not for scripts.
const OTHERS: [&str; 12] = [
    "/", "/etc", "/usr/bin", "/opt", "/var/tmp", "/var/lib", "/dev", "/home", "/root", "/run",
    "/sys", "/proc",
];

/// Places that are.
const OWN: [&str; 3] = ["/work", "/tmp", "/dev/shm"];

pub(crate) fn attempt(attempts: &mut Attempts) {
    for path in ENGINES {
        attempts.try_to(format!("host.{path}"), fs::symlink_metadata(path));
    }
    for path in HOST {
        attempts.read(format!("host.{path}"), first_byte(path));
    }
    attempts.read("host./sys/firmware", entries("/sys/firmware"));
    attempts.read("host./proc/acpi", entries("/proc/acpi"));
    for path in SETTINGS {
        attempts.try_to(format!("settings.{path}"), open_to_write(path));
    }
    for path in CGROUPS {
        attempts.try_to(format!("cgroups.{path}"), open_to_write(path));
    }
    for path in DEVICES {
        attempts.try_to(format!("devices.{path}"), File::open(path));
    }
    attempts.read("devices.beyond the ordinary", unknown_devices());
    let device = |kind: u32, number: usize| {
        let path = c"/work/device".as_ptr() as usize;
        [crate::attempt::signed(libc::AT_FDCWD), path, kind as usize, number]
    };
    attempts.call("devices.make a disk", libc::SYS_mknodat, device(libc::S_IFBLK | 0o666, 8 << 8));
    let memory = device(libc::S_IFCHR | 0o666, (1 << 8) + 1);
    attempts.call("devices.make memory", libc::SYS_mknodat, memory);
    for place in OTHERS {
        attempts.try_to(format!("writing.{place}"), write(place));
    }
    for place in OWN {
        attempts.try_to(format!("writing.{place}"), write(place));
        attempts.try_to(format!("executing.{place}"), execute(place));
    }
}

/// Reports if something is in a file: a masked one is empty.
fn first_byte(path: &str) -> io::Result<String> {
    // Reading the kernel's log waits for more of it.
    let mut file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let read = file.read(&mut [0])?;
    Ok(if read == 0 { "empty" } else { "content" }.to_owned())
}

fn entries(folder: &str) -> io::Result<String> {
    let count = fs::read_dir(folder)?.count();
    Ok(if count == 0 { "empty" } else { "content" }.to_owned())
}

/// Nothing is written.
fn open_to_write(path: &str) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

fn unknown_devices() -> io::Result<String> {
    let names = fs::read_dir("/dev")?.flatten().map(|it| it.file_name());
    let names = names.map(|it| it.to_string_lossy().into_owned());
    let mut unknown: Vec<_> = names.filter(|it| !ORDINARY.contains(&it.as_str())).collect();
    unknown.sort();
    Ok(unknown.join(" "))
}

fn write(place: &str) -> io::Result<()> {
    let path = Path::new(place).join("gantry-probe");
    OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(b"x")?;
    fs::remove_file(path)
}

/// A copy of this program, executed where scripts can write.
fn execute(place: &str) -> io::Result<()> {
    let path = Path::new(place).join("gantry-probe-program");
    let mut program = File::open("/proc/self/exe")?;
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path)?;
    io::copy(&mut program, &mut copy)?;
    drop(copy);
    let executed = Command::new(&path).arg(EXECUTED).stdout(Stdio::null()).status();
    fs::remove_file(path)?;
    executed.map(|_| ())
}

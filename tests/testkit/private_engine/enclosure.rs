//! Namespaces of processes, mounts and networks in which a private engine lives.
//! The kernel ends everything in them with their first process, and that one ends
//! when the test does, however it does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::reap;

/// Command that starts a program in namespaces of its own. A mount that others make later
/// is seen inside, and none that is made inside is seen by others.
const NAMESPACES: [&str; 8] =
    ["unshare", "--mount", "--propagation=slave", "--net", "--pid", "--fork", "--mount-proc", "--"];

/// The first process. Shims put their sockets below /run/containerd, whatever their
/// settings. A shell that waits for a command reaps orphans meanwhile; the command ends
/// with the pipe that the test holds.
const FIRST: &str = "mkdir -p /run/containerd && mount -t tmpfs none /run/containerd && \
     echo ready && cat; :";

/// Has a file system of its own before the first process goes on, in which the folders
/// that are named appear at their own paths, and so do the kernel's. crun refuses to
/// start where both versions of cgroups are in sight.
const OTHER_ROOT: &str = "set -e; root=$1; shift; mount --bind \"$root\" \"$root\"; \
     for folder in /proc /sys /dev \"$@\"; do \
     mkdir -p \"$root$folder\"; mount --rbind \"$folder\" \"$root$folder\"; done; \
     [ ! -e /sys/fs/cgroup/unified ] || umount \"$root/sys/fs/cgroup/unified\"; \
     mount -t tmpfs none \"$root/run\"; mkdir -p /run/containerd; ";

/// The namespaces of one engine.
pub(super) struct Enclosure {
    /// The root of the file system in which its daemons run, if not the machine's.
    root: Option<PathBuf>,
    /// unshare, which waits for the first process and ends with it.
    wrapper: Child,
    first: u32,
}

/// Reason that there can be no enclosure here, if so.
pub(super) fn refusal() -> Option<String> {
    let [unshare, flags @ ..] = NAMESPACES;
    let probe = Command::new(unshare).args(flags).arg("true").output().unwrap();
    (!probe.status.success()).then(|| {
        let said = String::from_utf8_lossy(&probe.stderr);
        format!("an engine of a test's own needs namespaces: {}", said.trim())
    })
}

impl Enclosure {
    /// Opens one whose daemons run in the file system `root`, which has these folders
    /// of the machine's, or in the machine's own.
    pub(super) fn open(root: Option<PathBuf>, folders: &[&Path]) -> Self {
        let [unshare, flags @ ..] = NAMESPACES;
        let mut command = Command::new(unshare);
        command.args(flags).args(["sh", "-c"]);
        match &root {
            Some(root) => {
                command.args([&format!("{OTHER_ROOT}{FIRST}"), "sh"]).arg(root).args(folders)
            }
            None => command.arg(FIRST),
        };
        let mut wrapper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        let stdout = wrapper.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n", "the first process of the enclosure did not start");
        let first = only_child(wrapper.id()).expect("unshare has one child");
        Self { root, wrapper, first }
    }

    /// A command that runs inside.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.first.to_string());
        command.args(["--mount", "--net", "--pid", "--"]);
        if let Some(root) = &self.root {
            command.arg("chroot").arg(root);
        }
        command.arg(program);
        command
    }

    /// Sends a signal to the processes inside whose command line is such, and
    /// answers how many got it. What runs in containers is further inside.
    pub(super) fn signal_all(&self, signal: Signal, is_such: impl Fn(&[String]) -> bool) -> usize {
        let such = self.inside().filter(|pid| is_such(&command_line(*pid)));
        such.filter(|pid| send(*pid, signal)).count()
    }

    /// The command lines of the processes inside.
    pub(super) fn command_lines(&self) -> Vec<Vec<String>> {
        self.inside().map(command_line).collect()
    }

    fn inside(&self) -> impl Iterator<Item = u32> {
        let namespace = namespace_of(self.first);
        processes().filter(move |pid| namespace_of(*pid) == namespace)
    }

    /// Ends everything inside, and waits until it is gone.
    pub(super) fn close(&mut self) {
        drop(self.wrapper.stdin.take());
        reap(&mut self.wrapper, || {});
    }
}

impl Drop for Enclosure {
    fn drop(&mut self) {
        self.close();
    }
}

/// Sends a signal to a process; answers whether it was there.
pub(super) fn send(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// The one child of a process that has one thread (proc(5)).
pub(super) fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn processes() -> impl Iterator<Item = u32> {
    let names = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok())
}

fn namespace_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

fn command_line(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

//! Runs the real gantry-init as PID 1 of namespaces of its own and speaks with
//! it as Gantry would.
//!
//! As root it runs as an ordinary user inside, as in production; otherwise as
//! the root of a user namespace. Where namespaces are not permitted, tests that
//! need them say so and pass.

#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "part of tests")]

pub(crate) mod answer;
pub(crate) mod run;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use gantry_init::frame::{Frame, HEADER_BYTES, Header, TERMINATOR};
use nix::unistd::{Pid, getuid};

/// Longest time that anything in these tests may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The user inside, when the tests run as root: Docker's and our `nobody`.
const NOBODY: u32 = 65534;

/// The next frame, and what stands behind it. Reads no further.
pub(crate) fn next_frame(output: &mut impl Read) -> Frame {
    let mut header = [0; HEADER_BYTES];
    output.read_exact(&mut header).unwrap();
    let Header { kind, length } = Header::decode(header).unwrap();
    let mut payload = vec![0; length + 1];
    output.read_exact(&mut payload).unwrap();
    assert_eq!(payload.pop(), Some(TERMINATOR));
    Frame { kind, payload }
}

/// True when the tests run as root.
pub(crate) fn is_root() -> bool {
    getuid().is_root()
}

/// A started sandbox. Dropped, it and all in it are killed.
pub(crate) struct Sandbox {
    pub(crate) process: Child,
    pub(crate) input: Option<ChildStdin>,
    pub(crate) output: Option<ChildStdout>,
    _root: tempfile::TempDir,
}

impl Sandbox {
    /// Starts an ordinary one; `None`, with a message on stderr, where there can't be
    /// any.
    pub(crate) fn start() -> Option<Self> {
        Self::start_as(NOBODY, &[])
    }

    /// One whose /work is this folder.
    pub(crate) fn start_on(work: &Path) -> Option<Self> {
        Self::start_with(NOBODY, &[], Some(work))
    }

    /// One whose user is `uid` and whose PID 1 is started through `prefix`.
    pub(crate) fn start_as(uid: u32, prefix: &[&str]) -> Option<Self> {
        Self::start_with(uid, prefix, None)
    }

    fn start_with(uid: u32, prefix: &[&str], work: Option<&Path>) -> Option<Self> {
        if !namespaces_are_permitted() {
            eprintln!("skipped: no namespaces here, or no unshare(1)");
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/enter.sh");
        let mut process = unshare()
            .arg("sh")
            .arg(script)
            .arg(root.path())
            .arg(env!("CARGO_BIN_EXE_gantry-init"))
            .arg(if is_root() { uid } else { 0 }.to_string())
            .args(prefix)
            .env("DISK", work.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take(), process.stdout.take());
        Some(Self { process, input, output, _root: root })
    }

    /// PID 1, as it is called outside.
    pub(crate) fn init(&self) -> Pid {
        eventually(|| children(Pid::from_raw(self.process.id().cast_signed())).first().copied())
    }

    /// Waits for the end; the exit code.
    pub(crate) fn exit_code(&mut self) -> i32 {
        eventually(|| self.process.try_wait().unwrap()).code().unwrap()
    }

    /// All that comes out until the end.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.output.take().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // unshare(1) takes its child, and so the whole namespace, with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Asks until there is an answer.
pub(crate) fn eventually<T>(mut answer: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "this takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The direct children of a process.
pub(crate) fn children(of: Pid) -> Vec<Pid> {
    let path = format!("/proc/{of}/task/{of}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|number| Pid::from_raw(number.parse().unwrap())).collect()
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--ipc", "--net"]);
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command
}

fn namespaces_are_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        let mut trial = unshare();
        trial.args(["sh", "-c", "mount -t tmpfs tmpfs /mnt && mount -t proc proc /mnt"]);
        trial.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    })
}

//! A started run.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ended::Ended;
use super::engine;
use super::home::{Home, system};

/// Between two looks at a process, or at the engine.
const PAUSE: Duration = Duration::from_millis(10);

/// A started run. Dropped, it and its containers are killed.
pub(crate) struct Running {
    child: Child,
    home: Home,
    started: Instant,
    guard: Duration,
    stdout: Pipe,
    stderr: Pipe,
}

impl Running {
    pub(super) fn new(
        mut child: Child,
        home: Home,
        stdin: Option<Vec<u8>>,
        guard: Duration,
    ) -> Self {
        if let Some(bytes) = stdin {
            let mut pipe = child.stdin.take().unwrap();
            // The command may end without reading it.
            std::thread::spawn(move || pipe.write_all(&bytes));
        }
        let stdout = Pipe::read(child.stdout.take().unwrap());
        let stderr = Pipe::read(child.stderr.take().unwrap());
        Self { child, home, started: Instant::now(), guard, stdout, stderr }
    }

    /// The value of the label on everything that the run makes.
    pub(crate) fn installation(&self) -> &str {
        self.home.installation()
    }

    /// Waits until this text is on the script's stderr.
    #[track_caller]
    pub(crate) fn wait_for(&self, said: &str) {
        let left = self.guard.saturating_sub(self.started.elapsed());
        let is_said = self.stderr.wait_for(said.as_bytes(), left);
        assert!(is_said, "{said:?} was not said: {}", self.stderr.text());
    }

    /// The command's stderr so far.
    pub(crate) fn said(&self) -> String {
        self.stderr.text()
    }

    /// Sends a signal to the command: `INT`, `TERM`, `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        system("sh", &["-c", &format!("kill -{name} {}", self.child.id())]);
    }

    /// True if the command catches SIGINT (`SigCgt`, proc(5)).
    pub(crate) fn listens_for_interrupts(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
        u64::from_str_radix(caught.trim(), 16).unwrap() & 0b10 != 0
    }

    /// Waits for the end and fails the test when a container is left.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let status = self.wait();
        let left = engine::containers(self.home.installation());
        let ended = self.ended(status);
        assert!(left.is_empty(), "{left:?} were left by {ended:?}");
        ended
    }

    /// Waits for the end, whatever it leaves: that goes with the value.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            let is_late = self.started.elapsed() > self.guard;
            assert!(!is_late, "still running; it has said: {}", self.stderr.text());
            std::thread::sleep(PAUSE);
        }
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        assert!(status.signal() != Some(6), "gantry aborted: {}", self.stderr.text());
        let took = self.started.elapsed();
        let stderr = without_waiting(&String::from_utf8_lossy(&self.stderr.finish()));
        let stdout = self.stdout.finish();
        Ended { code: status.code().unwrap_or(-1), stdout, stderr, took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        engine::remove_containers(self.home.installation());
    }
}

/// Content of a pipe, read by a thread that reads on whatever the test does.
struct Pipe {
    read: Arc<(Mutex<Vec<u8>>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Pipe {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let read = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = Arc::clone(&read);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                shared.0.lock().unwrap().extend_from_slice(&buffer[..length]);
                shared.1.notify_all();
            }
        });
        Self { read, reader: Some(reader) }
    }

    fn wait_for(&self, said: &[u8], time: Duration) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(said.len()).any(|window| window == said);
        let bytes = self.read.0.lock().unwrap();
        let waited = self.read.1.wait_timeout_while(bytes, time, |bytes| !holds(bytes));
        !waited.unwrap().1.timed_out()
    }

    fn finish(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        std::mem::take(&mut self.read.0.lock().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read.0.lock().unwrap()).into_owned()
    }
}

/// Waits until something holds; fails the test after a time that is too long for
/// anything.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "not so after a minute: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Removes the messages that a removal takes its time: they depend on the machine's load.
fn without_waiting(said: &str) -> String {
    let is_other = |line: &&str| !line.trim_end().ends_with("Ctrl-C does not wait for it");
    said.split_inclusive('\n').filter(is_other).collect()
}

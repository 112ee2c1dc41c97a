//! A process of `gantry serve`, from its start to its end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longest time that a server takes to end when it is asked to.
const DOWN_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A server that listens. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    /// Address of its API, without a slash at the end.
    pub(crate) url: String,
}

impl Process {
    /// Starts a server and waits until it listens; its stderr is added to `log`.
    ///
    /// # Errors
    ///
    /// The status of one that ended before.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self, ExitStatus> {
        let log = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url =
            lines.find_map(|line| line.ok()?.strip_prefix("listening on ").map(str::to_owned));
        match url {
            Some(url) => Ok(Self { child, url }),
            None => Err(child.wait().unwrap()),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let _ = kill_process(pid.unwrap(), signal);
    }

    /// Asks it to end, as an operator would, and waits for that.
    ///
    /// # Errors
    ///
    /// What is wrong with its end: a status, or that it did not end in time.
    pub(crate) fn stop(self) -> Result<(), String> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// As above.
    pub(crate) fn wait(mut self) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < DOWN_WITHIN {
            match self.child.try_wait().unwrap() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended with {status}")),
                None => std::thread::sleep(PAUSE),
            }
        }
        Err(format!("the server was asked to stop and had not ended after {DOWN_WITHIN:?}"))
    }

    /// Its open descriptors: `socket` and the like by their kind, files by their name.
    pub(crate) fn descriptors(&self) -> Vec<String> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid())).into_iter().flatten();
        let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        links.map(|link| kind_of(&link.to_string_lossy())).collect()
    }

    /// Number of its threads (proc(5)).
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.pid())).map_or(0, Iterator::count)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `socket:[123]` and the like without the number; a file by its name.
fn kind_of(link: &str) -> String {
    match link.split_once(":[") {
        Some((kind, _)) => kind.to_owned(),
        None => link.rsplit('/').next().unwrap_or(link).to_owned(),
    }
}

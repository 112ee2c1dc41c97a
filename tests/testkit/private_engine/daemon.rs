//! A daemon inside an enclosure.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;

use super::enclosure::{only_child, send};
use super::{PAUSE, UP_WITHIN, reap};

/// A daemon that was started.
pub(super) struct Daemon {
    /// nsenter, which waits for the daemon and ends with it.
    wrapper: Child,
    pid: u32,
}

impl Daemon {
    /// Starts it; its output is added to a file.
    pub(super) fn start(mut command: Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut wrapper = command.spawn().unwrap();
        let begun = Instant::now();
        loop {
            if let Some(pid) = only_child(wrapper.id()) {
                return Self { wrapper, pid };
            }
            let status = wrapper.try_wait().unwrap();
            let is_late = begun.elapsed() > UP_WITHIN;
            assert!(status.is_none() && !is_late, "{command:?} did not start: {status:?}");
            std::thread::sleep(PAUSE);
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.wrapper.try_wait().unwrap().is_some()
    }

    pub(super) fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }

    /// Stops it, and waits until all of its threads have stopped: the kernel tells one of
    /// them, and the others work on until that one has had the processor.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
        let begun = Instant::now();
        while !is_stopped(self.pid) {
            assert!(begun.elapsed() < UP_WITHIN, "process {} does not stop", self.pid);
            std::thread::sleep(PAUSE);
        }
    }

    /// Lets it go on. nsenter stops itself when its child is stopped.
    pub(super) fn resume(&self) {
        go_on(self.pid, self.wrapper.id());
    }

    /// Sends a signal that ends it, and waits for that.
    pub(super) fn end(mut self, signal: Signal) {
        self.signal(signal);
        self.wait();
    }

    /// Waits until it has ended. nsenter stops itself some time after its child has
    /// stopped, so it is told again and again to go on.
    fn wait(&mut self) {
        let (pid, wrapper) = (self.pid, self.wrapper.id());
        reap(&mut self.wrapper, || go_on(pid, wrapper));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(Signal::KILL);
            self.wait();
        }
    }
}

/// True if every thread of a process is stopped (`T`, proc_pid_stat(5)), or none is left.
fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    stats.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')))
}

fn go_on(pid: u32, wrapper: u32) {
    send(pid, Signal::CONT);
    send(wrapper, Signal::CONT);
}

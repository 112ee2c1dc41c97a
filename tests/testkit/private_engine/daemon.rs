//! A daemon inside an enclosure.

use std::fs::File;
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

fn go_on(pid: u32, wrapper: u32) {
    send(pid, Signal::CONT);
    send(wrapper, Signal::CONT);
}

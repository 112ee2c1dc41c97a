//! The power of PID 1 over every process of its sandbox: signal them all, reap
//! them all.
//!
//! `kill(-1)` outside a PID namespace of one's own hits every process of the
//! machine, so nothing in this crate may call it but [`PidOne`], which exists
//! only in PID 1 and looks again before each call.

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use gantry_init::message::End;

/// The number that PID 1 has, and the only one that may signal everyone.
const INIT: Pid = Pid::from_raw(1);

/// Proof that this process is PID 1 of its namespace.
pub(crate) struct PidOne(());

/// Result of [`PidOne::reap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaped {
    /// This process has ended.
    Process(Pid, End),
    /// There are processes, and none has ended.
    NobodyYet,
    /// There are no other processes. All of them descend from PID 1, and
    /// orphans become its children, so this is the whole sandbox.
    Alone,
}

impl PidOne {
    /// The proof, if this process is PID 1.
    pub(crate) fn claim() -> Option<Self> {
        (getpid() == INIT).then_some(Self(()))
    }

    /// Sends `signal` to every process of the sandbox but this one.
    pub(crate) fn signal_everyone(&self, signal: Signal) {
        if getpid() != INIT {
            std::process::abort();
        }
        // Fails only with ESRCH: there is no other process.
        let _ = kill(Pid::from_raw(-1), signal);
    }

    /// Takes the next ended child. Never waits.
    pub(crate) fn reap(&self) -> Reaped {
        let mut status = 0;
        // nix's waitpid is of no use here: for a process that died of a real-time
        // signal it answers EINVAL, after the process has been reaped.
        // SAFETY: `status` is a valid place for an int during the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        match Errno::result(pid) {
            Ok(0) | Err(Errno::EINTR) => Reaped::NobodyYet,
            Ok(pid) => Reaped::Process(Pid::from_raw(pid), end_of(status)),
            Err(_) => Reaped::Alone,
        }
    }
}

/// End of a process with this wait status.
fn end_of(status: libc::c_int) -> End {
    if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Code(libc::WEXITSTATUS(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_gets_the_proof() {
        assert!(PidOne::claim().is_none(), "tests never run as PID 1");
    }

    #[test]
    fn a_wait_status_is_a_code_or_a_signal() {
        assert_eq!(end_of(0), End::Code(0));
        assert_eq!(end_of(255 << 8), End::Code(255));
        assert_eq!(end_of(libc::SIGKILL), End::Signal(9));
        assert_eq!(end_of(libc::SIGSEGV | 0x80), End::Signal(11), "with a core dump");
        assert_eq!(end_of(64), End::Signal(64), "the last real-time signal");
    }
}

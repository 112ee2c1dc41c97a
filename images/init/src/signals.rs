//! The signals that PID 1 listens to, as a file descriptor.
//!
//! SIGCHLD means that there is a child to reap; SIGTERM and SIGINT from outside the
//! sandbox end the script. From inside they are the script's own doing and mean nothing.

use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// Most signals that are taken in one turn. Standard signals do not queue: three
/// kinds can't be more than three at once.
const MOST_PER_TURN: usize = 3;

/// The signals that are waiting.
pub(crate) struct Signals {
    queue: SignalFd,
}

impl Signals {
    /// Blocks what is to be listened to, and ignores what would kill PID 1 or
    /// break a write: SIGPIPE, and SIGXFSZ of a file size limit.
    pub(crate) fn listen() -> nix::Result<Self> {
        for ignored in [Signal::SIGPIPE, Signal::SIGXFSZ] {
            set_disposition(ignored, SigHandler::SigIgn)?;
        }
        // If it were still ignored, the kernel would reap our children unseen.
        set_disposition(Signal::SIGCHLD, SigHandler::SigDfl)?;
        let heard = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT]);
        heard.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self { queue: SignalFd::with_flags(&heard, flags)? })
    }

    /// Takes the waiting signals; true when one of them, from outside, requests the
    /// script's end.
    pub(crate) fn take(&self) -> bool {
        let mut stop = false;
        for _ in 0..MOST_PER_TURN {
            let Ok(Some(info)) = self.queue.read_signal() else { break };
            stop |= asks_for_the_end(&info);
        }
        stop
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

/// A sender outside our PID namespace has no PID in it. The code has to be that
/// of kill(2) too: a process inside can claim to be any PID with sigqueue(3),
/// but not with that code.
fn asks_for_the_end(info: &libc::signalfd_siginfo) -> bool {
    let number = info.ssi_signo.cast_signed();
    let is_request = number == libc::SIGTERM || number == libc::SIGINT;
    is_request && info.ssi_pid == 0 && info.ssi_code == libc::SI_USER
}

/// Gives every signal its default effect again and blocks none. For the script's
/// process, between fork and exec: makes system calls only.
pub(crate) fn restore_defaults() {
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: the default runs no code of ours. KILL, STOP and what the C
        // library keeps for itself can't be set, and need not be.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    let _ = SigSet::empty().thread_set_mask();
}

fn set_disposition(of: Signal, handler: SigHandler) -> nix::Result<()> {
    // SAFETY: only ever SIG_IGN or SIG_DFL, so no code of ours runs in a handler.
    unsafe { signal(of, handler) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(signal: i32, pid: u32, code: i32) -> libc::signalfd_siginfo {
        // SAFETY: plain integers, for which zero is a value.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        info.ssi_signo = signal.cast_unsigned();
        info.ssi_pid = pid;
        info.ssi_code = code;
        info
    }

    #[test]
    fn only_kill_from_outside_asks_for_the_end() {
        assert!(asks_for_the_end(&info(libc::SIGTERM, 0, libc::SI_USER)));
        assert!(asks_for_the_end(&info(libc::SIGINT, 0, libc::SI_USER)));
        assert!(!asks_for_the_end(&info(libc::SIGTERM, 7, libc::SI_USER)), "from inside");
        assert!(!asks_for_the_end(&info(libc::SIGTERM, 0, libc::SI_QUEUE)), "forged");
        assert!(!asks_for_the_end(&info(libc::SIGCHLD, 0, libc::SI_USER)));
    }
}

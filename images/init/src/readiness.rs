//! poll(2) over a few file descriptors, some of which may be of no interest now.

use nix::libc;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// Readiness to wait for on one file descriptor.
#[derive(Clone, Copy)]
pub(crate) struct Interest<'fd> {
    fd: BorrowedFd<'fd>,
    events: libc::c_short,
}

impl<'fd> Interest<'fd> {
    /// Bytes to read, or the end.
    pub(crate) fn reading(fd: &'fd impl AsFd) -> Self {
        Self { fd: fd.as_fd(), events: libc::POLLIN }
    }

    /// Room to write, or a reader that is gone.
    pub(crate) fn writing(fd: &'fd impl AsFd) -> Self {
        Self { fd: fd.as_fd(), events: libc::POLLOUT }
    }
}

/// Waits until one of `interests` is ready or `timeout` is over (`None`: never), and
/// returns which are ready. A signal or a failure ends the wait with none.
pub(crate) fn wait<const N: usize>(
    interests: [Option<Interest<'_>>; N],
    timeout: Option<Duration>,
) -> [bool; N] {
    let mut slots = interests.map(|interest| match interest {
        Some(Interest { fd, events }) => libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 },
        // poll(2) passes over negative numbers.
        None => libc::pollfd { fd: -1, events: 0, revents: 0 },
    });
    // SAFETY: `slots` is an array of N pollfds, and its file descriptors are
    // borrowed, hence open, until the call is over.
    let ready = unsafe {
        libc::poll(slots.as_mut_ptr(), slots.len() as libc::nfds_t, milliseconds(timeout))
    };
    if ready <= 0 {
        return [false; N];
    }
    slots.map(|slot| slot.revents != 0)
}

/// A timeout as poll(2) wants it, rounded up so that the time is over when the
/// wait is.
fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    let Some(timeout) = timeout else { return -1 };
    let rounded_up = timeout.as_nanos().div_ceil(1_000_000);
    libc::c_int::try_from(rounded_up).unwrap_or(libc::c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn says_which_are_ready() {
        let (silent, _silent_writer) = std::io::pipe().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        let interests = [Some(Interest::reading(&silent)), None, Some(Interest::reading(&reader))];
        assert_eq!(wait(interests, None), [false, false, true]);
    }

    #[test]
    fn the_end_of_a_pipe_is_readable() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        assert_eq!(wait([Some(Interest::reading(&reader))], None), [true]);
    }

    #[test]
    fn timeouts_are_rounded_up() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::MAX)), libc::c_int::MAX);
    }
}

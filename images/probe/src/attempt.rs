//! Keeps the result of each attempt, with errors by their names.

use std::io;

use gantry_probe::{Document, Found};
use nix::errno::Errno;
use nix::libc;

/// Results of the attempts so far.
#[derive(Default)]
pub(crate) struct Attempts {
    pub(crate) found: Document,
}

impl Attempts {
    /// Something that can be done, or not.
    pub(crate) fn try_to<T>(&mut self, name: impl Into<String>, result: io::Result<T>) {
        let found = match result {
            Ok(_) => Found::Done,
            Err(error) => refused(&error),
        };
        self.found.insert(name.into(), found);
    }

    /// Something that is read, or not.
    pub(crate) fn read(&mut self, name: impl Into<String>, result: io::Result<String>) {
        let found = match result {
            Ok(value) => Found::Value(value),
            Err(error) => refused(&error),
        };
        self.found.insert(name.into(), found);
    }

    /// A system call, by its number and arguments.
    pub(crate) fn call<const N: usize>(
        &mut self,
        name: &str,
        number: libc::c_long,
        arguments: [usize; N],
    ) {
        self.try_to(name, call(number, arguments));
    }
}

fn refused(error: &io::Error) -> Found {
    Found::Refused(match error.raw_os_error() {
        Some(number) => format!("{:?}", Errno::from_raw(number)),
        None => format!("{:?}", error.kind()),
    })
}

/// Makes a system call. Whoever calls sees to it that the arguments are valid for it,
/// or such that it can do nothing.
pub(crate) fn call<const N: usize>(
    number: libc::c_long,
    arguments: [usize; N],
) -> io::Result<libc::c_long> {
    let argument = |place: usize| arguments.get(place).copied().unwrap_or(0);
    // SAFETY: see above; a call with too many arguments ignores the rest (syscall(2)).
    let answer = unsafe {
        libc::syscall(number, argument(0), argument(1), argument(2), argument(3), argument(4))
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// A number that a system call takes as a signed one.
pub(crate) const fn signed(number: i32) -> usize {
    number.cast_unsigned() as usize
}

//! Output of the commands for their caller, and the exit code when it can't be printed.

use std::io::{self, Write};

use super::message;

/// Exit code of a program whose stdout nobody reads any more: 128 and SIGPIPE
/// (signal(7)).
const UNREAD: u8 = 128 + 13;

/// Prints all of it, at once.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Prints a line.
pub(super) fn line(text: &str) -> io::Result<()> {
    write(format!("{text}\n").as_bytes())
}

/// Exit code when printing has failed: without a message when the reader has gone, as
/// after `| head`, and otherwise `failed`, with the reason printed.
pub(super) fn unprinted(error: &io::Error, failed: u8) -> u8 {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return UNREAD;
    }
    message::error(&format!("stdout: {error}"), None);
    failed
}

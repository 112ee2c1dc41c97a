//! Printing of a remote script's output: as it is into files and pipes, and without
//! control sequences onto a terminal, for it may be another user's script.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use super::stdout;
use crate::domain::sanitize::is_invisible;

/// Prints a piece of a script's stdout, on a thread of its own: a pipe that is not read
/// must not delay a signal.
///
/// # Errors
/// When stdout can't be written to.
pub(super) async fn out(text: String) -> io::Result<()> {
    let printing = tokio::task::spawn_blocking(move || {
        stdout::write(shown(&text, io::stdout().is_terminal()).as_bytes())
    });
    printing.await.map_err(io::Error::other).flatten()
}

/// Prints a piece of a script's stderr, likewise. A closed one is no reason to
/// fail.
pub(super) async fn err(text: String) {
    let printing = tokio::task::spawn_blocking(move || {
        let mut stderr = io::stderr().lock();
        let text = shown(&text, stderr.is_terminal());
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    });
    let _ = printing.await;
}

/// Characters one by one, so that it makes no difference where a piece ends.
/// Line ends, tabs and carriage returns stay: they move nothing but the place of
/// the script's own next character on its own line.
fn shown(text: &str, is_terminal: bool) -> Cow<'_, str> {
    let is_obeyed = |c: char| is_invisible(c) && !matches!(c, '\n' | '\r' | '\t');
    if !is_terminal || !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it_and_a_file_gets_all_of_it() {
        let text = "a\x1b[2J\u{9b}31m\tb\r\n";
        assert_eq!(shown(text, false), text);
        assert_eq!(shown(text, true), "a\\u{1b}[2J\\u{9b}31m\tb\r\n");
    }
}

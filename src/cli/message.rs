//! Messages of the commands, on stderr.

use std::io::{self, IsTerminal, Write};

use crate::domain::sanitize::escaped;

/// True if stderr is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints an error, and a hint about what to do.
pub(super) fn error(what: &str, hint: Option<&str>) {
    say("error", what);
    if let Some(hint) = hint {
        say("hint", hint);
    }
}

/// Something worth knowing that is no error.
pub(super) fn note(what: &str) {
    say("note", what);
}

/// One message. It may quote a script, an installer or an engine: every line of
/// it is escaped. A closed stderr is no reason to fail.
fn say(kind: &str, what: &str) {
    let lines: Vec<_> = what.trim_end().lines().map(escaped).collect();
    let _ = writeln!(io::stderr().lock(), "{kind}: {}", lines.join("\n"));
}

//! Progress of builds on stderr: one line that changes on a terminal, plain
//! lines otherwise, or nothing.

use std::io::{self, Write};
use std::sync::Mutex;

use super::message;
use crate::domain::sanitize::sanitize;

/// Widest line on a terminal: a line that wraps could not be erased.
const WIDTH: usize = 76;

/// Back to the line's beginning, and erase it (ECMA-48, CR and EL 2).
const ERASE: &str = "\r\x1b[2K";

/// Display of progress.
#[derive(Debug)]
pub(super) enum Progress {
    /// One line that changes; true while it shows something.
    Terminal(Mutex<bool>),
    /// A line each.
    Lines,
    /// Not at all.
    Silent,
}

impl Progress {
    /// On a terminal; silent otherwise.
    pub(super) fn for_terminal() -> Self {
        if message::is_terminal() { Self::Terminal(Mutex::new(false)) } else { Self::Silent }
    }

    /// On a terminal; plain lines otherwise.
    pub(super) fn always() -> Self {
        if message::is_terminal() { Self::Terminal(Mutex::new(false)) } else { Self::Lines }
    }

    /// Shows a line. It may come out of a build: it is cut and escaped.
    pub(super) fn show(&self, line: &str) {
        let line = sanitize(line.trim());
        if line.is_empty() {
            return;
        }
        let mut stderr = io::stderr().lock();
        // A closed stderr is no reason to fail.
        let _ = match self {
            Self::Silent => Ok(()),
            Self::Lines => writeln!(stderr, "{line}"),
            Self::Terminal(shows) => {
                if let Ok(mut shows) = shows.lock() {
                    *shows = true;
                }
                let line: String = line.chars().take(WIDTH).collect();
                write!(stderr, "{ERASE}{line}").and_then(|()| stderr.flush())
            }
        };
    }

    /// Makes room for something else on the terminal.
    pub(super) fn clear(&self) {
        if let Self::Terminal(shows) = self
            && let Ok(mut shows) = shows.lock()
            && std::mem::take(&mut *shows)
        {
            let mut stderr = io::stderr().lock();
            let _ = write!(stderr, "{ERASE}").and_then(|()| stderr.flush());
        }
    }
}

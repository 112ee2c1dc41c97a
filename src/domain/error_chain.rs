//! Text of an error with its causes, for the log.

use std::error::Error;
use std::fmt::Write as _;

/// Text of an error and all its causes. It may name internals, and is never shown to callers.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string can't fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

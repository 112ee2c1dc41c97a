//! Command that fills caches when an environment is built: compiled functions, lists of
//! fonts, colour profiles. Its output becomes part of the image.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use super::script::Script;

/// Most words of a command, its program included.
pub const MAX_WORDS: usize = 64;

/// Most bytes of a command (16 KiB).
pub const MAX_BYTES: usize = 16 * 1024;

/// A command that runs once, when an environment is built.
#[derive(Clone, PartialEq, Eq)]
pub struct WarmUp {
    /// Program and arguments; no shell interprets them.
    pub command: Vec<String>,
    /// File name of the script that the environment is for.
    pub file_name: String,
    /// Bytes of the script: the command finds it at the same path as executions do.
    pub script: Bytes,
    /// Path in the bundle that the script is the entry of: the image has it then.
    pub entry: Option<String>,
}

/// Reason why a warm-up command is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WarmUpError {
    /// The first word, the program, is empty.
    #[error("its first word is empty, and should be the program")]
    NoProgram,
    /// There are more than [`MAX_WORDS`].
    #[error("{0} words, at most {MAX_WORDS} are allowed")]
    TooManyWords(usize),
    /// The words together have more than [`MAX_BYTES`].
    #[error("its words have {0} bytes together, at most {MAX_BYTES} (16 KiB) are allowed")]
    TooLong(usize),
    /// A word has a NUL byte, which no program can receive.
    #[error("word {0} has a NUL byte")]
    Nul(usize),
}

impl WarmUpError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoProgram => Some(
                "write the program and its arguments, such as python3 and script.py".to_owned(),
            ),
            Self::TooManyWords(_) | Self::TooLong(_) => {
                Some("let the script itself do the work when it gets an argument".to_owned())
            }
            Self::Nul(_) => None,
        }
    }
}

/// Checks the words of a command; an empty list means no command.
///
/// # Errors
/// [`WarmUpError`].
pub fn check(command: &[String]) -> Result<(), WarmUpError> {
    if command.len() > MAX_WORDS {
        return Err(WarmUpError::TooManyWords(command.len()));
    }
    let bytes = command.iter().map(|word| word.len() + 1).sum();
    if bytes > MAX_BYTES {
        return Err(WarmUpError::TooLong(bytes));
    }
    if let Some(at) = command.iter().position(|word| word.contains('\0')) {
        return Err(WarmUpError::Nul(at + 1));
    }
    match command.first() {
        Some(program) if program.trim().is_empty() => Err(WarmUpError::NoProgram),
        _ => Ok(()),
    }
}

impl WarmUp {
    /// Warm-up of a script; `None` if there is no command.
    #[must_use]
    pub fn of(command: &[String], script: &Script) -> Option<Self> {
        (!command.is_empty()).then(|| Self {
            command: command.to_vec(),
            file_name: script.file_name().to_owned(),
            script: script.runnable().clone(),
            entry: script.entry().map(str::to_owned),
        })
    }
}

impl fmt::Debug for WarmUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WarmUp")
            .field("command", &self.command)
            .field("file_name", &self.file_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn commands_are_bounded_and_have_a_program() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&words(&["python3", "x.py", ""])), Ok(()));
        for empty in ["", " \t"] {
            assert_eq!(check(&words(&[empty, "x"])), Err(WarmUpError::NoProgram));
        }
        assert_eq!(check(&words(&["a", "b\0"])), Err(WarmUpError::Nul(2)));
        assert_eq!(check(&vec!["a".to_owned(); MAX_WORDS]), Ok(()));
        let many = vec!["a".to_owned(); MAX_WORDS + 1];
        assert_eq!(check(&many), Err(WarmUpError::TooManyWords(65)));
        assert_eq!(check(&["a".repeat(MAX_BYTES - 1)]), Ok(()));
        assert_eq!(check(&["a".repeat(MAX_BYTES)]), Err(WarmUpError::TooLong(16_385)));
    }

    #[test]
    fn a_warm_up_has_the_bytes_that_executions_have() {
        let script = Script::new("a.sh", None, b"#!/bin/sh\r\nls\r\n".to_vec()).unwrap();
        assert_eq!(WarmUp::of(&[], &script), None);
        let warm_up = WarmUp::of(&words(&["sh", "a.sh"]), &script).unwrap();
        assert_eq!(&*warm_up.script, b"#!/bin/sh\nls\n");
        assert_eq!(warm_up.file_name, "a.sh");
    }
}

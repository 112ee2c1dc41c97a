//! Parses the `#!` line of a script as the kernel does, and into words.

use thiserror::Error;

use crate::domain::sanitize::sanitize;

/// Most bytes of a `#!` line that the kernel reads (`BINPRM_BUF_SIZE`, execve(2)).
const SHEBANG_BYTES: usize = 256;

/// Reason why a `#!` line can't be honoured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} in its `#!` line can't be kept to: {reason}", sanitize(word))]
pub struct ShebangError {
    word: String,
    reason: &'static str,
    hint: &'static str,
}

impl ShebangError {
    pub(super) fn new(word: &str, reason: &'static str) -> Self {
        Self { word: word.to_owned(), reason, hint: "leave it out of the `#!` line" }
    }

    pub(super) fn with_hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

/// Interpreter of a `#!` line and its one argument, split as the kernel splits it
/// (execve(2)).
pub(super) fn interpreter(bytes: &[u8]) -> Option<Vec<String>> {
    let line = line(bytes)?;
    let (interpreter, argument) = match line.split_once([' ', '\t']) {
        Some((interpreter, argument)) => (interpreter, Some(argument.trim())),
        None => (line, None),
    };
    interpreter
        .starts_with('/')
        .then(|| [Some(interpreter), argument].into_iter().flatten().map(str::to_owned).collect())
}

/// Text of a `#!` line behind its `#!`.
pub(super) fn line(bytes: &[u8]) -> Option<&str> {
    let head = bytes.strip_prefix(b"#!")?;
    let head = head.get(..SHEBANG_BYTES).unwrap_or(head);
    let line = head.split(|byte| *byte == b'\n').next()?;
    Some(std::str::from_utf8(line).ok()?.trim())
}

/// Words after `env` and its `-S`, if they begin with that.
pub(super) fn behind_env(words: &[String]) -> (bool, Vec<String>) {
    let Some((_, rest)) = words.split_first().filter(|(first, _)| base_name(first) == "env") else {
        return (false, words.to_vec());
    };
    let mut rest = rest.to_vec();
    if let Some(first) = rest.first_mut() {
        match first.strip_prefix("-S").or_else(|| first.strip_prefix("--split-string")) {
            Some("") => drop(rest.remove(0)),
            Some(joined) => *first = joined.trim_start_matches('=').to_owned(),
            None => {}
        }
    }
    (true, rest)
}

/// Last component of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Words separated by blanks; quotes keep blanks, as in a shell.
pub(super) fn words(line: &str) -> Result<Vec<String>, ShebangError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (None, '"' | '\'') => (quote, word) = (Some(c), Some(word.unwrap_or_default())),
            (None, ' ' | '\t') => words.extend(word.take()),
            (_, '\\' | '$') => return Err(ShebangError::new(line, "`\\` and `$` are not taken")),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(ShebangError::new(line, "a quotation mark is missing"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_split_as_the_kernel_does() {
        let split = |text: &str| interpreter(text.as_bytes());
        assert_eq!(split("#! /bin/bash -e -u\nx"), Some(vec!["/bin/bash".into(), "-e -u".into()]));
        assert_eq!(split("#!/bin/sh\r\nx"), Some(vec!["/bin/sh".into()]));
        assert_eq!(split("#!bash"), None);
        assert_eq!(split("#!"), None);
        assert_eq!(split("echo"), None);
    }
}

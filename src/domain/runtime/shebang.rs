//! Parses the `#!` line of a script: as the kernel does for a shell script, and for the
//! options of a Python script, whose interpreter Gantry chooses.

use thiserror::Error;

use crate::domain::python::PythonVersion;
use crate::domain::sanitize::sanitize;

/// Most bytes of a `#!` line that the kernel reads (`BINPRM_BUF_SIZE`, execve(2)).
const SHEBANG_BYTES: usize = 256;

/// Options of CPython without a value that a script may have (Python's "Command line and
/// environment"). Options that run other code than the script, or read its input as code,
/// are left out.
const FLAGS: &str = "bBdEIOPqRsSuvx";

/// Options of CPython with a value.
const WITH_VALUE: &str = "WX";

/// Reason why a `#!` line can't be honoured.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} in its `#!` line can't be kept to: {reason}", sanitize(word))]
pub struct ShebangError {
    word: String,
    reason: &'static str,
}

impl ShebangError {
    fn new(word: &str, reason: &'static str) -> Self {
        Self { word: word.to_owned(), reason }
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

fn line(bytes: &[u8]) -> Option<&str> {
    let head = bytes.strip_prefix(b"#!")?;
    let head = head.get(..SHEBANG_BYTES).unwrap_or(head);
    let line = head.split(|byte| *byte == b'\n').next()?;
    Some(std::str::from_utf8(line).ok()?.trim())
}

/// Options for Python in a `#!` line, with or without env(1); none if it names another
/// program. Several options are accepted even where the kernel would pass them as one word,
/// because nobody means that.
///
/// # Errors
/// [`ShebangError`] for an option that can't be honoured.
pub(super) fn python_options(bytes: &[u8]) -> Result<Vec<String>, ShebangError> {
    let words = words(line(bytes).unwrap_or_default())?;
    let (is_env, words) = behind_env(&words);
    let Some((program, options)) = words.split_first() else { return Ok(Vec::new()) };
    let is_python = |word: &str| base_name(word).starts_with("python");
    if !is_python(program) {
        let is_asked = is_env && words.iter().any(|word| is_python(word));
        let reason = "of env, only -S is; set variables in the script's `env`";
        return if is_asked { Err(ShebangError::new(program, reason)) } else { Ok(Vec::new()) };
    }
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        if takes_next(option)? && rest.next().is_none() {
            return Err(ShebangError::new(option, "its value is missing"));
        }
    }
    Ok(options.to_vec())
}

/// Version of Python that a `#!` line names, as in `python3.11`; none if it leaves that
/// open.
///
/// # Errors
/// [`ShebangError`] for an unsupported version.
pub(super) fn python_version(bytes: &[u8]) -> Result<Option<PythonVersion>, ShebangError> {
    // A line that can't be split is reported by `python_options`.
    let words = words(line(bytes).unwrap_or_default()).unwrap_or_default();
    let (_, words) = behind_env(&words);
    let program = words.first().map(String::as_str).unwrap_or_default();
    let version = base_name(program).strip_prefix("python").unwrap_or_default();
    if version == "3" || !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    let unknown = |_| ShebangError::new(program, "there is no such version of Python");
    version.parse().map(Some).map_err(unknown)
}

/// Words after `env` and its `-S`, if they begin with that.
fn behind_env(words: &[String]) -> (bool, Vec<String>) {
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

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// True if the next word is the value of this one, which may be several flags in one.
fn takes_next(word: &str) -> Result<bool, ShebangError> {
    let refused = |reason| Err(ShebangError::new(word, reason));
    let Some(letters) = word.strip_prefix('-').filter(|it| !it.is_empty()) else {
        return refused("it is no option");
    };
    for (at, letter) in letters.char_indices() {
        if WITH_VALUE.contains(letter) {
            return Ok(at + 1 == letters.len());
        }
        if !FLAGS.contains(letter) {
            return refused("options are taken that leave it to the script what is run");
        }
    }
    Ok(false)
}

/// True if an interpreter with these options reads its environment and `site`.
pub(in crate::domain) fn heeds_site(options: &[String]) -> bool {
    let is_deaf = |word: &String| {
        let flags = word.split(|c| WITH_VALUE.contains(c)).next().unwrap_or_default();
        word.starts_with('-') && flags.contains(['E', 'I', 'S'])
    };
    !options.iter().any(is_deaf)
}

/// Words separated by blanks; quotes keep blanks, as in a shell.
fn words(line: &str) -> Result<Vec<String>, ShebangError> {
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

    #[test]
    fn options_for_python_are_found() {
        for (line, expected) in [
            ("", ""),
            ("import os", ""),
            ("#!/usr/bin/python3", ""),
            ("#!/usr/bin/env python3", ""),
            ("#!/usr/bin/env -S python3 -O -W error", "-O|-W|error"),
            ("#!/usr/bin/env -Spython3 -u\r", "-u"),
            ("#!/usr/bin/env --split-string=python3 -OO", "-OO"),
            ("#!/usr/bin/env python3 -bb", "-bb"),
            ("#! /usr/bin/python3.13 -sOWerror -X dev", "-sOWerror|-X|dev"),
            ("#!/usr/bin/python3 -W 'ignore:x y:UserWarning'", "-W|ignore:x y:UserWarning"),
            ("#!/bin/sh -c", ""),
            ("#!/usr/bin/env -S uv run --script", ""),
            ("#!/usr/bin/pypy3 -c", ""),
        ] {
            let found = python_options(format!("{line}\nrest -x").as_bytes());
            assert_eq!(found.map(|it| it.join("|")), Ok(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_version_of_python_is_found() {
        use PythonVersion::{Python310, Python311};
        for (line, expected) in [
            ("", None),
            ("import os", None),
            ("#!/usr/bin/env python", None),
            ("#!/usr/bin/env python3", None),
            ("#!/usr/bin/python3.11", Some(Python311)),
            ("#! /opt/x/bin/python3.10 -O\r", Some(Python310)),
            ("#!/usr/bin/env python3.11", Some(Python311)),
            ("#!/usr/bin/env -S python3.11 -W error", Some(Python311)),
            ("#!/usr/bin/env -Spython3.11", Some(Python311)),
            ("#!/usr/bin/env -S uv run --python 3.11", None),
            ("#!/usr/bin/python-config", None),
            ("#!/usr/bin/pypy3.9", None),
            ("#!/usr/bin/env -S 'python3.11", None),
        ] {
            let found = python_version(format!("{line}\nprint(1)").as_bytes());
            assert_eq!(found, Ok(expected), "{line}");
        }
        for unknown in ["python2", "python2.7", "python3.9", "python3.13.5", "python3.13t"] {
            let error = python_version(format!("#!/usr/bin/env {unknown}\n").as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(&format!("{unknown} in its `#!` line")), "{error}");
        }
    }

    #[test]
    fn what_would_run_something_else_is_refused() {
        for options in
            ["-c pass", "-m pdb", "-", "--", "-Oi", "-h", "-V", "--version", "other.py", "-W"]
        {
            let line = format!("#!/usr/bin/python3 {options}\n");
            assert!(python_options(line.as_bytes()).is_err(), "{options}");
        }
        for line in
            ["env -i python3", "env -S A=1 python3", "env -S 'python3", "env -S python3 -W $W"]
        {
            let found = python_options(format!("#!/usr/bin/{line}\n").as_bytes());
            assert!(found.is_err(), "{line}: {found:?}");
        }
        let error = python_options(b"#!/usr/bin/python3 -m pdb\n").unwrap_err().to_string();
        assert!(error.starts_with("-m in its `#!` line"), "{error}");
    }

    #[test]
    fn some_options_keep_an_interpreter_from_standing_by() {
        let heeds =
            |words: &[&str]| heeds_site(&words.iter().map(|it| (*it).into()).collect::<Vec<_>>());
        assert!(heeds(&["-O", "-W", "ERROR", "-XES", "-bWE"]));
        for word in ["-E", "-I", "-S", "-OI"] {
            assert!(!heeds(&[word]), "{word}");
        }
    }
}

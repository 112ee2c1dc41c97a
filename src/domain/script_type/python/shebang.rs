//! Options and version of Python in the `#!` line of a script, whose interpreter Gantry
//! chooses.

use super::super::shebang::{ShebangError, base_name, behind_env, line, words};
use super::version::PythonVersion;

/// Options of CPython without a value that a script may have (Python's "Command line and
/// environment"). Options that run other code than the script, or read its input as code,
/// are left out.
const FLAGS: &str = "bBdEIOPqRsSuvx";

/// Options of CPython with a value.
const WITH_VALUE: &str = "WX";

/// Advice for a version that there is not.
const VERSIONS: &str = "name one of 3.10, 3.11, 3.12, 3.13 and 3.14 there, or as the script's \
     `python`, which counts more";

/// Options for Python in a `#!` line, with or without env(1); none if it names another
/// program. Several options are accepted even where the kernel would pass them as one word,
/// because nobody means that.
///
/// # Errors
/// [`ShebangError`] for an option that can't be honoured.
pub(super) fn options(bytes: &[u8]) -> Result<Vec<String>, ShebangError> {
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
pub(in crate::domain::script_type) fn version(
    bytes: &[u8],
) -> Result<Option<PythonVersion>, ShebangError> {
    // A line that can't be split is reported by [`options`].
    let words = words(line(bytes).unwrap_or_default()).unwrap_or_default();
    let (_, words) = behind_env(&words);
    let program = words.first().map(String::as_str).unwrap_or_default();
    let version = base_name(program).strip_prefix("python").unwrap_or_default();
    if version == "3" || !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    let unknown = || ShebangError::new(program, "there is no such version of Python");
    version.parse().map(Some).map_err(|_| unknown().with_hint(VERSIONS))
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
pub(super) fn heeds_site(options: &[String]) -> bool {
    let is_deaf = |word: &String| {
        let flags = word.split(|c| WITH_VALUE.contains(c)).next().unwrap_or_default();
        word.starts_with('-') && flags.contains(['E', 'I', 'S'])
    };
    !options.iter().any(is_deaf)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let found = options(format!("{line}\nrest -x").as_bytes());
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
            let found = version(format!("{line}\nprint(1)").as_bytes());
            assert_eq!(found, Ok(expected), "{line}");
        }
        for unknown in ["python2", "python2.7", "python3.9", "python3.13.5", "python3.13t"] {
            let error = version(format!("#!/usr/bin/env {unknown}\n").as_bytes());
            let error = error.unwrap_err();
            assert!(PythonVersion::ALL.iter().all(|it| error.hint().contains(it.name())));
            let error = error.to_string();
            assert!(error.starts_with(&format!("{unknown} in its `#!` line")), "{error}");
        }
    }

    #[test]
    fn what_would_run_something_else_is_refused() {
        for words in
            ["-c pass", "-m pdb", "-", "--", "-Oi", "-h", "-V", "--version", "other.py", "-W"]
        {
            let line = format!("#!/usr/bin/python3 {words}\n");
            assert!(options(line.as_bytes()).is_err(), "{words}");
        }
        for line in
            ["env -i python3", "env -S A=1 python3", "env -S 'python3", "env -S python3 -W $W"]
        {
            let found = options(format!("#!/usr/bin/{line}\n").as_bytes());
            assert!(found.is_err(), "{line}: {found:?}");
        }
        let error = options(b"#!/usr/bin/python3 -m pdb\n").unwrap_err();
        assert_eq!(error.hint(), "leave it out of the `#!` line");
        let error = error.to_string();
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

//! The three script types: detection, launch, and variables. Everything that differs
//! between them is here and in `images/`.

mod shebang;

use std::fmt;
use std::str::FromStr;

use gantry_init::message::Launch;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::python::PythonVersion;

pub use shebang::ShebangError;
pub(super) use shebang::heeds_site;

/// Type of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    /// bash, or the interpreter in the script's `#!` line.
    Shell,
    /// CPython, with the environment of the script's requirements.
    Python,
    /// Compiled ELF executable.
    Binary,
}

/// Python of the image, without requirements or a requested version.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// Python of an installed environment.
const ENVIRONMENT_PYTHON: &str = "/opt/env/bin/python";

/// First bytes of an ELF file (System V ABI, "ELF Identification").
const ELF_MAGIC: &[u8] = b"\x7fELF";

impl Runtime {
    /// All script types, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Shell, Self::Python, Self::Binary];

    /// Name in the API, on the command line and in image tags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Python => "python",
            Self::Binary => "binary",
        }
    }

    /// Detects the type of a file: ELF by its bytes, Python by its name or `#!` line, and
    /// otherwise shell.
    #[must_use]
    pub fn detect(file_name: &str, bytes: &[u8]) -> Self {
        if bytes.starts_with(ELF_MAGIC) {
            return Self::Binary;
        }
        let interpreter = shebang::interpreter(bytes).unwrap_or_default().join(" ");
        if file_name.ends_with(".py") || interpreter.contains("python") {
            return Self::Python;
        }
        Self::Shell
    }

    /// Command that starts a script of this type.
    #[must_use]
    pub fn launch(self, file_name: &str, bytes: &[u8], has_environment: bool) -> Launch {
        let file_name = safe_file_name(file_name);
        let interpreter = match self {
            Self::Binary => return Launch::Executable { name: file_name },
            Self::Python => {
                let program = if has_environment { ENVIRONMENT_PYTHON } else { SYSTEM_PYTHON };
                let options = shebang::python_options(bytes).unwrap_or_default();
                [vec![program.to_owned()], options].concat()
            }
            Self::Shell => {
                shebang::interpreter(bytes).unwrap_or_else(|| vec!["/bin/bash".to_owned()])
            }
        };
        Launch::Interpreted { interpreter, file_name }
    }

    /// Checks that Gantry can honour the `#!` line of a script.
    ///
    /// # Errors
    /// [`ShebangError`] for an option of Python's that it can't honour.
    pub fn check_shebang(self, bytes: &[u8]) -> Result<(), ShebangError> {
        match self {
            Self::Python => shebang::python_options(bytes).map(drop),
            // The kernel evaluates the line.
            Self::Shell | Self::Binary => Ok(()),
        }
    }

    /// Version of Python that the `#!` line of a script requests; always `None` for scripts
    /// that are not Python.
    ///
    /// # Errors
    /// [`ShebangError`] for an unsupported version.
    pub fn python_of_shebang(self, bytes: &[u8]) -> Result<Option<PythonVersion>, ShebangError> {
        match self {
            Self::Python => shebang::python_version(bytes),
            Self::Shell | Self::Binary => Ok(None),
        }
    }

    /// Variables that make this script type behave well in a pipe: a Python script's output
    /// arrives at once, not when a buffer is full.
    #[must_use]
    pub fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Python => &[("PYTHONUNBUFFERED", "1"), ("PYTHONDONTWRITEBYTECODE", "1")],
            Self::Shell | Self::Binary => &[],
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Unknown word for a script type.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("unknown script type {0:?}: it is one of shell, python, binary")]
pub struct UnknownRuntime(String);

impl FromStr for Runtime {
    type Err = UnknownRuntime;

    fn from_str(name: &str) -> Result<Self, UnknownRuntime> {
        Self::ALL
            .into_iter()
            .find(|runtime| runtime.name() == name)
            .ok_or_else(|| UnknownRuntime(name.chars().take(40).collect()))
    }
}

/// File name of the script in the sandbox: one path component, at most 100 bytes, with the
/// harmless part of its name. It appears in `$0`, `__file__` and tracebacks.
fn safe_file_name(name: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let safe: String = name.chars().map(|c| if kept(c) { c } else { '_' }).collect();
    let mut start = safe.len().saturating_sub(100);
    while !safe.is_char_boundary(start) {
        start += 1;
    }
    match safe.get(start..).unwrap_or_default() {
        "" | "." | ".." => "script".to_owned(),
        tail => tail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_tells_what_it_is() {
        assert_eq!(Runtime::detect("a.py", b"print(1)"), Runtime::Python);
        assert_eq!(Runtime::detect("a.sh", b"echo"), Runtime::Shell);
        assert_eq!(Runtime::detect("a", b"\x7fELF\x02"), Runtime::Binary);
        assert_eq!(Runtime::detect("a.py", b"\x7fELF\x02"), Runtime::Binary);
        assert_eq!(Runtime::detect("a", b"#!/usr/bin/env python3\n"), Runtime::Python);
        assert_eq!(Runtime::detect("a", b"#!/usr/bin/python3.11 -O\n"), Runtime::Python);
        assert_eq!(Runtime::detect("a", b"#!/bin/sh\n"), Runtime::Shell);
    }

    #[test]
    fn options_of_python_come_behind_ours() {
        let interpreter = |bytes: &[u8]| match Runtime::Python.launch("x.py", bytes, true) {
            Launch::Interpreted { interpreter, .. } => interpreter.join(" "),
            Launch::Executable { .. } => String::new(),
        };
        assert_eq!(interpreter(b"#!/usr/bin/env -S python3 -O\n"), "/opt/env/bin/python -O");
        assert_eq!(interpreter(b"#!/usr/bin/env -S python3 -c x\n"), "/opt/env/bin/python");
    }

    #[test]
    fn names_are_parsed_and_shown() {
        for runtime in Runtime::ALL {
            assert_eq!(runtime.name().parse(), Ok(runtime));
        }
        assert!("perl".parse::<Runtime>().unwrap_err().to_string().contains("shell, python"));
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_component(name in any::<String>()) {
            let safe = safe_file_name(&name);
            prop_assert!(!safe.is_empty() && safe.len() <= 100);
            prop_assert!(!safe.contains(['/', '\0']) && safe != "." && safe != "..");
        }

        #[test]
        fn any_bytes_are_detected(bytes in any::<Vec<u8>>()) {
            let runtime = Runtime::detect("x", &bytes);
            let _ = runtime.launch("x", &bytes, false);
        }
    }
}

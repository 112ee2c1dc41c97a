//! The three kinds of scripts, how a file tells which it is, and how each is
//! launched. Everything that differs by runtime stands here and in `images/`.

use std::fmt;
use std::str::FromStr;

use gantry_init::message::Launch;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    /// bash, or what the script's `#!` line names.
    Shell,
    /// CPython, with the environment of the script's requirements.
    Python,
    /// A compiled ELF executable.
    Binary,
}

/// Python where no requirements were asked for.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// Python of an installed environment.
const ENVIRONMENT_PYTHON: &str = "/opt/env/bin/python";

/// Where the bytes of an ELF file begin (System V ABI, "ELF Identification").
const ELF_MAGIC: &[u8] = b"\x7fELF";

/// The kernel reads no more of a `#!` line (`BINPRM_BUF_SIZE`, execve(2)).
const SHEBANG_BYTES: usize = 256;

impl Runtime {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Shell, Self::Python, Self::Binary];

    /// The name in the API, on the command line and in image tags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Python => "python",
            Self::Binary => "binary",
        }
    }

    /// What a file is: ELF by its bytes, Python by its name or `#!` line, and
    /// otherwise shell.
    #[must_use]
    pub fn detect(file_name: &str, bytes: &[u8]) -> Self {
        if bytes.starts_with(ELF_MAGIC) {
            return Self::Binary;
        }
        let interpreter = shebang(bytes).unwrap_or_default().join(" ");
        if file_name.ends_with(".py") || interpreter.contains("python") {
            return Self::Python;
        }
        Self::Shell
    }

    /// How a script of this runtime is started.
    #[must_use]
    pub fn launch(self, file_name: &str, bytes: &[u8], has_environment: bool) -> Launch {
        let file_name = safe_file_name(file_name);
        let interpreter = match self {
            Self::Binary => return Launch::Executable { name: file_name },
            Self::Python if has_environment => vec![ENVIRONMENT_PYTHON.to_owned()],
            Self::Python => vec![SYSTEM_PYTHON.to_owned()],
            Self::Shell => shebang(bytes).unwrap_or_else(|| vec!["/bin/bash".to_owned()]),
        };
        Launch::Interpreted { interpreter, file_name }
    }

    /// Variables that make this runtime behave in a pipe: what a Python script
    /// prints is seen when it is printed, not when a buffer is full.
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

/// A runtime that there is not.
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

/// The interpreter of a `#!` line and its one argument, split as the kernel
/// splits it (execve(2)).
fn shebang(bytes: &[u8]) -> Option<Vec<String>> {
    let head = bytes.strip_prefix(b"#!")?;
    let head = head.get(..SHEBANG_BYTES).unwrap_or(head);
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    let (interpreter, argument) = match line.split_once([' ', '\t']) {
        Some((interpreter, argument)) => (interpreter, Some(argument.trim())),
        None => (line, None),
    };
    interpreter
        .starts_with('/')
        .then(|| [Some(interpreter), argument].into_iter().flatten().map(str::to_owned).collect())
}

/// One path component, at most 100 bytes, that says as much of the name as is
/// harmless: it shows in `$0`, `__file__` and tracebacks.
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
        assert_eq!(Runtime::detect("a", b"#!/bin/sh\n"), Runtime::Shell);
    }

    #[test]
    fn the_shebang_is_split_as_the_kernel_does() {
        let split = |text: &str| shebang(text.as_bytes());
        assert_eq!(split("#! /bin/bash -e -u\nx"), Some(vec!["/bin/bash".into(), "-e -u".into()]));
        assert_eq!(split("#!/bin/sh\r\nx"), Some(vec!["/bin/sh".into()]));
        assert_eq!(split("#!bash"), None);
        assert_eq!(split("#!"), None);
        assert_eq!(split("echo"), None);
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

//! The script types. Everything in which one differs from the others is in its folder here
//! and in its image's folder below `images/`; this file has their list, and the methods that
//! all other code asks. See "Add a script type" in docs/development.md.

mod binary;
mod facts;
pub mod python;
mod shebang;
mod shell;

use std::fmt;
use std::str::FromStr;

use gantry_init::message::{BUNDLE_DIR, Launch};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::elf::{Architecture, ElfError};
use facts::{Facts, Form};
use python::PythonVersion;

pub use facts::ImageFiles;
pub(super) use facts::StandByRules;
pub use shebang::ShebangError;

/// Type of a script.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ScriptType {
    /// bash, or the interpreter in the script's `#!` line.
    #[default]
    Shell,
    /// CPython, with the environment of the script's requirements.
    Python,
    /// Compiled ELF executable.
    Binary,
}

impl ScriptType {
    /// All script types, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Shell, Self::Python, Self::Binary];

    /// Facts that the folder of the type states.
    fn facts(self) -> &'static Facts {
        match self {
            Self::Shell => &shell::FACTS,
            Self::Python => &python::FACTS,
            Self::Binary => &binary::FACTS,
        }
    }

    /// Name in the API, in the database, on the command line and in image tags.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Names of all types, for messages: `shell, python, binary`.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Detects the type of a file: by its first bytes, else by its name or `#!` line, and
    /// otherwise it is shell.
    #[must_use]
    pub fn detect(file_name: &str, bytes: &[u8]) -> Self {
        let interpreter = shebang::interpreter(bytes).unwrap_or_default().join(" ");
        let is_by_content =
            |it: &Self| it.facts().signs.magic.is_some_and(|magic| bytes.starts_with(magic));
        let is_by_name = |it: &Self| {
            let signs = &it.facts().signs;
            signs.extensions.iter().any(|end| file_name.ends_with(end))
                || signs.interpreters.iter().any(|name| interpreter.contains(name))
        };
        let by_name = || Self::ALL.into_iter().find(is_by_name);
        Self::ALL.into_iter().find(is_by_content).or_else(by_name).unwrap_or_default()
    }

    /// File name of a source that was sent without one.
    #[must_use]
    pub fn default_file_name(self) -> &'static str {
        self.facts().file_name
    }

    /// True if an interpreter reads the script; false for a program that the kernel executes.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self.facts().form, Form::Text(_))
    }

    /// Command that starts a script of this type.
    #[must_use]
    pub fn launch(self, file_name: &str, bytes: &[u8], has_environment: bool) -> Launch {
        let file_name = safe_file_name(file_name);
        match &self.facts().form {
            Form::Program { .. } => Launch::Executable { name: file_name },
            Form::Text(text) => {
                let interpreter = (text.interpreter)(bytes, has_environment);
                Launch::Interpreted { interpreter, file_name }
            }
        }
    }

    /// Interpreter of a script, with its own options; `None` for a program.
    #[must_use]
    pub fn interpreter(self, bytes: &[u8], has_environment: bool) -> Option<Vec<String>> {
        match &self.facts().form {
            Form::Program { .. } => None,
            Form::Text(text) => Some((text.interpreter)(bytes, has_environment)),
        }
    }

    /// Command that starts a file of a bundle, which the image has.
    #[must_use]
    pub fn launch_in_bundle(self, entry: &str, bytes: &[u8]) -> Launch {
        let path = place_in_bundle(entry);
        let command = match &self.facts().form {
            Form::Program { .. } => vec![path.clone()],
            Form::Text(text) => [(text.interpreter)(bytes, true), (text.in_bundle)(entry)].concat(),
        };
        Launch::InImage { command, path }
    }

    /// Bytes that are run, if they differ from those of the file.
    pub(super) fn repaired(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match &self.facts().form {
            Form::Text(text) => (text.repaired)(bytes),
            Form::Program { .. } => None,
        }
    }

    /// Checks that Gantry can honour the `#!` line of a script.
    ///
    /// # Errors
    /// [`ShebangError`] for an option of Python's that it can't honour.
    pub fn check_shebang(self, bytes: &[u8]) -> Result<(), ShebangError> {
        match &self.facts().form {
            Form::Text(text) => (text.check_shebang)(bytes),
            Form::Program { .. } => Ok(()),
        }
    }

    /// Checks that an engine of this architecture can run a script; texts run everywhere.
    ///
    /// # Errors
    /// [`ElfError`] if it can't.
    pub fn check_runs_on(self, bytes: &[u8], architecture: Architecture) -> Result<(), ElfError> {
        match &self.facts().form {
            Form::Text(_) => Ok(()),
            Form::Program { check_runs_on } => check_runs_on(bytes, architecture),
        }
    }

    /// Arguments that have an interpreter run nothing; `None` for a program, which has none.
    pub(super) fn rehearsal(self, interpreter: &[String]) -> Option<&'static [&'static str]> {
        match &self.facts().form {
            Form::Text(text) => Some((text.rehearsal)(interpreter)),
            Form::Program { .. } => None,
        }
    }

    /// Rules of an interpreter that can wait for a request, if this type has one.
    pub(super) fn stand_by(self) -> Option<&'static StandByRules> {
        self.facts().stand_by.as_ref()
    }

    /// Variables that make this script type behave well in a pipe.
    #[must_use]
    pub fn variables(self) -> &'static [(&'static str, &'static str)] {
        self.facts().variables
    }

    /// True if scripts run in Python: they take a version of it, requirements, and modules
    /// to preload.
    #[must_use]
    pub fn has_python(self) -> bool {
        self.facts().has_python
    }

    /// Checks that scripts run in Python.
    ///
    /// # Errors
    /// [`NoPython`] if they don't.
    pub fn check_python(self) -> Result<(), NoPython> {
        if self.has_python() { Ok(()) } else { Err(NoPython(self)) }
    }

    /// Version of Python that the `#!` line of a script requests; always `None` for types
    /// without Python.
    ///
    /// # Errors
    /// [`ShebangError`] for an unsupported version.
    pub fn python_of_shebang(self, bytes: &[u8]) -> Result<Option<PythonVersion>, ShebangError> {
        if self.has_python() { python::version_of_shebang(bytes) } else { Ok(None) }
    }

    /// Files that the type's image is built from.
    #[must_use]
    pub fn image(self) -> ImageFiles {
        self.facts().image
    }
}

impl fmt::Display for ScriptType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Script type without Python, for which something of Python was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a {0} script has none; only python scripts do")]
pub struct NoPython(pub ScriptType);

/// Unknown word for a script type.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("unknown script type {0:?}: it is one of {names}", names = ScriptType::names())]
pub struct UnknownScriptType(String);

impl FromStr for ScriptType {
    type Err = UnknownScriptType;

    fn from_str(name: &str) -> Result<Self, UnknownScriptType> {
        Self::ALL
            .into_iter()
            .find(|script_type| script_type.name() == name)
            .ok_or_else(|| UnknownScriptType(name.chars().take(40).collect()))
    }
}

/// Path of a bundle's file in the sandbox.
#[must_use]
pub fn place_in_bundle(path: &str) -> String {
    format!("{BUNDLE_DIR}/{path}")
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
        assert_eq!(ScriptType::detect("a.py", b"print(1)"), ScriptType::Python);
        assert_eq!(ScriptType::detect("a.sh", b"echo"), ScriptType::Shell);
        assert_eq!(ScriptType::detect("a", b"\x7fELF\x02"), ScriptType::Binary);
        assert_eq!(ScriptType::detect("a.py", b"\x7fELF\x02"), ScriptType::Binary);
        assert_eq!(ScriptType::detect("a", b"#!/usr/bin/env python3\n"), ScriptType::Python);
        assert_eq!(ScriptType::detect("a", b"#!/usr/bin/python3.11 -O\n"), ScriptType::Python);
        assert_eq!(ScriptType::detect("a", b"#!/bin/sh\n"), ScriptType::Shell);
    }

    #[test]
    fn options_of_python_come_behind_ours() {
        let interpreter = |bytes: &[u8]| match ScriptType::Python.launch("x.py", bytes, true) {
            Launch::Interpreted { interpreter, .. } => interpreter.join(" "),
            Launch::Executable { .. } | Launch::InImage { .. } => String::new(),
        };
        assert_eq!(interpreter(b"#!/usr/bin/env -S python3 -O\n"), "/opt/env/bin/python -O");
        assert_eq!(interpreter(b"#!/usr/bin/env -S python3 -c x\n"), "/opt/env/bin/python");
    }

    #[test]
    fn names_are_parsed_and_shown() {
        for script_type in ScriptType::ALL {
            assert_eq!(script_type.name().parse(), Ok(script_type));
            assert_eq!(serde_json::to_value(script_type).unwrap(), script_type.name());
        }
        assert!("perl".parse::<ScriptType>().unwrap_err().to_string().contains("shell, python"));
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
            let script_type = ScriptType::detect("x", &bytes);
            let _ = script_type.launch("x", &bytes, false);
        }
    }
}

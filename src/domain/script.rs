//! Bytes of a script, checked once before anything is built or started for them.

use bytes::Bytes;
use gantry_init::message::Launch;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::elf::{Architecture, ElfError};
use super::script_type::python::PythonVersion;
use super::script_type::{ScriptType, ShebangError};

/// Largest script or binary, in bytes (64 MiB): the request carries it, and the sandbox's
/// memory holds it.
pub const MAX_SCRIPT_BYTES: u64 = 64 * 1024 * 1024;

/// Checked script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    file_name: String,
    script_type: ScriptType,
    bytes: Bytes,
    /// Bytes that are run, if they differ from `bytes`.
    repaired: Option<Bytes>,
    /// Path in the bundle that it is the entry of.
    entry: Option<String>,
}

/// Reason why bytes can't be run as a script.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// The file is empty.
    #[error("{0} is empty")]
    Empty(String),
    /// The file has more than [`MAX_SCRIPT_BYTES`].
    #[error("{name} has {bytes} bytes, at most {MAX_SCRIPT_BYTES} (64 MiB) are allowed")]
    TooLarge {
        /// File name.
        name: String,
        /// Size in bytes.
        bytes: u64,
    },
    /// A shell or Python script has a NUL byte.
    #[error("{name} has a NUL byte at offset {offset}: it is not a {script_type} script")]
    NotText {
        /// File name.
        name: String,
        /// Offset of the first NUL byte.
        offset: usize,
        /// Assumed script type.
        script_type: ScriptType,
    },
    /// The `#!` line can't be honoured.
    #[error("{name}: {source}")]
    Shebang {
        /// File name.
        name: String,
        /// Fault of the line.
        source: ShebangError,
    },
    /// The engine can't run this binary.
    #[error("{name}: {source}")]
    Elf {
        /// File name.
        name: String,
        /// Fault of the file.
        source: ElfError,
    },
}

impl ScriptError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty(_) => None,
            Self::TooLarge { .. } => {
                Some("mount large data with --mount, or put it into the input".to_owned())
            }
            Self::NotText { .. } => Some(
                "use type binary for a compiled program; otherwise the file is damaged".to_owned(),
            ),
            Self::Shebang { source, .. } => Some(source.hint().to_owned()),
            Self::Elf { source, .. } => source.hint(),
        }
    }
}

impl Script {
    /// Checks `bytes` as a script of type `script_type`, or of the detected type. Does not
    /// check a binary's architecture: see [`Self::check_runs_on`].
    ///
    /// # Errors
    /// [`ScriptError`] if no sandbox could run them.
    pub fn new(
        file_name: &str,
        script_type: Option<ScriptType>,
        bytes: impl Into<Bytes>,
    ) -> Result<Self, ScriptError> {
        let bytes = bytes.into();
        let name = file_name.to_owned();
        let size = bytes.len() as u64;
        if bytes.is_empty() {
            return Err(ScriptError::Empty(name));
        }
        if size > MAX_SCRIPT_BYTES {
            return Err(ScriptError::TooLarge { name, bytes: size });
        }
        let script_type = script_type.unwrap_or_else(|| ScriptType::detect(file_name, &bytes));
        if script_type.is_text()
            && let Some(offset) = bytes.iter().position(|byte| *byte == 0)
        {
            return Err(ScriptError::NotText { name, offset, script_type });
        }
        let repaired = script_type.repaired(&bytes).map(Bytes::from);
        Ok(Self { file_name: name, script_type, bytes, repaired, entry: None })
    }

    /// Checks `bytes` as the entry of a bundle, which its image contains.
    ///
    /// # Errors
    /// [`ScriptError`] if no sandbox could run them.
    pub fn in_bundle(
        entry: &str,
        script_type: Option<ScriptType>,
        bytes: impl Into<Bytes>,
    ) -> Result<Self, ScriptError> {
        let name = entry.rsplit('/').next().unwrap_or(entry);
        let script = Self::new(name, script_type, bytes)?;
        Ok(Self { entry: Some(entry.to_owned()), ..script })
    }

    /// Path of its entry, if it is a bundle.
    #[must_use]
    pub fn entry(&self) -> Option<&str> {
        self.entry.as_deref()
    }

    /// Command that starts it. The flag is true if the image has an environment of its own.
    #[must_use]
    pub fn launch(&self, has_environment: bool) -> Launch {
        match &self.entry {
            Some(entry) => self.script_type.launch_in_bundle(entry, &self.bytes),
            None => self.script_type.launch(&self.file_name, &self.bytes, has_environment),
        }
    }

    /// Interpreter that reads it, with its own options; `None` for a program.
    #[must_use]
    pub fn interpreter(&self, has_environment: bool) -> Option<Vec<String>> {
        // The image of a bundle has an environment that leads to its interpreter.
        let has_environment = has_environment || self.entry.is_some();
        self.script_type.interpreter(&self.bytes, has_environment)
    }

    /// True if its text can't be run as it is, and no copy can be run in its place.
    #[must_use]
    pub fn needs_repair(&self) -> bool {
        self.repaired.is_some()
    }

    /// Bytes that a request carries: none for a bundle, which the image has.
    #[must_use]
    pub fn carried(&self) -> &[u8] {
        if self.entry.is_some() { &[] } else { self.runnable() }
    }

    /// Checks that Gantry can honour its `#!` line.
    ///
    /// # Errors
    /// [`ScriptError::Shebang`] if it can't.
    pub fn check_shebang(&self) -> Result<(), ScriptError> {
        self.script_type.check_shebang(&self.bytes).map_err(|source| self.at_shebang(source))
    }

    /// Version of Python that its `#!` line requests.
    ///
    /// # Errors
    /// [`ScriptError::Shebang`] for an unsupported version.
    pub fn python_of_shebang(&self) -> Result<Option<PythonVersion>, ScriptError> {
        self.script_type.python_of_shebang(&self.bytes).map_err(|source| self.at_shebang(source))
    }

    fn at_shebang(&self, source: ShebangError) -> ScriptError {
        ScriptError::Shebang { name: self.file_name.clone(), source }
    }

    /// Checks that an engine of this architecture can run it; scripts that are not binaries
    /// run everywhere.
    ///
    /// # Errors
    /// [`ScriptError::Elf`] if it can't.
    pub fn check_runs_on(&self, architecture: Architecture) -> Result<(), ScriptError> {
        let named = |source| ScriptError::Elf { name: self.file_name.clone(), source };
        self.script_type.check_runs_on(&self.bytes, architecture).map_err(named)
    }

    /// File name of the script in the sandbox.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Script type.
    #[must_use]
    pub fn script_type(&self) -> ScriptType {
        self.script_type
    }

    /// SHA-256 of its content, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        code_digest(&self.bytes)
    }

    /// Its content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes that are run: its content, with Unix line ends if it is a shell script that
    /// was saved on Windows. No shell accepts the others. Clones share them.
    #[must_use]
    pub fn runnable(&self) -> &Bytes {
        self.repaired.as_ref().unwrap_or(&self.bytes)
    }
}

/// SHA-256 of a script's content, in hexadecimal.
#[must_use]
pub fn code_digest(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runnable(name: &str, bytes: &[u8]) -> Vec<u8> {
        Script::new(name, None, bytes.to_vec()).unwrap().runnable().to_vec()
    }

    #[test]
    fn a_shell_script_that_was_saved_on_windows_gets_unix_lines() {
        assert_eq!(runnable("a.sh", b"#!/bin/sh\r\na\r\n\r\nb\rc\r"), b"#!/bin/sh\na\n\nb\rc\r");
        for kept in [&b"a\nb\r\n"[..], b"a\r", b"\r", b"a\r\rb\n"] {
            assert_eq!(runnable("a.sh", kept), kept);
        }
        assert_eq!(runnable("a.py", b"a = 1\r\n"), b"a = 1\r\n", "Python takes both");
        let script = Script::new("a.sh", None, b"a\r\n".to_vec()).unwrap();
        assert_eq!((script.bytes(), script.digest()), (&b"a\r\n"[..], code_digest(b"a\r\n")));
    }
}

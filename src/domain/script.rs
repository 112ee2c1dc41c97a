//! A script's bytes, checked once before anything is built or started for them.

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::elf::{Architecture, ElfError, ElfInfo};
use super::runtime::Runtime;

/// Largest script or binary, in bytes (64 MiB): it travels in the request and
/// is held in the sandbox's memory.
pub const MAX_SCRIPT_BYTES: u64 = 64 * 1024 * 1024;

/// A script that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    file_name: String,
    runtime: Runtime,
    bytes: Vec<u8>,
}

/// Why bytes can't be run as a script.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(String),
    /// More than [`MAX_SCRIPT_BYTES`].
    #[error("{name} has {bytes} bytes, at most {MAX_SCRIPT_BYTES} (64 MiB) are allowed")]
    TooLarge {
        /// The file's name.
        name: String,
        /// Its size in bytes.
        bytes: u64,
    },
    /// Shell and Python scripts are text.
    #[error("{name} has a NUL byte at offset {offset}: it is not a {runtime} script")]
    NotText {
        /// The file's name.
        name: String,
        /// Where the first NUL byte stands.
        offset: usize,
        /// What it was taken for.
        runtime: Runtime,
    },
    /// A binary that this engine can't run.
    #[error("{name}: {source}")]
    Elf {
        /// The file's name.
        name: String,
        /// What is wrong with it.
        source: ElfError,
    },
}

impl ScriptError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty(_) => None,
            Self::TooLarge { .. } => {
                Some("mount large data with --mount, or put it into the input".to_owned())
            }
            Self::NotText { .. } => {
                Some("a compiled program is of type binary; is the file damaged?".to_owned())
            }
            Self::Elf { source, .. } => source.hint(),
        }
    }
}

impl Script {
    /// Checks `bytes` as a script of `runtime`, or of what they look like. A
    /// binary's architecture is not looked at: see [`Self::check_runs_on`].
    ///
    /// # Errors
    /// [`ScriptError`] when no sandbox could run them.
    pub fn new(
        file_name: &str,
        runtime: Option<Runtime>,
        bytes: Vec<u8>,
    ) -> Result<Self, ScriptError> {
        let name = file_name.to_owned();
        let size = bytes.len() as u64;
        if bytes.is_empty() {
            return Err(ScriptError::Empty(name));
        }
        if size > MAX_SCRIPT_BYTES {
            return Err(ScriptError::TooLarge { name, bytes: size });
        }
        let runtime = runtime.unwrap_or_else(|| Runtime::detect(file_name, &bytes));
        if runtime != Runtime::Binary
            && let Some(offset) = bytes.iter().position(|byte| *byte == 0)
        {
            return Err(ScriptError::NotText { name, offset, runtime });
        }
        Ok(Self { file_name: name, runtime, bytes })
    }

    /// Whether an engine of this architecture can run it; scripts that are not
    /// binaries run everywhere.
    ///
    /// # Errors
    /// [`ScriptError::Elf`] when it can't.
    pub fn check_runs_on(&self, architecture: Architecture) -> Result<(), ScriptError> {
        if self.runtime != Runtime::Binary {
            return Ok(());
        }
        ElfInfo::parse(&self.bytes)
            .and_then(|elf| elf.check_runnable(architecture))
            .map_err(|source| ScriptError::Elf { name: self.file_name.clone(), source })
    }

    /// The name that it shows itself by.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// What runs it.
    #[must_use]
    pub fn runtime(&self) -> Runtime {
        self.runtime
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
}

/// SHA-256 of a script's content, in hexadecimal.
#[must_use]
pub fn code_digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

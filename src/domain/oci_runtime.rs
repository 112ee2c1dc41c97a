//! Names of OCI runtimes, the programs that start a container's processes, such as `runc`,
//! `crun` or `runsc`.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::sanitize::sanitize;

/// Longest name, in bytes.
pub const MAX_OCI_RUNTIME_BYTES: usize = 64;

/// Name of an OCI runtime. It is never a path: the engine's own configuration maps it to a
/// program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OciRuntime(String);

/// Invalid name of an OCI runtime.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not the name of an OCI runtime: 1 to {MAX_OCI_RUNTIME_BYTES} letters, digits, \
     `.`, `_` and `-`, such as `runsc`"
)]
pub struct OciRuntimeFault(String);

impl OciRuntime {
    /// Checks a name.
    ///
    /// # Errors
    /// [`OciRuntimeFault`].
    pub fn new(name: &str) -> Result<Self, OciRuntimeFault> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_short = (1..=MAX_OCI_RUNTIME_BYTES).contains(&name.len());
        match is_short && name.bytes().all(is_plain) {
            true => Ok(Self(name.to_owned())),
            false => Err(OciRuntimeFault(sanitize(name))),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OciRuntime {
    type Error = OciRuntimeFault;

    fn try_from(name: String) -> Result<Self, OciRuntimeFault> {
        Self::new(&name)
    }
}

impl From<OciRuntime> for String {
    fn from(runtime: OciRuntime) -> Self {
        runtime.0
    }
}

impl fmt::Display for OciRuntime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_has_a_plain_name() {
        for name in ["runc", "runsc", "io.containerd.runc.v2", "Kata_3-x", &"a".repeat(64)] {
            assert_eq!(OciRuntime::new(name).unwrap().as_str(), name);
        }
        for name in ["", "/usr/bin/runc", "a b", "a\0", "größe", "a\n", &"a".repeat(65)] {
            let error = OciRuntime::new(name).unwrap_err().to_string();
            assert!(error.contains("is not the name of an OCI runtime"), "{error}");
        }
    }
}

//! Names of scripts.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::domain::sanitize::sanitize;

/// Longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 100;

/// Reserved names: `executions` is a path component of the API, in
/// `/api/v1/admin/scripts/executions/{id}`.
const RESERVED: [&str; 1] = ["executions"];

/// Name of a script: ASCII letters, digits, `.`, `_` and `-`, a letter first. It needs no
/// escaping in a URL, a metric or a log; two names that look alike are equal; none looks
/// like an id or a part of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScriptName(String);

/// Fault of a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameFault {
    /// The form is invalid.
    #[error(
        "{0:?} is not a script's name: it begins with a letter and has at most \
         {MAX_NAME_BYTES} letters, digits, '.', '_' and '-' (ASCII)"
    )]
    Form(String),
    /// The name is reserved.
    #[error(
        "{0:?} can't be a script's name: it is a part of the API's paths, \
         choose another, such as {0}-1"
    )]
    Reserved(&'static str),
}

impl ScriptName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`NameFault`].
    pub fn new(name: &str) -> Result<Self, NameFault> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if let Some(reserved) = RESERVED.into_iter().find(|reserved| *reserved == name) {
            return Err(NameFault::Reserved(reserved));
        }
        if begins_well && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_allowed) {
            return Ok(Self(name.to_owned()));
        }
        Err(NameFault::Form(sanitize(name)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScriptName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for ScriptName {
    type Error = NameFault;

    fn try_from(name: String) -> Result<Self, NameFault> {
        Self::new(&name)
    }
}

impl From<ScriptName> for String {
    fn from(name: ScriptName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_safe_everywhere_are_taken() {
        for name in ["a", "Wetter_2", "a.b-c", &"x".repeat(MAX_NAME_BYTES)] {
            assert_eq!(ScriptName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn parts_of_paths_are_no_names() {
        let fault = ScriptName::new("executions").unwrap_err().to_string();
        assert!(fault.contains("part of the API's paths"), "{fault}");
        for name in ["Executions", "executions-1", "execution", "versions", "test"] {
            ScriptName::new(name).unwrap();
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        let huge = "x".repeat(10 * 1024 * 1024);
        let others = ["", "1", "-a", ".a", "a b", "a/b", "..", "ä", "a\0", "a\n", "а", "a\u{202e}"];
        for name in others.into_iter().chain([long.as_str(), huge.as_str()]) {
            let fault = ScriptName::new(name).unwrap_err().to_string();
            assert!(fault.len() < 1_000, "{} bytes", fault.len());
        }
    }
}

//! Python versions that a script can request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Feature release of CPython.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PythonVersion {
    /// CPython 3.10.
    #[serde(rename = "3.10")]
    Python310,
    /// CPython 3.11.
    #[serde(rename = "3.11")]
    Python311,
    /// CPython 3.12.
    #[serde(rename = "3.12")]
    Python312,
    /// CPython 3.13.
    #[serde(rename = "3.13")]
    Python313,
    /// CPython 3.14.
    #[serde(rename = "3.14")]
    Python314,
}

impl PythonVersion {
    /// All versions, oldest first.
    pub const ALL: [Self; 5] =
        [Self::Python310, Self::Python311, Self::Python312, Self::Python313, Self::Python314];

    /// Version as users write it: `3.11`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Python310 => "3.10",
            Self::Python311 => "3.11",
            Self::Python312 => "3.12",
            Self::Python313 => "3.13",
            Self::Python314 => "3.14",
        }
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Unknown version of Python.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown Python version {0:?}: it is one of 3.10, 3.11, 3.12, 3.13, 3.14")]
pub struct UnknownPython(String);

impl FromStr for PythonVersion {
    type Err = UnknownPython;

    fn from_str(name: &str) -> Result<Self, UnknownPython> {
        Self::ALL
            .into_iter()
            .find(|version| version.name() == name)
            .ok_or_else(|| UnknownPython(name.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed_shown_and_stored_alike() {
        for version in PythonVersion::ALL {
            assert_eq!(version.name().parse(), Ok(version));
            assert_eq!(serde_json::to_string(&version).unwrap(), format!("\"{version}\""));
        }
        for unknown in ["", "3", "3.1", "3.9", "3.13.5", "3.110", "python3.11"] {
            let error = unknown.parse::<PythonVersion>().unwrap_err().to_string();
            assert!(error.ends_with("3.13, 3.14"), "{error}");
        }
    }
}

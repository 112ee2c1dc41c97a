//! What can be wrong with a list of system packages, and what to do about it.

use thiserror::Error;

use super::{MAX_NAME_BYTES, MAX_PACKAGES, MAX_VERSION_BYTES};

/// Why system packages are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SystemPackagesError {
    /// More than [`MAX_PACKAGES`].
    #[error("{0} system packages, at most {MAX_PACKAGES} are allowed")]
    TooMany(usize),
    /// One of them is refused.
    #[error("system package {package:?}: {fault}")]
    Package {
        /// What was asked for, bounded and escaped.
        package: String,
        /// Why.
        fault: PackageFault,
    },
    /// One package in two versions.
    #[error("system packages {0} and {1} contradict each other")]
    Contradiction(String, String),
}

/// Why one package is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PackageFault {
    /// Not a name by the Debian Policy Manual, or one that apt reads otherwise.
    #[error("not the name of a Debian package")]
    Name,
    /// Longer than [`MAX_NAME_BYTES`].
    #[error("the name has {0} bytes, at most {MAX_NAME_BYTES} are allowed")]
    NameTooLong(usize),
    /// Not a version by the Debian Policy Manual, or one that apt reads otherwise.
    #[error("what follows the = is not the version of a Debian package")]
    Version,
    /// Longer than [`MAX_VERSION_BYTES`].
    #[error("the version has {0} bytes, at most {MAX_VERSION_BYTES} are allowed")]
    VersionTooLong(usize),
}

impl SystemPackagesError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TooMany(_) => "list what the script uses, without what follows from it",
            Self::Package { fault: PackageFault::Name | PackageFault::NameTooLong(_), .. } => {
                "name one package as apt-get does, in lower case, without options, architecture or \
                 release: jq, libgomp1, g++"
            }
            Self::Package { .. } => "for example jq=1.7.1-6, or jq alone for the newest",
            Self::Contradiction(..) => "name the package once",
        };
        Some(hint.to_owned())
    }
}

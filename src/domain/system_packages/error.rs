//! Errors of lists of system packages, with advice.

use thiserror::Error;

use super::{MAX_NAME_BYTES, MAX_PACKAGES, MAX_VERSION_BYTES};

/// Reason why system packages are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SystemPackagesError {
    /// There are more than [`MAX_PACKAGES`].
    #[error("{0} system packages, at most {MAX_PACKAGES} are allowed")]
    TooMany(usize),
    /// A package is refused.
    #[error("system package {package:?}: {fault}")]
    Package {
        /// Requested package, sanitized.
        package: String,
        /// Fault of the package.
        fault: PackageFault,
    },
    /// One package is listed in two versions.
    #[error("system packages {0} and {1} contradict each other")]
    Contradiction(String, String),
}

/// Reason why a package is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PackageFault {
    /// The name violates the Debian Policy Manual, or apt reads it otherwise.
    #[error("not the name of a Debian package")]
    Name,
    /// The name is longer than [`MAX_NAME_BYTES`].
    #[error("the name has {0} bytes, at most {MAX_NAME_BYTES} are allowed")]
    NameTooLong(usize),
    /// The version violates the Debian Policy Manual, or apt reads it otherwise.
    #[error("the text after = is not the version of a Debian package")]
    Version,
    /// The version is longer than [`MAX_VERSION_BYTES`].
    #[error("the version has {0} bytes, at most {MAX_VERSION_BYTES} are allowed")]
    VersionTooLong(usize),
}

impl SystemPackagesError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TooMany(_) => {
                "list only the packages that the script uses, not their dependencies"
            }
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

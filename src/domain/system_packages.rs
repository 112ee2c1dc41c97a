//! The Debian packages that a script needs beside those of its runtime: checked,
//! sorted, each once. Nothing that gets through can mean anything to apt but
//! "install this", whatever apt makes of options, patterns and suffixes; that
//! such a package exists only apt knows.

mod error;
pub mod missing;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::sanitize::sanitize;

pub use error::{PackageFault, SystemPackagesError};

/// Most packages of one script.
pub const MAX_PACKAGES: usize = 100;

/// Longest name, in bytes. The longest of Debian 13 has 75.
pub const MAX_NAME_BYTES: usize = 128;

/// Longest version, in bytes.
pub const MAX_VERSION_BYTES: usize = 128;

/// One package, perhaps in one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SystemPackage {
    name: String,
    version: Option<String>,
}

/// The packages of one environment, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct SystemPackages(Vec<SystemPackage>);

impl SystemPackage {
    /// Reads `name` or `name=version`.
    fn parse(text: &str) -> Result<Self, PackageFault> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        check_name(name)?;
        version.map_or(Ok(()), check_version)?;
        Ok(Self { name: name.to_owned(), version: version.map(str::to_owned) })
    }

    /// The name of the package.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that it has to have; `None` is the newest.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

/// `name` or `name=version`.
impl fmt::Display for SystemPackage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        self.version.iter().try_for_each(|version| write!(formatter, "={version}"))
    }
}

impl SystemPackages {
    /// Checks `name` and `name=version`, in any order; one that is there twice
    /// counts once.
    ///
    /// # Errors
    /// [`SystemPackagesError`], which names the package.
    pub fn new(packages: Vec<String>) -> Result<Self, SystemPackagesError> {
        if packages.len() > MAX_PACKAGES {
            return Err(SystemPackagesError::TooMany(packages.len()));
        }
        let mut checked = Vec::with_capacity(packages.len());
        for text in &packages {
            checked.push(SystemPackage::parse(text).map_err(|fault| {
                SystemPackagesError::Package { package: sanitize(text), fault }
            })?);
        }
        checked.sort();
        checked.dedup();
        let twice = checked.windows(2).find_map(|pair| match pair {
            [one, other] if one.name == other.name => Some((one.to_string(), other.to_string())),
            _ => None,
        });
        match twice {
            Some((one, other)) => Err(SystemPackagesError::Contradiction(one, other)),
            None => Ok(Self(checked)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &SystemPackage> {
        self.0.iter()
    }
}

impl TryFrom<Vec<String>> for SystemPackages {
    type Error = SystemPackagesError;

    fn try_from(packages: Vec<String>) -> Result<Self, SystemPackagesError> {
        Self::new(packages)
    }
}

impl From<SystemPackages> for Vec<String> {
    fn from(packages: SystemPackages) -> Self {
        packages.0.iter().map(SystemPackage::to_string).collect()
    }
}

/// Names of the Debian Policy Manual, 5.6.1, without a `-` at the end: there apt
/// reads "remove".
fn check_name(name: &str) -> Result<(), PackageFault> {
    if name.len() > MAX_NAME_BYTES {
        return Err(PackageFault::NameTooLong(name.len()));
    }
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_name = name.len() >= 2
        && name.starts_with(is_plain)
        && !name.ends_with('-')
        && name.chars().all(|c| is_plain(c) || matches!(c, '+' | '-' | '.'));
    if is_name { Ok(()) } else { Err(PackageFault::Name) }
}

/// Versions of the Debian Policy Manual, 5.6.12, without a `+` or `-` at the
/// end: there apt reads "install" and "remove", even behind a version.
fn check_version(version: &str) -> Result<(), PackageFault> {
    if version.len() > MAX_VERSION_BYTES {
        return Err(PackageFault::VersionTooLong(version.len()));
    }
    let (epoch, upstream) = match version.split_once(':') {
        Some((epoch, upstream)) => (Some(epoch), upstream),
        None => (None, version),
    };
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let is_version = epoch.is_none_or(is_number)
        && upstream.starts_with(|c: char| c.is_ascii_digit())
        && !upstream.ends_with(['+', '-'])
        && upstream
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '~' | ':'));
    if is_version { Ok(()) } else { Err(PackageFault::Version) }
}

#[cfg(test)]
mod tests;

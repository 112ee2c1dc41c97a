//! Debian packages that a script needs besides those of its base image: checked, sorted,
//! each once. apt reads every accepted word as "install this", never as an option, pattern
//! or suffix. Only apt knows whether a package exists.

mod error;
pub mod missing;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::sanitize::sanitize;

pub use error::{PackageFault, SystemPackagesError};

/// Most packages of one script.
pub const MAX_PACKAGES: usize = 100;

/// Longest name, in bytes. The longest in Debian 13 has 75.
pub const MAX_NAME_BYTES: usize = 128;

/// Longest version, in bytes.
pub const MAX_VERSION_BYTES: usize = 128;

/// Package, optionally in one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SystemPackage {
    name: String,
    version: Option<String>,
}

/// Packages of one environment, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct SystemPackages(Vec<SystemPackage>);

impl SystemPackage {
    /// Parses `name` or `name=version`.
    fn parse(text: &str) -> Result<Self, PackageFault> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        check_name(name)?;
        version.map_or(Ok(()), check_version)?;
        Ok(Self { name: name.to_owned(), version: version.map(str::to_owned) })
    }

    /// Name of the package.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Required version; `None` means the newest.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

/// Writes `name` or `name=version`.
impl fmt::Display for SystemPackage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        self.version.iter().try_for_each(|version| write!(formatter, "={version}"))
    }
}

impl SystemPackages {
    /// Checks `name` and `name=version`, in any order; duplicates count once.
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

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Packages by name.
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

/// Checks a name by the Debian Policy Manual, 5.6.1, without a trailing `-`, which apt
/// reads as "remove".
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

/// Checks a version by the Debian Policy Manual, 5.6.12, without a trailing `+` or `-`,
/// which apt reads as "install" and "remove".
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

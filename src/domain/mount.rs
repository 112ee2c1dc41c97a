//! Host paths that a script may see. Three checks, all without touching the disk: the
//! syntax, a free target, and a source below a root that the operator allows. The caller
//! must resolve links first (`canonicalize`); an unresolved path proves nothing.

mod places;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::sanitize::sanitize;
use places::{is_canonical, is_forbidden, normalised, overlaps, reserved_target};

pub use places::MAX_PATH_BYTES;

/// Most mounts of one script.
pub const MAX_MOUNTS: usize = 16;

/// Host path inside a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawMount")]
pub struct Mount {
    /// Path on the host; may be relative until the caller resolves it.
    pub source: PathBuf,
    /// Path in the sandbox, absolute and normalized.
    pub target: String,
    /// True if the script can only read it.
    pub read_only: bool,
}

/// Mount before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMount {
    source: PathBuf,
    target: String,
    #[serde(default = "read_only_by_default")]
    read_only: bool,
}

fn read_only_by_default() -> bool {
    true
}

impl TryFrom<RawMount> for Mount {
    type Error = MountError;

    fn try_from(raw: RawMount) -> Result<Self, MountError> {
        Self::new(raw.source, &raw.target, raw.read_only)
    }
}

/// Reason why a mount is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MountError {
    /// The text is not `SRC:DST[:rw|:ro]`.
    #[error("mount {0:?}: not SRC:DST, SRC:DST:ro or SRC:DST:rw")]
    Syntax(String),
    /// The source is empty, too long, or has control characters.
    #[error("mount source {0:?} is not a usable path")]
    Source(String),
    /// The target is not an absolute path, or has `.`, `..` or control characters.
    #[error("mount target {0:?} is not an absolute path without . and ..")]
    Target(String),
    /// The target belongs to the image or to Gantry.
    #[error("mount target {target:?} is refused: {reserved} belongs to the sandbox")]
    ReservedTarget {
        /// Requested target.
        target: String,
        /// Reserved place at, above or below it.
        reserved: String,
    },
    /// Two mounts have the same target, or one target is inside the other.
    #[error("mount targets {0:?} and {1:?} overlap")]
    Overlap(String, String),
    /// There are more than [`MAX_MOUNTS`].
    #[error("{0} mounts, at most {MAX_MOUNTS} are allowed")]
    TooMany(usize),
    /// The source was not resolved before it was checked.
    #[error("mount source {0:?} is not absolute and resolved")]
    NotCanonical(String),
    /// The source would give control over the machine.
    #[error("mount source {0:?} is refused: it gives control over the host")]
    ForbiddenSource(String),
    /// No root is allowed.
    #[error(
        "mount source {0:?} is refused: GANTRY_MOUNT_ROOTS is empty, so no host path may be mounted"
    )]
    NoRoots(String),
    /// The source is below none of the roots.
    #[error("mount source {0:?} is refused: it is below none of GANTRY_MOUNT_ROOTS")]
    OutsideRoots(String),
}

impl MountError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Syntax(_) => "for example /data/in:/in, or /data/out:/out:rw to write there",
            Self::Target(_) | Self::ReservedTarget { .. } => {
                "choose a place of its own: /data, /mnt/in"
            }
            Self::Overlap(..) => "give each mount a target of its own",
            Self::TooMany(_) => "mount a directory that holds them",
            Self::NoRoots(source) | Self::OutsideRoots(source) => {
                return Some(format!(
                    "the operator can allow it: add {source} to GANTRY_MOUNT_ROOTS (colon-separated)"
                ));
            }
            Self::Source(_) | Self::NotCanonical(_) => {
                "give the absolute path of an existing file or folder"
            }
            Self::ForbiddenSource(_) => return None,
        };
        Some(hint.to_owned())
    }
}

impl Mount {
    /// Mount with a normalized target, without trailing or double slashes.
    ///
    /// # Errors
    /// [`MountError::Source`], [`MountError::Target`],
    /// [`MountError::ReservedTarget`].
    pub fn new(source: PathBuf, target: &str, read_only: bool) -> Result<Self, MountError> {
        let bytes = source.as_os_str().as_encoded_bytes();
        if bytes.is_empty()
            || bytes.len() > MAX_PATH_BYTES
            || bytes.iter().any(u8::is_ascii_control)
        {
            return Err(MountError::Source(sanitize(&source.to_string_lossy())));
        }
        let target = normalised(target).ok_or_else(|| MountError::Target(sanitize(target)))?;
        if let Some(reserved) = reserved_target(&target) {
            return Err(MountError::ReservedTarget { target: sanitize(&target), reserved });
        }
        Ok(Self { source, target, read_only })
    }

    /// Parses `SRC:DST`, `SRC:DST:ro` (the same) or `SRC:DST:rw`. Neither path may contain
    /// a colon.
    ///
    /// # Errors
    /// [`MountError::Syntax`], and all of [`Mount::new`].
    pub fn parse(text: &str) -> Result<Self, MountError> {
        let refused = || MountError::Syntax(sanitize(text));
        let mut parts = text.split(':');
        let (source, target) = parts.next().zip(parts.next()).ok_or_else(refused)?;
        let read_only = match (parts.next(), parts.next()) {
            (None | Some("ro"), None) => true,
            (Some("rw"), None) => false,
            _ => return Err(refused()),
        };
        if source.is_empty() || target.is_empty() {
            return Err(refused());
        }
        Self::new(PathBuf::from(source), target, read_only)
    }

    /// Checks that `canonical_source`, this mount's source with all links resolved, is one
    /// of `roots` or below one. Components are compared, so `/data` does not allow
    /// `/database`. Relative roots allow nothing.
    ///
    /// # Errors
    /// [`MountError::NotCanonical`], [`MountError::ForbiddenSource`],
    /// [`MountError::NoRoots`], [`MountError::OutsideRoots`].
    pub fn check_allowed(
        &self,
        canonical_source: &Path,
        roots: &[PathBuf],
    ) -> Result<(), MountError> {
        let shown = || sanitize(&canonical_source.to_string_lossy());
        if !is_canonical(canonical_source) {
            return Err(MountError::NotCanonical(shown()));
        }
        if is_forbidden(canonical_source) || is_forbidden(&self.source) {
            return Err(MountError::ForbiddenSource(shown()));
        }
        let mut roots = roots.iter().filter(|root| is_canonical(root)).peekable();
        if roots.peek().is_none() {
            return Err(MountError::NoRoots(shown()));
        }
        if roots.any(|root| canonical_source.starts_with(root)) {
            return Ok(());
        }
        Err(MountError::OutsideRoots(shown()))
    }
}

/// True if a path can be mounted at all: it is absolute and resolved, the engine can be told
/// of it, and it gives no control over the machine.
#[must_use]
pub fn is_source_allowed(canonical_source: &Path) -> bool {
    is_canonical(canonical_source) && !is_forbidden(canonical_source)
}

/// Checks all mounts of one script together.
///
/// # Errors
/// [`MountError::TooMany`] and [`MountError::Overlap`].
pub fn check_together(mounts: &[Mount]) -> Result<(), MountError> {
    if mounts.len() > MAX_MOUNTS {
        return Err(MountError::TooMany(mounts.len()));
    }
    for (index, mount) in mounts.iter().enumerate() {
        let later = mounts.iter().skip(index + 1);
        if let Some(other) = later.into_iter().find(|other| overlaps(&mount.target, &other.target))
        {
            return Err(MountError::Overlap(sanitize(&mount.target), sanitize(&other.target)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

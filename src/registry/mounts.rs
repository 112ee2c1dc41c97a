//! Mounts with their links resolved, so that what was checked is what is mounted.

use std::path::PathBuf;

use crate::domain::mount::Mount;
use crate::domain::sanitize::sanitize;

/// What is wrong with a mount, and what to do about it.
#[derive(Debug)]
pub struct MountFault {
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The same mount with its source's links resolved, if that lies below one of
/// `roots`.
///
/// # Errors
/// [`MountFault`].
pub fn resolve(mount: &Mount, roots: &[PathBuf]) -> Result<Mount, MountFault> {
    let source = mount.source.canonicalize().map_err(|error| MountFault {
        what: format!("{}: {error}", sanitize(&mount.source.to_string_lossy())),
        hint: None,
    })?;
    mount
        .check_allowed(&source, roots)
        .map_err(|error| MountFault { what: error.to_string(), hint: error.hint() })?;
    Ok(Mount { source, ..mount.clone() })
}

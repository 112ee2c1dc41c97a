//! Mounts with resolved links, so that the checked source is the one mounted.

use std::path::PathBuf;

use crate::domain::mount::Mount;
use crate::domain::sanitize::sanitize;

/// Fault of a mount, with advice.
#[derive(Debug)]
pub struct MountFault {
    /// Description of the fault.
    pub what: String,
    /// Advice for the caller.
    pub hint: Option<String>,
}

/// Returns the mount with its source's links resolved, if the source is below one of `roots`.
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

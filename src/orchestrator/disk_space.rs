//! Room on the disk that sandboxes have their scratch on.

use std::io;
use std::path::{Path, PathBuf};

/// Room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// All of it.
    pub total: u64,
    /// Room that this process and sandboxes may still fill.
    pub available: u64,
}

impl DiskSpace {
    /// Room on the disk of a folder, which may be still to be made.
    ///
    /// # Errors
    /// If no folder above it can be looked at.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let existing = folder.ancestors().find(|it| it.exists()).unwrap_or(Path::new("/"));
        let disk = rustix::fs::statvfs(existing)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Ok(Self { total: bytes(disk.f_blocks), available: bytes(disk.f_bavail) })
    }

    /// The same, without holding up anything: a disk in the network may not answer.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub async fn look(folder: PathBuf) -> io::Result<Self> {
        let looking = tokio::task::spawn_blocking(move || Self::of(&folder));
        looking.await.map_err(io::Error::other).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_still_to_be_made_is_on_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        let space = DiskSpace::of(&folder.path().join("a/b/c")).unwrap();
        assert!(space.total > 0 && space.available <= space.total, "{space:?}");
    }
}

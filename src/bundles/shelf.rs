//! Keeps archives in a folder, by the digests of their manifests. An archive that is kept never
//! changes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BundleError, Packed};
use crate::domain::file::FileDigest;
use crate::private_files::create_folder;

/// Age at which an unfinished file is of a process that has ended.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Folder of archives. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
}

impl Shelf {
    /// The shelf of a data folder.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("bundles") }
    }

    /// Folder for unfinished files.
    #[must_use]
    pub fn unfinished(&self) -> PathBuf {
        self.folder.join("unfinished")
    }

    /// Place of a bundle's archive, whether it is there or not.
    #[must_use]
    pub fn place(&self, digest: FileDigest) -> PathBuf {
        self.folder.join(format!("{}.tar", digest.hex()))
    }

    /// Keeps a bundle; one that is kept already stays.
    ///
    /// # Errors
    /// [`BundleError::Io`].
    pub fn keep(&self, packed: &Packed) -> Result<(), BundleError> {
        let place = self.place(packed.digest());
        let failed = |error| BundleError::io(place.display(), error);
        create_folder(&self.folder).map_err(failed)?;
        match std::fs::hard_link(packed.path(), &place) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
            _ => std::fs::File::open(&self.folder).and_then(|it| it.sync_all()).map_err(failed),
        }
    }

    /// Removes the unfinished files of processes that were killed.
    pub fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(self.unfinished()) else { return };
        for entry in entries.flatten() {
            let age = entry.metadata().and_then(|it| it.modified()).map(|it| it.elapsed());
            if age.is_ok_and(|age| age.is_ok_and(|age| age > ABANDONED)) {
                // Somebody else may have been faster.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

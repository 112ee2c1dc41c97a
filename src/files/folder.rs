//! The folder of the store: its lock, its parts, and the paths in it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::domain::file::FileDigest;
use crate::private_files::{create_folder, open_to_append};

/// Folder of the files, named after the algorithm of their digests.
const OBJECTS: &str = "sha256";

/// Folder of files that are being written.
const UPLOADS: &str = "uploads";

/// Prefix of the names of files that no restart goes on with.
const PASSING: &str = "new-";

/// The folder, locked as long as this value lives, unless it is only looked at.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    objects: PathBuf,
    uploads: PathBuf,
    _lock: Option<File>,
}

impl Folder {
    /// Creates what is missing, takes the lock, and removes unfinished files.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let (objects, uploads) = (root.join(OBJECTS), root.join(UPLOADS));
        create_folder(root)?;
        let lock = open_to_append(&root.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        create_folder(&objects)?;
        create_folder(&uploads)?;
        for number in 0..=u8::MAX {
            let created = DirBuilder::new().mode(0o700).create(objects.join(hex::encode([number])));
            match created {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        sync_folder(&objects)?;
        let folder = Self { root: root.to_owned(), objects, uploads, _lock: Some(lock) };
        folder.remove_passing()?;
        Ok(folder)
    }

    /// The folder without its lock: to look at it, and to change nothing.
    pub(super) fn look(root: &Path) -> Self {
        let (objects, uploads) = (root.join(OBJECTS), root.join(UPLOADS));
        Self { root: root.to_owned(), objects, uploads, _lock: None }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of files that are being written.
    pub(super) fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// Path of a file.
    pub(super) fn object(&self, digest: FileDigest) -> PathBuf {
        let hex = digest.hex();
        self.objects.join(hex.get(..2).unwrap_or_default()).join(hex)
    }

    /// Path of an upload in parts.
    pub(super) fn upload(&self, id: Uuid) -> PathBuf {
        self.uploads.join(id.simple().to_string())
    }

    /// Folders that the files are in.
    pub(super) fn shards(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let objects = self.objects.clone();
        (0..=u8::MAX).map(move |number| objects.join(hex::encode([number])))
    }

    fn remove_passing(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.uploads)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PASSING) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// New path for a file that is being written, and that no restart goes on with.
pub(super) fn passing(uploads: &Path) -> PathBuf {
    uploads.join(format!("{PASSING}{}", Uuid::new_v4().simple()))
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

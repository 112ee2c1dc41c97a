//! Record of an environment outside of the engine: the exact packages, so that it is the
//! same when it is built again, and the time of its last use, so that it can be removed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::private_files::{create_folder, open_to_append};

/// Largest lock that is read, in bytes.
const MAX_LOCK: u64 = 4 * 1024 * 1024;

/// The file of one environment. Its content is the lock, its time of
/// modification the last use.
pub(super) struct LockFile {
    path: PathBuf,
}

impl LockFile {
    /// The file of the environment with this tag.
    pub(super) fn of(data_dir: &Path, tag: &str) -> Self {
        let name = tag.replace(['/', ':'], "-");
        Self { path: data_dir.join("environments").join(format!("{name}.lock")) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The lock, if there is one.
    pub(super) fn read(&self) -> io::Result<Option<String>> {
        match self.path.metadata() {
            Ok(metadata) if metadata.len() > MAX_LOCK => Ok(None),
            Ok(_) => {
                let text = std::fs::read_to_string(&self.path)?;
                Ok(Some(text).filter(|text| !text.trim().is_empty()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a lock; readers see the old one or the new one.
    pub(super) fn write(&self, lock: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        create_folder(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(lock.as_bytes())?;
        file.persist(&self.path).map(|_| ()).map_err(|error| error.error)
    }

    /// Notes a use.
    pub(super) fn mark_used(&self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            create_folder(folder)?;
        }
        open_to_append(&self.path)?.set_modified(SystemTime::now())
    }

    /// Time since it was last used here; `None` when it never was.
    pub(super) fn unused_for(&self) -> Option<Duration> {
        self.path.metadata().and_then(|it| it.modified()).ok()?.elapsed().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_does_not_change_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let file = LockFile::of(folder.path(), "gantry/environment:abc");
        assert_eq!((file.read().unwrap(), file.unused_for()), (None, None));
        file.mark_used().unwrap();
        assert_eq!(file.read().unwrap(), None);
        file.write("six==1.17.0\n").unwrap();
        file.mark_used().unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some("six==1.17.0\n"));
        assert!(file.unused_for().unwrap() < Duration::from_secs(60));
    }
}

//! This process among those of its installation. What it makes in the engine is
//! labelled with its id, and it holds a lock for as long as it lives: what is
//! labelled with an id whose lock nobody holds was left behind, in whatever way that
//! process has ended.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::private_files::create_folder;

/// Folder of the locks, in the data folder.
const FOLDER: &str = "processes";

/// The lock of this process; ends with its last copy.
#[derive(Debug, Clone)]
pub struct Process {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    id: String,
    path: PathBuf,
    _lock: File,
}

impl Process {
    /// Takes an id of its own.
    ///
    /// # Errors
    /// When the data folder can't be written to.
    pub fn enter(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join(FOLDER);
        create_folder(&folder)?;
        forget_dead(&folder);
        let id = Uuid::new_v4().simple().to_string();
        let path = folder.join(&id);
        // Locked before anybody can find it.
        let file = tempfile::NamedTempFile::new_in(&folder)?;
        file.as_file().lock()?;
        let lock = file.persist(&path).map_err(|error| error.error)?;
        Ok(Self { held: Arc::new(Held { id, path, _lock: lock }) })
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.held.id
    }
}

/// Removes the files of processes that live no longer: they say no more than files that
/// are not there.
fn forget_dead(folder: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let of_processes = files
        .filter(|it| it.file_name().to_str().is_some_and(|name| Uuid::try_parse(name).is_ok()));
    for path in of_processes.map(|it| it.path()) {
        let is_dead = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_dead {
            // If it stays, nobody holds its lock.
            let _ = std::fs::remove_file(&path);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // If it stays, nobody holds its lock.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether a process with this id still lives. What can't be found out counts as
/// alive.
#[must_use]
pub fn is_alive(data_dir: &Path, id: &str) -> bool {
    // A label is a text like any other.
    if Uuid::try_parse(id).is_err() {
        return true;
    }
    let path = data_dir.join(FOLDER).join(id);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Err(_) => return true,
        Ok(file) => file,
    };
    match file.try_lock_shared() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lives_is_told_from_who_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) =
            (Process::enter(folder.path()).unwrap(), Process::enter(folder.path()).unwrap());
        let (first, second) = (one.id().to_owned(), other.id().to_owned());
        drop(one);
        assert!(!is_alive(folder.path(), &first));
        assert!(is_alive(folder.path(), &second));
        // As a process that was killed leaves it.
        std::fs::write(folder.path().join(FOLDER).join(&first), "").unwrap();
        assert!(!is_alive(folder.path(), &first));
        assert!(is_alive(folder.path(), "../installation"));
        let third = Process::enter(folder.path()).unwrap();
        assert!(!folder.path().join(FOLDER).join(&first).exists(), "nothing is left of the dead");
        assert!(is_alive(folder.path(), &second) && is_alive(folder.path(), third.id()));
    }
}

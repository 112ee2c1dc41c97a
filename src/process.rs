//! Identity of this process within its installation. Everything that it creates in the
//! engine is labelled with its id, and it holds a lock while it lives. An object whose
//! label names an id without a held lock was left behind by a dead process.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;

use crate::private_files::create_folder;

/// Folder of the locks, in the data folder.
const FOLDER: &str = "processes";

/// Lock of this process, released with its last copy.
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
    /// Creates an id and locks it.
    ///
    /// # Errors
    /// [`io::Error`] if the data folder is not writable.
    pub fn register(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join(FOLDER);
        create_folder(&folder)?;
        remove_dead_locks(&folder);
        let id = Uuid::new_v4().simple().to_string();
        let path = folder.join(&id);
        // Locked before any other process can find it.
        let file = tempfile::NamedTempFile::new_in(&folder)?;
        file.as_file().lock()?;
        let lock = file.persist(&path).map_err(|error| error.error)?;
        Ok(Self { held: Arc::new(Held { id, path, _lock: lock }) })
    }

    /// Id of the process.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.held.id
    }
}

/// Removes lock files of dead processes. They mean the same as missing files.
fn remove_dead_locks(folder: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let of_processes = files
        .filter(|it| it.file_name().to_str().is_some_and(|name| Uuid::try_parse(name).is_ok()));
    for path in of_processes.map(|it| it.path()) {
        let is_dead = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_dead {
            // A file that stays is not locked.
            let _ = std::fs::remove_file(&path);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A file that stays is not locked.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// True if a process with this id is alive. If that can't be determined, it counts as
/// alive.
#[must_use]
pub fn is_alive(data_dir: &Path, id: &str) -> bool {
    // Anyone can set a label to any text.
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
            (Process::register(folder.path()).unwrap(), Process::register(folder.path()).unwrap());
        let (first, second) = (one.id().to_owned(), other.id().to_owned());
        drop(one);
        assert!(!is_alive(folder.path(), &first));
        assert!(is_alive(folder.path(), &second));
        // State that a killed process leaves.
        std::fs::write(folder.path().join(FOLDER).join(&first), "").unwrap();
        assert!(!is_alive(folder.path(), &first));
        assert!(is_alive(folder.path(), "../installation"));
        let third = Process::register(folder.path()).unwrap();
        assert!(!folder.path().join(FOLDER).join(&first).exists(), "nothing is left of the dead");
        assert!(is_alive(folder.path(), &second) && is_alive(folder.path(), third.id()));
    }
}

//! Installation id, stored in the data folder. Every container and image is labelled with
//! it.

use std::io;
use std::path::Path;

use crate::private_files::create_folder;

/// Id stored in `data_dir`, created at the first use.
///
/// # Errors
/// [`io::Error`] if the folder is not writable, or if the stored id is invalid.
pub fn id(data_dir: &Path) -> io::Result<String> {
    create_folder(data_dir)?;
    let path = data_dir.join("installation");
    // The first process to link its file wins; all others read that file.
    if !path.exists() {
        let file = tempfile::NamedTempFile::new_in(data_dir)?;
        std::fs::write(file.path(), uuid::Uuid::new_v4().simple().to_string())?;
        match file.persist_noclobber(&path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error),
        }
    }
    let id = std::fs::read_to_string(&path)?;
    match uuid::Uuid::try_parse(id.trim()) {
        Ok(id) => Ok(id.simple().to_string()),
        Err(_) => {
            let message = format!("{} is not an installation id: remove the file", path.display());
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("new");
        let first = id(&data_dir).unwrap();
        assert_eq!(id(&data_dir).unwrap(), first);
    }

    #[test]
    fn all_who_begin_at_once_get_one_id() {
        let folder = tempfile::tempdir().unwrap();
        let ids = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| id(folder.path()).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn a_damaged_id_is_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("installation"), "x").unwrap();
        assert!(id(folder.path()).unwrap_err().to_string().contains("is not an installation id"));
    }
}

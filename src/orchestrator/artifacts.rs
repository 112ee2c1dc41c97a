//! Where a script's artifacts go.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use gantry_init::message::ArtifactBegin;
use tempfile::NamedTempFile;

/// A folder that takes artifacts, or nothing that does: then they are counted
/// and dropped.
#[derive(Debug, Default)]
pub struct ArtifactStore {
    folder: Option<PathBuf>,
    current: Option<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    file: NamedTempFile,
    place: PathBuf,
    left: u64,
}

impl ArtifactStore {
    /// A store that writes into `folder`, which is made when the first artifact
    /// comes.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, current: None }
    }

    /// Begins an artifact. Its name has been checked to be a relative path that
    /// stays below the folder.
    pub(super) fn begin(&mut self, artifact: &ArtifactBegin) -> io::Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let place = folder.join(&artifact.name);
        let parent = place.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)?;
        let file = NamedTempFile::new_in(parent)?;
        self.current = Some(Unfinished { file, place, left: artifact.size });
        self.finish_if_whole()
    }

    /// Adds to the artifact that was begun last.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(current) = &mut self.current {
            current.file.write_all(bytes)?;
            current.left = current.left.saturating_sub(bytes.len() as u64);
        }
        self.finish_if_whole()
    }

    /// A whole file appears at once under its name, and replaces what was there
    /// instead of following it.
    fn finish_if_whole(&mut self) -> io::Result<()> {
        match self.current.take_if(|current| current.left == 0) {
            Some(whole) => persist(whole.file, &whole.place),
            None => Ok(()),
        }
    }
}

fn persist(file: NamedTempFile, place: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.persist(place).map(|_| ()).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(name: &str, size: u64) -> ArtifactBegin {
        ArtifactBegin { name: name.to_owned(), size }
    }

    #[test]
    fn whole_files_appear_and_cut_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = ArtifactStore::new(Some(folder.path().to_owned()));
        store.begin(&begin("a/whole.txt", 4)).unwrap();
        store.write(b"ab").unwrap();
        store.write(b"cd").unwrap();
        store.begin(&begin("empty", 0)).unwrap();
        store.begin(&begin("cut", 3)).unwrap();
        store.write(b"x").unwrap();
        drop(store);
        assert_eq!(std::fs::read(folder.path().join("a/whole.txt")).unwrap(), b"abcd");
        assert_eq!(std::fs::read(folder.path().join("empty")).unwrap(), b"");
        assert!(!folder.path().join("cut").exists());
    }

    #[test]
    fn a_link_in_the_way_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("precious");
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("a")).unwrap();
        let mut store = ArtifactStore::new(Some(folder.path().to_owned()));
        store.begin(&begin("a", 1)).unwrap();
        store.write(b"x").unwrap();
        assert_eq!(std::fs::read(target).unwrap(), b"precious");
        assert_eq!(std::fs::read(folder.path().join("a")).unwrap(), b"x");
    }
}

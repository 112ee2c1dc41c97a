//! Writing a script's artifacts into a folder.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use gantry_init::message::ArtifactBegin;
use tempfile::NamedTempFile;

use crate::private_files::FILE_MODE;

/// A folder that takes artifacts, or nothing that does: then they are counted
/// and dropped.
#[derive(Debug, Default)]
pub struct ArtifactWriter {
    folder: Option<PathBuf>,
    naming: Naming,
    begun: usize,
    current: Option<Unfinished>,
}

/// Names of the files.
#[derive(Debug, Default)]
enum Naming {
    /// As the script called them.
    #[default]
    Script,
    /// By their number, from 0: what a script calls them means nothing here.
    Number,
}

impl Naming {
    /// Mode of the files: what a script calls by its name is for whoever ran it, and the
    /// rest is the server's own.
    fn mode(&self) -> u32 {
        match self {
            Self::Script => 0o644,
            Self::Number => FILE_MODE,
        }
    }
}

#[derive(Debug)]
struct Unfinished {
    file: NamedTempFile,
    place: PathBuf,
    left: u64,
}

impl ArtifactWriter {
    /// A store that writes into `folder`, which is made if it is not there. It
    /// must be empty: what comes out of a sandbox is hostile, and may neither
    /// replace anything nor appear among what somebody trusts.
    ///
    /// # Errors
    /// If the folder can't be made, is not empty, or can't be written to.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        if std::fs::read_dir(&folder)?.next().is_some() {
            return Err(io::Error::new(ErrorKind::DirectoryNotEmpty, "the folder is not empty"));
        }
        // What permissions don't tell, such as a file system without writing.
        tempfile::tempfile_in(&folder)?;
        Ok(Self { folder: Some(folder), ..Self::default() })
    }

    /// One whose files are called by their number, from 0. The folder is made when
    /// the first of them comes: most executions leave none.
    pub(super) fn numbered(folder: PathBuf) -> Self {
        Self { folder: Some(folder), naming: Naming::Number, ..Self::default() }
    }

    /// Begins an artifact. Its name has been checked to be a relative path that
    /// stays below the folder.
    pub(super) fn begin(&mut self, artifact: &ArtifactBegin) -> io::Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let place = match self.naming {
            Naming::Script => folder.join(&artifact.name),
            Naming::Number => folder.join(self.begun.to_string()),
        };
        self.begun += 1;
        let file = temporary(place.parent().unwrap_or(folder)).map_err(|it| at(&place, &it))?;
        self.current = Some(Unfinished { file, place, left: artifact.size });
        self.finish_if_whole()
    }

    /// Adds to the artifact that was begun last.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(current) = &mut self.current {
            current.file.write_all(bytes).map_err(|error| at(&current.place, &error))?;
            current.left = current.left.saturating_sub(bytes.len() as u64);
        }
        self.finish_if_whole()
    }

    /// A whole file appears at once under its name, where nothing may be yet.
    fn finish_if_whole(&mut self) -> io::Result<()> {
        match self.current.take_if(|current| current.left == 0) {
            Some(whole) => persist(whole.file, &whole.place, self.naming.mode())
                .map_err(|error| at(&whole.place, &error)),
            None => Ok(()),
        }
    }
}

/// True if there was no room on the disk: there may be later.
pub(super) fn is_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    std::fs::create_dir_all(folder)?;
    NamedTempFile::new_in(folder)
}

fn persist(file: NamedTempFile, place: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.persist_noclobber(place).map(|_| ()).map_err(|error| error.error)
}

/// The same error with the place where it happened.
fn at(place: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(name: &str, size: u64) -> ArtifactBegin {
        ArtifactBegin { name: name.to_owned(), size }
    }

    fn store(folder: &Path) -> ArtifactWriter {
        ArtifactWriter::open(folder.to_owned()).unwrap()
    }

    #[test]
    fn whole_files_appear_and_cut_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
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
    fn what_came_in_the_way_is_neither_replaced_nor_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
        std::os::unix::fs::symlink(outside.path().join("new"), folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("file"), "precious").unwrap();
        for name in ["link", "file"] {
            store.begin(&begin(name, 1)).unwrap();
            let error = store.write(b"x").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.to_string().contains(&format!("/{name}: ")), "{error}");
        }
        assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"precious");
        assert!(!outside.path().join("new").exists());
    }

    #[test]
    fn only_an_empty_folder_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        store(&folder.path().join("a/b"));
        let error = ArtifactWriter::open(folder.path().to_owned()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DirectoryNotEmpty);
    }
}

//! Removal of a folder with all that is in it, however deep and however much. A folder in it
//! is first moved to one place, where its content is moved next: nothing recurses, and two
//! descriptors are open at most.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

/// Folder to which others are moved.
const TRASH: &str = ".gone";

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a folder. Links are removed, and not followed.
///
/// # Errors
/// The first error; the rest is removed.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let root = openat(CWD, folder, FOLDER, Mode::empty())?;
    match mkdirat(&root, TRASH, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let trash = openat(&root, TRASH, FOLDER, Mode::empty())?;
    let mut emptying = Emptying { trash, moved: 0, error: None };
    emptying.empty(&root);
    emptying.empty_trash()?;
    if let Some(error) = emptying.error {
        return Err(error.into());
    }
    drop(emptying.trash);
    unlinkat(&root, TRASH, AtFlags::REMOVEDIR)?;
    unlinkat(CWD, folder, AtFlags::REMOVEDIR)?;
    Ok(())
}

struct Emptying {
    trash: OwnedFd,
    /// Number of folders that were moved, after which the next is called.
    moved: u64,
    error: Option<Errno>,
}

impl Emptying {
    /// Removes the files of a folder, and moves its folders to the trash.
    fn empty(&mut self, folder: &OwnedFd) {
        let Ok(entries) = Dir::read_from(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes() == TRASH.as_bytes() {
                continue;
            }
            let gone = match self.is_folder(folder, &entry) {
                true => self.discard(folder, name),
                false => unlinkat(folder, name, AtFlags::empty()),
            };
            self.note(gone);
        }
    }

    fn is_folder(&self, folder: impl AsFd, entry: &rustix::fs::DirEntry) -> bool {
        match entry.file_type() {
            FileType::Unknown => {
                let status = statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
                status.is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Directory)
            }
            kind => kind == FileType::Directory,
        }
    }

    /// Removes an empty folder, and moves any other.
    fn discard(&mut self, parent: &OwnedFd, name: &std::ffi::CStr) -> rustix::io::Result<()> {
        if unlinkat(parent, name, AtFlags::REMOVEDIR).is_ok() {
            return Ok(());
        }
        loop {
            self.moved += 1;
            match renameat(parent, name, &self.trash, self.moved.to_string()) {
                // An earlier removal was cut short.
                Err(Errno::EXIST | Errno::NOTEMPTY) => {}
                other => return other,
            }
        }
    }

    /// Empties what was moved, until nothing is left, or nothing more can be removed.
    fn empty_trash(&mut self) -> io::Result<()> {
        loop {
            let mut has_removed = false;
            let mut has_seen = false;
            for entry in Dir::read_from(&self.trash)?.flatten() {
                let name = entry.file_name().to_owned();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                has_seen = true;
                if let Ok(folder) = openat(&self.trash, &name, FOLDER, Mode::empty()) {
                    self.empty(&folder);
                }
                let gone = unlinkat(&self.trash, &name, AtFlags::REMOVEDIR);
                has_removed |= gone.is_ok();
                self.note(gone);
            }
            if !has_seen || !has_removed {
                return Ok(());
            }
        }
    }

    fn note(&mut self, result: rustix::io::Result<()>) {
        match result {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => self.error = self.error.or(Some(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn everything_goes_and_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let (folder, outside) = (root.path().join("folder"), root.path().join("outside"));
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("file"), "x").unwrap();
        for name in ["file", "a/file", "a/b/c/file"] {
            fs::write(folder.join(name), "x").unwrap();
        }
        symlink(&outside, folder.join("a/link")).unwrap();
        symlink(&outside, folder.join("link")).unwrap();
        fs::hard_link(outside.join("file"), folder.join("a/hard")).unwrap();
        fs::set_permissions(folder.join("a/b"), fs::Permissions::from_mode(0o0)).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"x");
    }

    #[test]
    fn what_is_deeper_than_any_stack_goes_as_well() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let mut deepest = openat(CWD, &folder, FOLDER, Mode::empty()).unwrap();
        for _ in 0..5_000 {
            mkdirat(&deepest, "d", Mode::RWXU).unwrap();
            deepest = openat(&deepest, "d", FOLDER, Mode::empty()).unwrap();
        }
        drop(deepest);
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn a_removal_that_was_cut_short_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        fs::create_dir_all(folder.join(TRASH).join("1/sub")).unwrap();
        fs::create_dir_all(folder.join("a/b")).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
        assert_eq!(remove(&folder).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

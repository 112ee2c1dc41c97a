//! Opens files that the script left, and only those: never through a link, and
//! never waiting for what is behind a name (a FIFO, a terminal).

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::libc;
use nix::sys::stat::{Mode, fstat};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Flags for the last component.
const ENTRY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// Flags for the others: passed through, not read.
const PASSAGE: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// An opened file or directory.
pub(crate) enum Entry {
    /// A regular file of this many bytes.
    File(OwnedFd, u64),
    /// A directory.
    Directory(OwnedFd),
}

/// Opens `path` below `root`, both without a link in them. The path must have
/// been checked to have no `..` in it.
///
/// # Errors
/// `ENOENT` when it is not there; any other when it is not a file or directory
/// that can be read.
pub(crate) fn open_beneath(root: &str, path: &Path) -> nix::Result<Entry> {
    let mut directory = openat(AT_FDCWD, root, PASSAGE, Mode::empty())?;
    let mut names = path.iter().filter(|name| *name != ".").peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            return open_entry(&directory, name);
        }
        directory = openat(&directory, name, PASSAGE, Mode::empty())?;
    }
    Err(Errno::EISDIR)
}

/// Opens the root of a tree, which must not be a link itself.
pub(crate) fn open_root(path: &str) -> nix::Result<OwnedFd> {
    openat(AT_FDCWD, path, ENTRY | OFlag::O_DIRECTORY, Mode::empty())
}

/// Opens a directory in a directory, which must not be a link.
pub(crate) fn open_directory<N>(directory: impl AsFd, name: &N) -> nix::Result<OwnedFd>
where
    N: nix::NixPath + ?Sized,
{
    openat(directory, name, ENTRY | OFlag::O_DIRECTORY, Mode::empty())
}

/// Opens one name in a directory.
pub(crate) fn open_entry<N>(directory: impl AsFd, name: &N) -> nix::Result<Entry>
where
    N: nix::NixPath + ?Sized,
{
    let fd = openat(directory, name, ENTRY, Mode::empty())?;
    let status = fstat(&fd)?;
    match status.st_mode & libc::S_IFMT {
        libc::S_IFREG => Ok(Entry::File(fd, u64::try_from(status.st_size).unwrap_or_default())),
        libc::S_IFDIR => Ok(Entry::Directory(fd)),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::os::unix::fs::symlink;

    fn opened(root: &tempfile::TempDir, path: &str) -> nix::Result<Entry> {
        open_beneath(root.path().to_str().unwrap(), Path::new(path))
    }

    #[test]
    fn files_and_directories_are_opened() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::fs::write(root.path().join("a/file"), "12345").unwrap();
        assert!(matches!(opened(&root, "./a/file"), Ok(Entry::File(_, 5))));
        assert!(matches!(opened(&root, "a"), Ok(Entry::Directory(_))));
        assert!(matches!(opened(&root, "a/none"), Err(Errno::ENOENT)));
        assert!(matches!(opened(&root, "none/file"), Err(Errno::ENOENT)));
        assert!(matches!(opened(&root, "a/file/x"), Err(Errno::ENOTDIR)));
    }

    #[test]
    fn links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("real")).unwrap();
        std::fs::write(root.path().join("real/file"), "").unwrap();
        symlink("real", root.path().join("directory")).unwrap();
        symlink("real/file", root.path().join("link")).unwrap();
        assert!(opened(&root, "directory/file").is_err());
        assert!(matches!(opened(&root, "link"), Err(Errno::ELOOP)));
        assert!(open_root(root.path().join("directory").to_str().unwrap()).is_err());
    }

    #[test]
    fn a_fifo_is_neither_waited_for_nor_taken() {
        let root = tempfile::tempdir().unwrap();
        mkfifo(&root.path().join("fifo"), Mode::S_IRWXU).unwrap();
        assert!(matches!(opened(&root, "fifo"), Err(Errno::EINVAL)));
    }
}

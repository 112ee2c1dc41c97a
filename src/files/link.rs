//! Files of the store in other folders, without a second copy where the file system can.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::ioctl_ficlone;
use rustix::io::Errno;

use super::FilesError;
use crate::domain::file::FileDigest;

/// Mode of a file that everybody may read and nobody may write.
pub(super) const READ_ONLY: u32 = 0o444;

/// Makes objects appear at paths. Returns the bytes that were copied.
pub(super) async fn link_all(
    objects: Vec<(PathBuf, PathBuf)>,
    digests: Vec<FileDigest>,
) -> Result<u64, FilesError> {
    let linking = tokio::task::spawn_blocking(move || {
        let mut copied = 0_u64;
        for ((object, to), digest) in objects.iter().zip(digests) {
            copied += appear(object, to).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound if !object.exists() => FilesError::Missing(vec![digest]),
                _ => FilesError::io("linking a file")(error),
            })?;
        }
        Ok(copied)
    });
    linking.await.map_err(|_| FilesError::Stopped)?
}

/// Makes a file appear at a path: by a hard link, a clone, or a copy. Returns the bytes that were
/// copied.
pub(super) fn appear(from: &Path, to: &Path) -> io::Result<u64> {
    match fs::hard_link(from, to) {
        Err(error) if is_no_link_possible(&error) => duplicate(from, to),
        linked => linked.map(|()| 0),
    }
}

/// The file system has no hard links, is another one, or the file has as many as it may have
/// (link(2)); or the file is somebody else's, and may not be linked (`fs.protected_hardlinks`,
/// proc(5)).
fn is_no_link_possible(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS))
}

/// Makes a new file of the same content, sharing its blocks where the file system can.
fn duplicate(from: &Path, to: &Path) -> io::Result<u64> {
    let source = File::open(from)?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let filling = || match ioctl_ficlone(&target, &source) {
        Ok(()) => Ok(0),
        Err(_) => io::copy(&mut &source, &mut &target),
    };
    let copied = filling().and_then(|copied| {
        target.set_permissions(Permissions::from_mode(READ_ONLY))?;
        Ok(copied)
    });
    if copied.is_err() {
        // A part of a file would look like one.
        let _ = fs::remove_file(to);
    }
    copied
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_file_appears_without_a_copy_or_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let (from, link, copy) =
            (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        fs::write(&from, "content").unwrap();
        assert_eq!(appear(&from, &link).unwrap(), 0);
        assert_eq!(fs::metadata(&from).unwrap().ino(), fs::metadata(&link).unwrap().ino());
        assert!(duplicate(&from, &copy).unwrap() <= 7);
        assert_eq!(fs::read(&copy).unwrap(), b"content");
        assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, READ_ONLY);
        for there in [&link, &copy] {
            assert_eq!(appear(&from, there).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert!(duplicate(&from, there).is_err());
            assert_eq!(fs::read(there).unwrap(), b"content");
        }
    }
}

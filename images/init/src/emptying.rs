//! Empties `/work` on disk: what a script leaves belongs to its user, and a server without
//! that user's rights could not remove it.
//!
//! A folder in a folder is first moved to one place, where its content is moved next:
//! nothing recurses, however deep, and two descriptors are open at most. All processes of
//! the script are dead, and what can't be removed is left to the server.

use nix::dir::{Dir, Entry, Type};
use nix::fcntl::{AtFlags, renameat};
use nix::libc;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, getuid, unlinkat};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use gantry_init::message::{ARTIFACT_DIR, DISK_TEMPORARY_DIR, LEFT_DIR, WORK_DIR};

use crate::safe_open::{open_directory, open_root};

/// Longest time that it takes. The container's end waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Entries between two looks at the clock.
const ENTRIES_PER_LOOK: u32 = 64;

/// Names for a new folder that are tried: the script may have taken some.
const NAMES: u32 = 1000;

/// Folders that the server has made, and their names in `/work`.
const OPEN_FOLDERS: [&str; 2] = [ARTIFACT_DIR, DISK_TEMPORARY_DIR];
const KEPT: [&[u8]; 4] = [b"out", b"tmp", b"in", b".gantry"];

/// True if `/work` is a folder of the server's.
pub(crate) fn is_on_disk() -> bool {
    let Ok(folder) = open_root(LEFT_DIR) else { return false };
    nix::sys::stat::fstat(&folder).is_ok_and(|it| it.st_uid != getuid().as_raw())
}

/// Removes everything that the script has left, but for the files that were moved.
pub(crate) fn empty_work() {
    let Ok(left) = open_root(LEFT_DIR) else { return };
    let Some(mut emptying) = Emptying::below(&left) else { return };
    if let Ok(work) = open_root(WORK_DIR) {
        emptying.empty(&work, |name| KEPT.contains(&name));
    }
    for path in OPEN_FOLDERS {
        if let Ok(folder) = open_root(path) {
            emptying.empty(&folder, |_| false);
        }
    }
    emptying.finish(&left);
}

/// Removes all from a folder.
pub(crate) fn empty_folder(folder: &OwnedFd) {
    let Some(mut emptying) = Emptying::below(folder) else { return };
    let trash = emptying.name.clone();
    emptying.empty(folder, |name| name == trash.as_bytes());
    emptying.finish(folder);
}

struct Emptying {
    /// Folder to which others are moved, and its name.
    trash: OwnedFd,
    name: String,
    /// Number of folders that were moved, after which the next is called.
    moved: u64,
    until: Instant,
    looked: u32,
    is_late: bool,
}

impl Emptying {
    /// Makes the place for folders in this one.
    fn below(folder: &OwnedFd) -> Option<Self> {
        let names = (0..NAMES).map(|number| format!("trash-{number}"));
        let name =
            names.into_iter().find(|name| mkdirat(folder, name.as_str(), Mode::S_IRWXU).is_ok())?;
        let trash = open_directory(folder, name.as_str()).ok()?;
        let until = Instant::now() + PATIENCE;
        Some(Self { trash, name, moved: 0, until, looked: 0, is_late: false })
    }

    /// Removes the files in a folder, and moves its folders away.
    fn empty(&mut self, folder: &OwnedFd, is_kept: impl Fn(&[u8]) -> bool) {
        let Some(entries) = entries(folder) else { return };
        for entry in entries {
            if self.is_late() {
                return;
            }
            let name = entry.file_name();
            if is_kept(name.to_bytes()) {
                continue;
            }
            if is_directory(folder, &entry) {
                self.discard(folder, name);
            } else {
                let _ = unlinkat(folder, name, UnlinkatFlags::NoRemoveDir);
            }
        }
    }

    /// Removes an empty folder, and moves any other.
    fn discard(&mut self, parent: &OwnedFd, name: &CStr) {
        if unlinkat(parent, name, UnlinkatFlags::RemoveDir).is_ok() {
            return;
        }
        // Moving a folder changes its `..`, and emptying it needs all rights.
        let _ = fchmodat(parent, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink);
        self.moved += 1;
        let _ = renameat(parent, name, &self.trash, self.moved.to_string().as_str());
    }

    /// Empties what was moved, until nothing is left, or nothing more can be removed.
    fn finish(mut self, parent: &OwnedFd) {
        loop {
            let Some(entries) = entries(&self.trash) else { break };
            let (mut has_removed, mut has_seen) = (false, false);
            for entry in entries {
                if self.is_late() {
                    return;
                }
                has_seen = true;
                let name = entry.file_name();
                if let Ok(folder) = open_directory(&self.trash, name) {
                    self.empty(&folder, |_| false);
                }
                has_removed |= unlinkat(&self.trash, name, UnlinkatFlags::RemoveDir).is_ok();
            }
            if !has_seen || !has_removed {
                break;
            }
        }
        let _ = unlinkat(parent, self.name.as_str(), UnlinkatFlags::RemoveDir);
    }

    fn is_late(&mut self) -> bool {
        self.looked = self.looked.wrapping_add(1);
        if self.looked.is_multiple_of(ENTRIES_PER_LOOK) {
            self.is_late |= Instant::now() >= self.until;
        }
        self.is_late
    }
}

/// Entries of a folder, in no order.
fn entries(folder: &OwnedFd) -> Option<impl Iterator<Item = Entry> + use<>> {
    // Opened anew: the position in a directory belongs to the open file.
    let fd = open_directory(folder, ".").ok()?;
    let entries = Dir::from_fd(fd).ok()?.into_iter().map_while(Result::ok);
    Some(entries.filter(|entry| entry.file_name() != c"." && entry.file_name() != c".."))
}

fn is_directory(folder: impl AsFd, entry: &Entry) -> bool {
    match entry.file_type() {
        Some(kind) => kind == Type::Directory,
        None => {
            let status = fstatat(folder, entry.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW);
            status.is_ok_and(|it| it.st_mode & libc::S_IFMT == libc::S_IFDIR)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn left_in(folder: &std::path::Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn everything_goes_and_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let (folder, outside) = (root.path().join("folder"), root.path().join("outside"));
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::create_dir(folder.join("trash-0")).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        fs::write(folder.join("a/b/c/file"), "").unwrap();
        fs::write(folder.join("trash-1"), "").unwrap();
        symlink(&outside, folder.join("a/link")).unwrap();
        symlink("nowhere", folder.join("link")).unwrap();
        for closed in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(folder.join(closed), Permissions::from_mode(0o0)).unwrap();
        }
        empty_folder(&open_root(folder.to_str().unwrap()).unwrap());
        assert_eq!(left_in(&folder), 0);
        assert_eq!(left_in(&outside), 1);
    }

    #[test]
    fn depth_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        let folder = open_root(root.path().to_str().unwrap()).unwrap();
        let mut deepest = folder.try_clone().unwrap();
        for _ in 0..5_000 {
            mkdirat(&deepest, "d", Mode::S_IRWXU).unwrap();
            deepest = open_directory(&deepest, "d").unwrap();
        }
        drop(deepest);
        empty_folder(&folder);
        assert_eq!(left_in(root.path()), 0);
    }

    #[test]
    fn it_has_an_end() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..200 {
            fs::write(root.path().join(number.to_string()), "").unwrap();
        }
        let folder = open_root(root.path().to_str().unwrap()).unwrap();
        let mut emptying = Emptying::below(&folder).unwrap();
        emptying.until = Instant::now();
        let trash = emptying.name.clone();
        emptying.empty(&folder, |name| name == trash.as_bytes());
        assert!(left_in(root.path()) > 100);
    }
}

//! Moves the files that a script left on disk to where the server takes them: flat, by
//! number, in the order of their names, and open to a server of any user. No byte of them is
//! read here.
//!
//! All processes of the script are dead, but what it left is as hostile as it was: every
//! file is moved, or named with the reason, or counted.

use nix::dir::Dir;
use nix::fcntl::{AtFlags, renameat};
use nix::libc;
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmodat, fstatat};
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use gantry_init::artifact_name::joined;
use gantry_init::frame::Kind;
use gantry_init::message::{
    ARTIFACT_DIR, ArtifactCaps, LEFT_DIR, LeftFile, MAX_UNLISTED_ARTIFACTS, SkipReason,
};

use crate::collect::{Left, files_below, names_in};
use crate::emptying::empty_folder;
use crate::outgoing::{Outgoing, WriteStalled};
use crate::safe_open::{open_directory, open_root};

/// Mode of a moved file. A server of another user may link to a file only that it could
/// write (`fs.protected_hardlinks`, proc(5)).
const PLAIN: Mode = Mode::from_bits_truncate(0o666);

/// Mode of a moved file that its owner may execute.
const EXECUTABLE: Mode = Mode::from_bits_truncate(0o777);

/// Moves the files in [`ARTIFACT_DIR`] to [`LEFT_DIR`] and tells of each. Answers with those
/// that were not moved.
pub(crate) fn move_files(out: &mut Outgoing, caps: ArtifactCaps) -> Result<Left, WriteStalled> {
    let mut left = Left::default();
    let (root, target) = (open_root(ARTIFACT_DIR), open_root(LEFT_DIR));
    let (Ok(root), Ok(target)) = (root, target) else {
        left.skip("", b"", SkipReason::Unreadable);
        return Ok(left);
    };
    move_all(out, caps, root, target)
}

fn move_all(
    out: &mut Outgoing,
    caps: ArtifactCaps,
    root: OwnedFd,
    target: OwnedFd,
) -> Result<Left, WriteStalled> {
    // The script could write there.
    empty_folder(&target);
    let (entries, linked) = (0, HashSet::new());
    let mut walk = Walk { out, caps, target, entries, linked, left: Left::default() };
    walk.directory(root, "")?;
    Ok(walk.left)
}

/// A walk through the files, and what is left of their caps.
struct Walk<'out> {
    out: &'out mut Outgoing,
    caps: ArtifactCaps,
    target: OwnedFd,
    entries: usize,
    /// Inodes of moved files that have, or had, another name.
    linked: HashSet<u64>,
    left: Left,
}

impl Walk<'_> {
    /// Moves what is in a directory. Its depth is bounded by the rule of names.
    fn directory(&mut self, fd: OwnedFd, path: &str) -> Result<(), WriteStalled> {
        let Ok(mut directory) = Dir::from_fd(fd) else {
            self.left.skip(path, b"", SkipReason::Unreadable);
            return Ok(());
        };
        let names = names_in(&mut directory, path, &mut self.entries, &mut self.left);
        let Ok(place) = std::os::fd::AsFd::as_fd(&directory).try_clone_to_owned() else {
            self.left.skip(path, b"", SkipReason::Unreadable);
            return Ok(());
        };
        for entry in names {
            self.entry(&place, &entry, path)?;
        }
        Ok(())
    }

    fn entry(&mut self, place: &OwnedFd, entry: &CString, path: &str) -> Result<(), WriteStalled> {
        let bytes = entry.to_bytes();
        let status = fstatat(place, entry.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        let Ok(status) = status else {
            self.left.skip(path, bytes, SkipReason::Unreadable);
            return Ok(());
        };
        match (joined(path, bytes), status.st_mode & libc::S_IFMT) {
            (Some(name), libc::S_IFREG) => self.file(place, entry, &status, name),
            (name, libc::S_IFDIR) => match (name, open_closed(place, entry)) {
                (Some(name), Ok(fd)) => self.directory(fd, &name),
                (None, Ok(fd)) => {
                    let files = files_below(fd, 1, MAX_UNLISTED_ARTIFACTS);
                    self.left.skip_all(files, path, bytes, SkipReason::Name);
                    Ok(())
                }
                (_, Err(_)) => self.skip(path, bytes, SkipReason::Unreadable),
            },
            (None, _) => self.skip(path, bytes, SkipReason::Name),
            (Some(_), _) => self.skip(path, bytes, SkipReason::Unreadable),
        }
    }

    fn file(
        &mut self,
        place: &OwnedFd,
        entry: &CStr,
        status: &FileStat,
        name: String,
    ) -> Result<(), WriteStalled> {
        let size = u64::try_from(status.st_size).unwrap_or_default();
        if self.caps.count == 0 {
            return self.skip("", name.as_bytes(), SkipReason::TooMany);
        }
        if size > self.caps.bytes {
            return self.skip("", name.as_bytes(), SkipReason::TooLarge);
        }
        // Both names would be one file, which can't be taken twice.
        if status.st_nlink > 1 && !self.linked.insert(status.st_ino) {
            return self.skip("", name.as_bytes(), SkipReason::HardLink);
        }
        let number = self.left.sent.to_string();
        let is_executable = status.st_mode & libc::S_IXUSR != 0;
        let mode = if is_executable { EXECUTABLE } else { PLAIN };
        let moved = renameat(place, entry, &self.target, number.as_str()).and_then(|()| {
            fchmodat(&self.target, number.as_str(), mode, FchmodatFlags::FollowSymlink)
        });
        if moved.is_err() {
            return self.skip("", name.as_bytes(), SkipReason::Unreadable);
        }
        self.caps.count -= 1;
        self.caps.bytes -= size;
        self.left.sent += 1;
        self.out.push_message(Kind::LeftFile, &LeftFile { name, size, executable: is_executable })
    }

    fn skip(
        &mut self,
        directory: &str,
        entry: &[u8],
        reason: SkipReason,
    ) -> Result<(), WriteStalled> {
        self.left.skip(directory, entry, reason);
        Ok(())
    }
}

/// Opens a directory that the script may have closed to itself: it is our user's, too.
fn open_closed(place: &OwnedFd, name: &CStr) -> nix::Result<OwnedFd> {
    open_directory(place, name).or_else(|_| {
        fchmodat(place, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
        open_directory(place, name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_init::frame::{Decoder, Frame};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    /// Moves the files below `root/out` to `root/to`; what was told, and what is left.
    fn moved(root: &Path, count: u32, bytes: u64) -> (Vec<LeftFile>, Left) {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut out = Outgoing::new(writer.into()).unwrap();
        let open = |name: &str| open_root(root.join(name).to_str().unwrap()).unwrap();
        let left = move_all(&mut out, ArtifactCaps { count, bytes }, open("out"), open("to"));
        let left = left.unwrap();
        out.flush_all().unwrap();
        drop(out);
        let mut decoder = Decoder::new();
        let mut sent = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut sent).unwrap();
        decoder.feed(&sent);
        let mut told = Vec::new();
        while let Some(Frame { kind, payload }) = decoder.next_frame().unwrap() {
            assert_eq!(kind, Kind::LeftFile);
            told.push(serde_json::from_slice(&payload).unwrap());
        }
        (told, left)
    }

    fn root() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("out")).unwrap();
        fs::create_dir(root.path().join("to")).unwrap();
        root
    }

    fn names(told: &[LeftFile]) -> Vec<&str> {
        told.iter().map(|it| it.name.as_str()).collect()
    }

    #[test]
    fn files_come_in_order_flat_and_open() {
        let root = root();
        let out = root.path().join("out");
        fs::create_dir_all(out.join("b/c")).unwrap();
        for (name, content, mode) in
            [("z", "1", 0o644), ("b/c/x", "22", 0o4755), ("a", "333", 0), ("b/empty", "", 0o600)]
        {
            fs::write(out.join(name), content).unwrap();
            fs::set_permissions(out.join(name), Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(out.join("b"), Permissions::from_mode(0o0)).unwrap();
        // What the script has put in the way.
        fs::create_dir_all(root.path().join("to/0/sub")).unwrap();
        symlink("/etc/passwd", root.path().join("to/1")).unwrap();
        let (told, left) = moved(root.path(), 10, 100);
        assert_eq!(names(&told), ["a", "b/c/x", "b/empty", "z"]);
        assert_eq!(told.iter().map(|it| it.size).collect::<Vec<_>>(), [3, 2, 0, 1]);
        assert_eq!((left.sent, left.skipped.len(), left.unlisted), (4, 0, 0));
        for (number, (content, mode)) in
            [("333", 0o666), ("22", 0o777), ("", 0o666), ("1", 0o666)].into_iter().enumerate()
        {
            let file = root.path().join("to").join(number.to_string());
            assert_eq!(fs::symlink_metadata(&file).unwrap().permissions().mode() & 0o7777, mode);
            assert_eq!(fs::read_to_string(file).unwrap(), content);
            assert_eq!(told[number].executable, mode == 0o777);
        }
        assert_eq!(fs::read_dir(root.path().join("to")).unwrap().count(), 4);
    }

    #[test]
    fn what_is_no_file_of_its_own_is_named() {
        let root = root();
        let out = root.path().join("out");
        fs::write(out.join("file"), "x").unwrap();
        fs::hard_link(out.join("file"), out.join("second")).unwrap();
        symlink("file", out.join("link")).unwrap();
        nix::unistd::mkfifo(&out.join("fifo"), Mode::S_IRWXU).unwrap();
        fs::write(out.join("new\nline"), "x").unwrap();
        let (told, left) = moved(root.path(), 10, 100);
        assert_eq!(names(&told), ["file"]);
        let skipped = left.skipped.iter().map(|it| (it.name.as_str(), it.reason));
        let expected = [
            ("fifo", SkipReason::Unreadable),
            ("link", SkipReason::Unreadable),
            ("new\u{fffd}line", SkipReason::Name),
            ("second", SkipReason::HardLink),
        ];
        assert_eq!(skipped.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn caps_are_kept_and_every_file_counts() {
        let root = root();
        let out = root.path().join("out");
        for name in ["a", "b", "c", "d", "e"] {
            fs::write(out.join(name), "12345").unwrap();
        }
        fs::File::create(out.join("bb")).unwrap().set_len(1 << 40).unwrap();
        let (told, left) = moved(root.path(), 3, 15);
        assert_eq!(names(&told), ["a", "b", "c"]);
        let reasons: Vec<_> = left.skipped.iter().map(|it| it.reason).collect();
        assert_eq!(reasons, [SkipReason::TooLarge, SkipReason::TooMany, SkipReason::TooMany]);
    }

    #[test]
    fn what_lies_too_deep_is_counted() {
        let root = root();
        let mut deep = root.path().join("out");
        for _ in 0..100 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "x").unwrap();
        fs::write(deep.parent().unwrap().join("file"), "x").unwrap();
        let (told, left) = moved(root.path(), 10, 100);
        assert_eq!(told, []);
        assert_eq!(left.skipped.len() as u64 + left.unlisted, 2);
        assert_eq!(left.skipped[0].reason, SkipReason::Name);
    }
}

//! Sends what the script left: the declared output file, then the artifacts.
//!
//! Its processes are dead, but its files are as hostile as it was: links out of
//! the sandbox's directories, FIFOs, a million entries, names that are no text.
//! All of it is bounded; what is not sent is named with the reason, or counted.

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::unistd::read;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use gantry_init::artifact_name::{joined, shown};
use gantry_init::frame::Kind;
use gantry_init::message::{
    ARTIFACT_DIR, ArtifactBegin, ArtifactCaps, MAX_SKIPPED_ARTIFACTS, MAX_UNLISTED_ARTIFACTS,
    OutputFile, OutputFileEnd, SkipReason, SkippedArtifact, WORK_DIR,
};

use crate::outgoing::{Outgoing, WriteStalled};
use crate::safe_open::{Entry, open_beneath, open_entry, open_root};

/// Most directory entries whose files may be sent or moved: a folder for each of the most
/// files that an execution may leave. Their names are sorted, hence held in memory; its
/// limit is the script's, which is dead.
const MAX_ENTRIES: usize = 200_000;

/// Depth to which files are counted that are not kept. Each directory takes a file
/// descriptor.
const MAX_COUNTED_DEPTH: usize = 128;

/// Outcome of collecting the artifacts.
#[derive(Default)]
pub(crate) struct Left {
    /// Number of those that were sent.
    pub(crate) sent: u64,
    /// Those that were not, by name.
    pub(crate) skipped: Vec<SkippedArtifact>,
    /// Number of the others.
    pub(crate) unlisted: u64,
}

/// Sends the declared output file, if it is there and fits.
pub(crate) fn send_output_file(
    out: &mut Outgoing,
    declared: &OutputFile,
) -> Result<OutputFileEnd, WriteStalled> {
    let (file, size) = match open_beneath(WORK_DIR, Path::new(&declared.path)) {
        Ok(Entry::File(file, size)) => (file, size),
        Err(Errno::ENOENT) => return Ok(OutputFileEnd::Missing),
        Ok(Entry::Directory(_)) | Err(_) => return Ok(OutputFileEnd::Unreadable),
    };
    if size > declared.cap {
        return Ok(OutputFileEnd::TooLarge(size));
    }
    let missing = send(out, Kind::OutputFile, &file, size)?;
    Ok(if missing == 0 { OutputFileEnd::Sent } else { OutputFileEnd::Unreadable })
}

/// Sends the files in [`ARTIFACT_DIR`], in the order of their names, and answers
/// with those that were not sent.
pub(crate) fn send_artifacts(out: &mut Outgoing, caps: ArtifactCaps) -> Result<Left, WriteStalled> {
    let mut walk = Walk { out, caps, entries: 0, left: Left::default() };
    match open_root(ARTIFACT_DIR) {
        Ok(root) => walk.directory(root, "")?,
        Err(Errno::ENOENT) => {}
        Err(_) => walk.left.skip("", b"", SkipReason::Unreadable),
    }
    Ok(walk.left)
}

/// Sends `size` bytes of a file, or as many as there are; returns the number of missing
/// bytes.
fn send(out: &mut Outgoing, kind: Kind, file: &OwnedFd, size: u64) -> Result<u64, WriteStalled> {
    let mut left = size;
    while left > 0 {
        out.make_room()?;
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        match out.fill(kind, most, |space| Ok(read(file, space)?)) {
            Ok(length) if length > 0 => left -= length as u64,
            Ok(_) | Err(_) => break,
        }
        out.flush();
    }
    Ok(left)
}

/// A walk through the artifacts, and what is left of their caps.
struct Walk<'out> {
    out: &'out mut Outgoing,
    caps: ArtifactCaps,
    entries: usize,
    left: Left,
}

impl Walk<'_> {
    /// Sends what is in a directory. Its depth is bounded by the length of names.
    fn directory(&mut self, fd: OwnedFd, path: &str) -> Result<(), WriteStalled> {
        let Ok(mut directory) = Dir::from_fd(fd) else {
            self.left.skip(path, b"", SkipReason::Unreadable);
            return Ok(());
        };
        for entry in names_in(&mut directory, path, &mut self.entries, &mut self.left) {
            let opened = open_entry(&directory, entry.as_c_str());
            match (joined(path, entry.to_bytes()), opened) {
                (Some(name), Ok(Entry::File(file, size))) => self.file(&file, size, name)?,
                (Some(name), Ok(Entry::Directory(fd))) => self.directory(fd, &name)?,
                (None, Ok(Entry::Directory(fd))) => {
                    let files = files_below(fd, 1, MAX_UNLISTED_ARTIFACTS);
                    self.left.skip_all(files, path, entry.to_bytes(), SkipReason::Name);
                }
                (None, _) => self.left.skip(path, entry.to_bytes(), SkipReason::Name),
                (_, Err(_)) => self.left.skip(path, entry.to_bytes(), SkipReason::Unreadable),
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &OwnedFd, size: u64, name: String) -> Result<(), WriteStalled> {
        if self.caps.count == 0 {
            self.left.skip("", name.as_bytes(), SkipReason::TooMany);
            return Ok(());
        }
        if size > self.caps.bytes {
            self.left.skip("", name.as_bytes(), SkipReason::TooLarge);
            return Ok(());
        }
        self.caps.count -= 1;
        self.left.sent += 1;
        self.caps.bytes -= size;
        self.out.push_message(Kind::ArtifactBegin, &ArtifactBegin { name, size })?;
        let missing = send(self.out, Kind::ArtifactData, file, size)?;
        self.pad(missing)
    }

    /// Sends zeros for bytes that were announced and can't be read after all.
    fn pad(&mut self, mut missing: u64) -> Result<(), WriteStalled> {
        while missing > 0 {
            let zeros = [0; 4096];
            let piece = usize::try_from(missing).unwrap_or(usize::MAX).min(zeros.len());
            self.out.push(Kind::ArtifactData, &zeros[..piece])?;
            missing -= piece as u64;
        }
        Ok(())
    }
}

/// The sorted names in a directory, as many as may still be looked at after so many. The
/// files behind the others are counted.
pub(crate) fn names_in(
    directory: &mut Dir,
    path: &str,
    looked_at: &mut usize,
    left: &mut Left,
) -> Vec<CString> {
    let Ok(place) = directory.as_fd().try_clone_to_owned() else {
        left.skip(path, b"", SkipReason::Unreadable);
        return Vec::new();
    };
    let mut entries = entries(directory);
    let room = MAX_ENTRIES.saturating_sub(*looked_at);
    let names = entries.by_ref().take(room).map(|entry| entry.file_name().to_owned());
    let mut names: Vec<_> = names.collect();
    *looked_at += names.len();
    let more = count(entries, &place, 1, MAX_UNLISTED_ARTIFACTS);
    left.skip_all(more, path, b"", SkipReason::TooMany);
    names.sort_unstable();
    names
}

impl Left {
    /// Notes one file.
    pub(crate) fn skip(&mut self, directory: &str, entry: &[u8], reason: SkipReason) {
        self.skip_all(1, directory, entry, reason);
    }

    /// Notes several under one name.
    pub(crate) fn skip_all(
        &mut self,
        files: u64,
        directory: &str,
        entry: &[u8],
        reason: SkipReason,
    ) {
        let is_listed = files > 0 && self.skipped.len() < MAX_SKIPPED_ARTIFACTS;
        if is_listed {
            self.skipped.push(SkippedArtifact { name: shown(directory, entry), reason });
        }
        let unlisted = self.unlisted.saturating_add(files - u64::from(is_listed));
        self.unlisted = unlisted.min(MAX_UNLISTED_ARTIFACTS);
    }
}

/// Entries of a directory, in no order.
fn entries(directory: &mut Dir) -> impl Iterator<Item = nix::dir::Entry> {
    let is_other =
        |entry: &nix::dir::Entry| entry.file_name() != c"." && entry.file_name() != c"..";
    directory.iter().map_while(Result::ok).filter(is_other)
}

/// The files below a directory, `most` of them at most.
pub(crate) fn files_below(fd: OwnedFd, depth: usize, most: u64) -> u64 {
    let Ok(mut directory) = Dir::from_fd(fd) else { return 1 };
    let Ok(place) = directory.as_fd().try_clone_to_owned() else { return 1 };
    count(entries(&mut directory), &place, depth, most)
}

/// The files that entries of the directory `place` stand for, `most` of them at most.
fn count(
    entries: impl Iterator<Item = nix::dir::Entry>,
    place: &OwnedFd,
    depth: usize,
    most: u64,
) -> u64 {
    let mut files = 0;
    for entry in entries {
        if files >= most {
            break;
        }
        let is_looked_into =
            entry.file_type() == Some(Type::Directory) && depth < MAX_COUNTED_DEPTH;
        let opened = is_looked_into.then(|| open_entry(place, entry.file_name()));
        files += match opened {
            Some(Ok(Entry::Directory(fd))) => files_below(fd, depth + 1, most - files),
            _ => 1,
        };
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_fits_into_a_frame() {
        for name in ["\u{1}", "\"", "\\", "ü"].map(|it| it.repeat(300)) {
            let mut left = Left::default();
            for _ in 0..100 {
                left.skip("", name.as_bytes(), SkipReason::Unreadable);
            }
            assert_eq!((left.skipped.len(), left.unlisted), (MAX_SKIPPED_ARTIFACTS, 76));
            let json = serde_json::to_vec(&left.skipped).unwrap();
            assert!(json.len() < Kind::Exit.max_payload() - 1024, "{}", json.len());
        }
    }

    #[test]
    fn counting_has_an_end() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        for name in ["1", "2", "a/3", "a/b/4"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        let open = || open_root(root.path().to_str().unwrap()).unwrap();
        assert_eq!(files_below(open(), 1, 10), 4);
        assert_eq!(files_below(open(), 1, 2), 2);
        assert_eq!(files_below(open(), MAX_COUNTED_DEPTH, 10), 3, "a directory counts as one");
        let mut left = Left::default();
        for _ in 0..3 {
            left.skip_all(MAX_UNLISTED_ARTIFACTS, "", b"d", SkipReason::Name);
        }
        assert_eq!(left.unlisted, MAX_UNLISTED_ARTIFACTS);
    }

    #[test]
    fn what_can_not_be_read_is_padded() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut out = Outgoing::new(writer.into()).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"ab").unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let caps = ArtifactCaps { count: 1, bytes: 5 };
        let mut walk = Walk { out: &mut out, caps, entries: 0, left: Left::default() };
        walk.file(&file.into(), 5, "shrunk".into()).unwrap();
        out.flush_all().unwrap();
        drop(out);
        let bytes = std::io::read_to_string(reader).unwrap();
        assert!(bytes.ends_with("\0\0\0\n") && bytes.contains("ab"), "{bytes:?}");
    }
}

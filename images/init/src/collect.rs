//! Sends what the script left: the declared output file, then the artifacts.
//!
//! Its processes are dead, but its files are as hostile as it was: links out of
//! the sandbox's directories, FIFOs, a million entries, names that are no text.
//! All of it is bounded; what is not sent is named with the reason.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::unistd::read;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::Path;

use gantry_init::frame::Kind;
use gantry_init::message::{
    ARTIFACT_DIR, ArtifactBegin, ArtifactCaps, MAX_SKIPPED_ARTIFACTS, OutputFile, OutputFileEnd,
    SkipReason, SkippedArtifact, WORK_DIR,
};

use crate::beneath::{Entry, open_beneath, open_entry, open_root};
use crate::outgoing::{Outgoing, Stuck};

/// Most components in an artifact's name.
const MAX_DEPTH: usize = 8;

/// Most bytes in an artifact's name, separators included.
const MAX_NAME_BYTES: usize = 255;

/// Most directory entries that are looked at. Their names are sorted, hence held
/// in memory: 2.5 MB at most.
const MAX_ENTRIES: usize = 10_000;

/// Sends the declared output file, if it is there and fits.
pub(crate) fn send_output_file(
    out: &mut Outgoing,
    declared: &OutputFile,
) -> Result<OutputFileEnd, Stuck> {
    let (file, size) = match open_beneath(WORK_DIR, Path::new(&declared.path)) {
        Ok(Entry::File(file, size)) => (file, size),
        Err(Errno::ENOENT) => return Ok(OutputFileEnd::Missing),
        Ok(Entry::Directory(_)) | Err(_) => return Ok(OutputFileEnd::Unreadable),
    };
    if size > declared.cap {
        return Ok(OutputFileEnd::TooLarge(size));
    }
    let unsent = send(out, Kind::OutputFile, &file, size)?;
    Ok(if unsent == 0 { OutputFileEnd::Sent } else { OutputFileEnd::Unreadable })
}

/// Sends the files in [`ARTIFACT_DIR`], in the order of their names, and answers
/// with those that were not sent.
pub(crate) fn send_artifacts(
    out: &mut Outgoing,
    caps: ArtifactCaps,
) -> Result<Vec<SkippedArtifact>, Stuck> {
    let mut walk = Walk { out, caps, entries: 0, skipped: Vec::new() };
    match open_root(ARTIFACT_DIR) {
        Ok(root) => walk.directory(root, "", 1)?,
        Err(Errno::ENOENT) => {}
        Err(_) => walk.skip(".", SkipReason::Unreadable),
    }
    Ok(walk.skipped)
}

/// Sends `size` bytes of a file, or as many as there are; answers with how many
/// are missing.
fn send(out: &mut Outgoing, kind: Kind, file: &OwnedFd, size: u64) -> Result<u64, Stuck> {
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
    skipped: Vec<SkippedArtifact>,
}

impl Walk<'_> {
    /// Sends what is in a directory whose entries have `depth` components.
    fn directory(&mut self, fd: OwnedFd, path: &str, depth: usize) -> Result<(), Stuck> {
        let Ok(mut directory) = Dir::from_fd(fd) else {
            self.skip(path, SkipReason::Unreadable);
            return Ok(());
        };
        for name in self.names_in(&mut directory, path) {
            let Some(path) = joined(path, &name) else {
                self.skip(&lossy(path, &name), SkipReason::Name);
                continue;
            };
            match open_entry(&directory, name.as_c_str()) {
                Ok(Entry::File(file, size)) => self.file(&file, size, path)?,
                Ok(Entry::Directory(_)) if depth == MAX_DEPTH => self.skip(&path, SkipReason::Name),
                Ok(Entry::Directory(fd)) => self.directory(fd, &path, depth + 1)?,
                Err(_) => self.skip(&path, SkipReason::Unreadable),
            }
        }
        Ok(())
    }

    /// The sorted names in a directory, as many as may still be looked at.
    fn names_in(&mut self, directory: &mut Dir, path: &str) -> Vec<CString> {
        let mut names = Vec::new();
        for entry in directory.iter().map_while(Result::ok) {
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if self.entries == MAX_ENTRIES {
                self.skip(path, SkipReason::TooMany);
                break;
            }
            self.entries += 1;
            names.push(name.to_owned());
        }
        names.sort_unstable();
        names
    }

    fn file(&mut self, file: &OwnedFd, size: u64, name: String) -> Result<(), Stuck> {
        if self.caps.count == 0 {
            self.skip(&name, SkipReason::TooMany);
            return Ok(());
        }
        if size > self.caps.bytes {
            self.skip(&name, SkipReason::TooLarge);
            return Ok(());
        }
        self.caps.count -= 1;
        self.caps.bytes -= size;
        self.out.push_message(Kind::ArtifactBegin, &ArtifactBegin { name, size })?;
        let missing = send(self.out, Kind::ArtifactData, file, size)?;
        self.pad(missing)
    }

    /// Sends zeros for bytes that were announced and can't be read after all.
    fn pad(&mut self, mut missing: u64) -> Result<(), Stuck> {
        while missing > 0 {
            let zeros = [0; 4096];
            let piece = usize::try_from(missing).unwrap_or(usize::MAX).min(zeros.len());
            self.out.push(Kind::ArtifactData, &zeros[..piece])?;
            missing -= piece as u64;
        }
        Ok(())
    }

    fn skip(&mut self, name: &str, reason: SkipReason) {
        if self.skipped.len() < MAX_SKIPPED_ARTIFACTS {
            let name = if name.is_empty() { "." } else { name };
            let mut name = name.replace(char::is_control, "\u{fffd}");
            name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
            self.skipped.push(SkippedArtifact { name, reason });
        }
    }
}

/// An entry's path, if it can be an artifact's name.
fn joined(directory: &str, name: &CStr) -> Option<String> {
    let name = name.to_str().ok()?;
    let path = if directory.is_empty() { name.into() } else { format!("{directory}/{name}") };
    (path.len() <= MAX_NAME_BYTES && !path.contains(char::is_control)).then_some(path)
}

/// An entry's path, as text whatever it is.
fn lossy(directory: &str, name: &CStr) -> String {
    let name = name.to_string_lossy();
    if directory.is_empty() { name.into_owned() } else { format!("{directory}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_printable_text() {
        assert_eq!(joined("", c"a"), Some("a".into()));
        assert_eq!(joined("a/b", c"c d"), Some("a/b/c d".into()));
        assert_eq!(joined("", c"line\nbreak"), None);
        assert_eq!(joined("", c"\xff"), None);
        assert_eq!(joined(&"d".repeat(254), c"f"), None);
        assert!(joined(&"d".repeat(253), c"f").is_some());
    }

    #[test]
    fn what_was_skipped_fits_into_a_frame() {
        let (_reader, writer) = std::io::pipe().unwrap();
        let mut out = Outgoing::new(writer.into()).unwrap();
        let caps = ArtifactCaps { count: 0, bytes: 0 };
        let mut walk = Walk { out: &mut out, caps, entries: 0, skipped: Vec::new() };
        for name in ["\u{1}", "\"", "\\", "ü"].map(|it| it.repeat(300)) {
            walk.skipped.clear();
            for _ in 0..100 {
                walk.skip(&name, SkipReason::Unreadable);
            }
            assert_eq!(walk.skipped.len(), MAX_SKIPPED_ARTIFACTS);
            let json = serde_json::to_vec(&walk.skipped).unwrap();
            assert!(json.len() < Kind::Exit.max_payload() - 1024, "{}", json.len());
        }
    }

    #[test]
    fn what_can_not_be_read_is_padded() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut out = Outgoing::new(writer.into()).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"ab").unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let caps = ArtifactCaps { count: 1, bytes: 5 };
        let mut walk = Walk { out: &mut out, caps, entries: 0, skipped: Vec::new() };
        walk.file(&file.into(), 5, "shrunk".into()).unwrap();
        out.flush_all().unwrap();
        drop(out);
        let bytes = std::io::read_to_string(reader).unwrap();
        assert!(bytes.ends_with("\0\0\0\n") && bytes.contains("ab"), "{bytes:?}");
    }
}

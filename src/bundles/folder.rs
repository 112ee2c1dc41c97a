//! Reads a folder without following any link: each name is opened below the folder that it was seen
//! in, so that nothing which is swapped meanwhile leads out.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, openat};

use super::{BundleError, Packed, Packer};
use crate::domain::bundle::{BundleFault, MAX_DEPTH, MAX_FILES};
use crate::domain::sanitize::sanitize;

/// Folders that version control and Python keep for themselves: they are no part of a bundle.
pub const LEFT_OUT: [&str; 4] = [".git", ".hg", ".svn", "__pycache__"];

/// Most names in all folders.
const MAX_NAMES: usize = 10 * MAX_FILES;

/// See the reader of tars.
const SPECIAL_BITS: u32 = 0o7000;
const EXECUTE_BITS: u32 = 0o111;

/// Flags for opening files. Nothing blocks on the other end of a pipe.
const READING: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// Packs the files of a folder. `unfinished` is for unfinished files.
///
/// # Errors
/// [`BundleError`].
pub fn pack_folder(folder: &Path, unfinished: &Path) -> Result<Packed, BundleError> {
    let failed = |error| BundleError::io(folder.display(), error);
    let opened = File::open(folder).map_err(failed)?;
    let mut packer = Packer::new(unfinished)?;
    read_folder(opened.into(), &mut packer)?;
    packer.finish()
}

/// Adds the files of an open folder.
///
/// # Errors
/// [`BundleError`].
pub fn read_folder(folder: OwnedFd, packer: &mut Packer) -> Result<(), BundleError> {
    Walk { packer, names: 0 }.folder(&folder, "", 0)
}

struct Walk<'a> {
    packer: &'a mut Packer,
    names: usize,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &OwnedFd, path: &str, depth: usize) -> Result<(), BundleError> {
        if depth > MAX_DEPTH {
            return Err(BundleFault::TooDeep(sanitize(path)).into());
        }
        let unread = |errno| BundleError::io(sanitize(path), std::io::Error::from(errno));
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(unread)? {
            let name = entry.map_err(unread)?.file_name().to_owned();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.names += 1;
            if self.names > MAX_NAMES {
                return Err(BundleFault::TooMany.into());
            }
            names.push(name);
        }
        names.sort();
        for name in names {
            let text = name.to_str().map_err(|_| {
                let shown = format!("{path}/{}", String::from_utf8_lossy(name.to_bytes()));
                BundleFault::Path(sanitize(&shown))
            })?;
            let below = if path.is_empty() { text.to_owned() } else { format!("{path}/{text}") };
            self.entry(folder, text, &below, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        folder: &OwnedFd,
        name: &str,
        path: &str,
        depth: usize,
    ) -> Result<(), BundleError> {
        let unread = |errno| BundleError::io(sanitize(path), std::io::Error::from(errno));
        let opened = openat(folder, name, READING, Mode::empty()).map_err(|errno| match errno {
            rustix::io::Errno::LOOP => of_kind(path, "a symbolic link"),
            rustix::io::Errno::NXIO => of_kind(path, "a socket"),
            other => unread(other),
        })?;
        let status = fstat(&opened).map_err(unread)?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory if LEFT_OUT.contains(&name) => Ok(()),
            FileType::Directory => self.folder(&opened, path, depth + 1),
            FileType::RegularFile => {
                if status.st_mode & SPECIAL_BITS != 0 {
                    return Err(BundleFault::SpecialBits(sanitize(path)).into());
                }
                let is_executable = status.st_mode & EXECUTE_BITS != 0;
                let bytes = u64::try_from(status.st_size).unwrap_or_default();
                self.packer.add(path, Some(bytes), Some(is_executable), File::from(opened))
            }
            FileType::Fifo => Err(of_kind(path, "a pipe")),
            _ => Err(of_kind(path, "neither a file nor a folder")),
        }
    }
}

fn of_kind(path: &str, kind: &'static str) -> BundleError {
    BundleFault::Kind { path: sanitize(path), kind }.into()
}

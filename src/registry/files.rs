//! Reads server files named by callers: only regular files of bounded size below a root, even if
//! links are swapped meanwhile.
//!
//! A path is resolved first, and its target is then opened from the root without following any
//! link. So the checked file is the one that is read, and a link inserted in between is an error.
//! No message names a path that the caller did not give.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
use thiserror::Error;

use crate::domain::sanitize::sanitize;

/// Longest path, in bytes (`PATH_MAX`, limits.h).
const MAX_PATH_BYTES: usize = 4096;

/// Attempts to open a path that is renamed meanwhile (openat2(2), EAGAIN).
const ATTEMPTS: usize = 8;

/// Flags for opening files. Nothing blocks: neither on the other end of a pipe nor on a terminal.
const READING: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Reason that a file is not read.
#[derive(Debug, Error)]
pub enum FileFault {
    /// The path is invalid.
    #[error("{0:?} is not an absolute path without . and ..")]
    Path(String),
    /// No root is allowed.
    #[error("{0:?} is refused: GANTRY_SCRIPT_ROOTS is empty, so no file of the server may be used")]
    NoRoots(String),
    /// Outside of the roots, or absent: the message does not tell which.
    #[error("{0:?} is refused: it is below none of GANTRY_SCRIPT_ROOTS")]
    OutsideRoots(String),
    /// A link on the path leads out of the root.
    #[error("{0:?} is refused: it leads out of GANTRY_SCRIPT_ROOTS")]
    LeadsOut(String),
    /// The file changed while it was opened.
    #[error("{0:?} was replaced while it was read")]
    Replaced(String),
    /// A folder, a pipe, a device.
    #[error("{path:?} is {kind}, not a regular file")]
    NotAFile {
        /// Path as given.
        path: String,
        /// Kind of the file.
        kind: &'static str,
    },
    /// The file is larger than allowed.
    #[error("{path:?} has more than {limit} bytes")]
    TooLarge {
        /// Path as given.
        path: String,
        /// Limit in bytes.
        limit: u64,
    },
    /// The system refused to read the file.
    #[error("{path:?} can't be read: {reason}")]
    Unreadable {
        /// Path as given.
        path: String,
        /// Reason.
        reason: String,
    },
}

impl FileFault {
    /// Advice for the caller.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Path(_) => Some("write the whole path"),
            Self::NoRoots(_) => {
                Some("the operator can allow folders there, or send the content as source")
            }
            Self::OutsideRoots(_) | Self::LeadsOut(_) => {
                Some("put the file below one of them, or send the content as source")
            }
            Self::Replaced(_) => Some("try again"),
            Self::NotAFile { .. } | Self::TooLarge { .. } | Self::Unreadable { .. } => None,
        }
    }

    /// Message with the advice.
    #[must_use]
    pub fn shown(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}; {hint}"),
            None => self.to_string(),
        }
    }
}

/// A file of the server.
#[derive(Debug)]
pub struct ServerFile {
    /// Content of the file.
    pub bytes: Vec<u8>,
    /// True if it has any execute permission.
    pub is_executable: bool,
}

/// Reads a file below one of `roots` of at most `limit` bytes.
///
/// # Errors
/// [`FileFault`].
pub fn read_below(roots: &[PathBuf], path: &str, limit: u64) -> Result<ServerFile, FileFault> {
    let shown = sanitize(path);
    let (root, below) = resolve(roots, path)?;
    let file = open_below(&root, &below).map_err(|errno| match errno {
        // All links were resolved: a link found now is new.
        Errno::LOOP | Errno::XDEV | Errno::AGAIN | Errno::NOENT | Errno::NOTDIR => {
            FileFault::Replaced(shown.clone())
        }
        other => unreadable(&shown, &io::Error::from(other)),
    })?;
    let status = fstat(&file).map_err(|errno| unreadable(&shown, &io::Error::from(errno)))?;
    let bytes = read_regular(File::from(file), &shown, limit)?;
    Ok(ServerFile { bytes, is_executable: status.st_mode & 0o111 != 0 })
}

/// Opens a folder below one of `roots`; `None` if there is something else.
///
/// # Errors
/// [`FileFault`].
pub fn open_folder_below(roots: &[PathBuf], path: &str) -> Result<Option<OwnedFd>, FileFault> {
    let (root, below) = resolve(roots, path)?;
    let failed = |errno| unreadable(&sanitize(path), &io::Error::from(errno));
    let opened = open_below(&root, &below).map_err(failed)?;
    let status = fstat(&opened).map_err(failed)?;
    let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    Ok(is_folder.then_some(opened))
}

/// Reads an open regular file of at most `limit` bytes. Errors call it `shown`.
///
/// # Errors
/// [`FileFault::NotAFile`], [`FileFault::TooLarge`], [`FileFault::Unreadable`].
pub fn read_regular(file: File, shown: &str, limit: u64) -> Result<Vec<u8>, FileFault> {
    let status = fstat(&file).map_err(|errno| unreadable(shown, &io::Error::from(errno)))?;
    if let Some(kind) = irregular(FileType::from_raw_mode(status.st_mode)) {
        return Err(FileFault::NotAFile { path: shown.to_owned(), kind });
    }
    let too_large = || FileFault::TooLarge { path: shown.to_owned(), limit };
    if u64::try_from(status.st_size).is_ok_and(|size| size > limit) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(shown, &error))?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// Name of a file type that is not regular.
fn irregular(kind: FileType) -> Option<&'static str> {
    match kind {
        FileType::RegularFile => None,
        FileType::Directory => Some("a folder"),
        FileType::Fifo => Some("a pipe"),
        FileType::Socket => Some("a socket"),
        _ => Some("a device"),
    }
}

fn unreadable(shown: &str, error: &io::Error) -> FileFault {
    FileFault::Unreadable { path: shown.to_owned(), reason: error.to_string() }
}

/// Root of a path and the rest below it, both without links.
fn resolve(roots: &[PathBuf], given: &str) -> Result<(PathBuf, PathBuf), FileFault> {
    let shown = || sanitize(given);
    let path = Path::new(given);
    let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if given.contains('\0')
        || given.len() > MAX_PATH_BYTES
        || !path.is_absolute()
        || !path.components().all(is_plain)
        || given.split('/').any(|part| part == ".")
    {
        return Err(FileFault::Path(shown()));
    }
    if roots.is_empty() {
        return Err(FileFault::NoRoots(shown()));
    }
    let canonical_roots: Vec<_> = roots.iter().filter_map(|it| it.canonicalize().ok()).collect();
    let is_below = |path: &Path, roots: &[PathBuf]| roots.iter().any(|it| path.starts_with(it));
    let seems_allowed = is_below(path, roots) || is_below(path, &canonical_roots);
    let resolved = match path.canonicalize() {
        Ok(resolved) => resolved,
        // Messages reveal nothing outside of the roots.
        Err(error) if seems_allowed => return Err(unreadable(&shown(), &error)),
        Err(_) => return Err(FileFault::OutsideRoots(shown())),
    };
    let found = canonical_roots.into_iter().find_map(|root| {
        let below = resolved.strip_prefix(&root).ok()?.to_owned();
        Some((root, below))
    });
    match found {
        Some((root, below)) if below.as_os_str().is_empty() => {
            drop(root);
            Err(FileFault::NotAFile { path: shown(), kind: "a folder" })
        }
        Some(found) => Ok(found),
        None if seems_allowed => Err(FileFault::LeadsOut(shown())),
        None => Err(FileFault::OutsideRoots(shown())),
    }
}

/// Opens a path below a root without following links.
fn open_below(root: &Path, below: &Path) -> Result<OwnedFd, Errno> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let root = openat(CWD, root, folder, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    let mut attempts = 0;
    loop {
        attempts += 1;
        match openat2(&root, below, READING, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if attempts < ATTEMPTS => {}
            // Kernels before 5.6, and seccomp filters that do not allow it.
            Err(Errno::NOSYS | Errno::PERM) => return open_stepwise(root, below),
            opened => return opened,
        }
    }
}

/// Does the same component by component.
fn open_stepwise(root: OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut parts: Vec<_> = below.components().collect();
    let Some(Component::Normal(name)) = parts.pop() else { return Err(Errno::INVAL) };
    let mut at = root;
    for part in parts {
        let Component::Normal(part) = part else { return Err(Errno::XDEV) };
        at = openat(&at, part.as_bytes(), folder, Mode::empty())?;
    }
    openat(&at, name.as_bytes(), READING | OFlags::NOFOLLOW, Mode::empty())
}

#[cfg(test)]
mod tests;

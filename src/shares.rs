//! Shares: finds the files and folders of the host that executions name as
//! `share:NAME/PATH`, below the folders that the operator has opened.
//!
//! A path is opened component by component from the share's root, and no link is followed:
//! nothing in a share leads out of it, or from one caller's part into another's. What is
//! found is a regular file or a folder, and is mounted read-only into one sandbox.
//!
//! It never reads a file, and never writes. The engine looks its path up again when it
//! starts the container: callers [check](Shares::check) the mounts once more after that.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::domain::mount::{Mount, is_source_allowed};
use crate::domain::sanitize::sanitize;
use crate::domain::share::{ShareAccess, ShareGrant, ShareName};

/// Time for a file to be found. A network file system whose server is gone answers never.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Most look-ups at once: those that never end hold a thread each.
const MAX_LOOKUPS: usize = 32;

/// Shares of this machine; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    roots: BTreeMap<ShareName, PathBuf>,
    lookups: Arc<Semaphore>,
}

/// File or folder of a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPath {
    /// Path on the host, without links.
    pub source: PathBuf,
    /// Its kind.
    pub kind: SharedKind,
}

/// Kind of what a share has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedKind {
    /// Regular file with this many bytes.
    File {
        /// Size in bytes.
        bytes: u64,
    },
    /// Folder with all that is in it.
    Folder,
}

/// Reason why there is nothing at a path of a share. Safe to show: it names no path of the
/// host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShareFault {
    /// The caller's token does not open it; callers are not told if it exists.
    #[error("share:{0} is not open to this token")]
    NotGranted(String),
    /// The server has no share of this name.
    #[error("there is no share {0:?}")]
    Unknown(String),
    /// The folder of the share is not there, or is none.
    #[error("the folder of the share {0:?} is not there")]
    Gone(String),
    /// The disk does not answer.
    #[error("the disk of the share {0:?} does not answer")]
    Silent(String),
    /// There is nothing at the path.
    #[error("share:{0} does not exist")]
    Missing(String),
    /// A component of the path is a link.
    #[error("share:{0} is a link, or below one: links in shares are not followed")]
    Link(String),
    /// It is a device, a pipe or a socket.
    #[error("share:{0} is neither a regular file nor a folder")]
    Special(String),
    /// It would give control over the machine, or can't be named to the engine.
    #[error("share:{0} can't be mounted into a sandbox")]
    Forbidden(String),
    /// The server's user may not look at it, or the disk failed.
    #[error("share:{path} can't be opened: {error}")]
    Unreadable {
        /// Share and path.
        path: String,
        /// The system's error.
        error: String,
    },
    /// It is not what it was when it was looked up.
    #[error("share:{0} has moved while it was mounted")]
    Moved(String),
}

impl ShareFault {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotGranted(_) => "an admin can make a token that opens it: --share NAME/PATH",
            Self::Unknown(_) => "the operator can open a folder: GANTRY_SHARES=NAME=/path",
            Self::Gone(_) | Self::Silent(_) => "the operator of the server must mount its disk",
            Self::Link(_) => "name the file or folder that the link leads to",
            Self::Unreadable { .. } => "the server's user must be allowed to read it",
            Self::Missing(_) | Self::Special(_) | Self::Forbidden(_) | Self::Moved(_) => {
                return None;
            }
        })
    }

    /// True if it may work later, without anybody changing the request.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Gone(_) | Self::Silent(_))
    }
}

impl SharedPath {
    /// Read-only mount of it at an absolute path of the sandbox.
    #[must_use]
    pub fn mounted_at(&self, target: String) -> Mount {
        Mount { source: self.source.clone(), target, read_only: true }
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl Shares {
    /// Shares with these folders. A folder that is not there yet may come later.
    #[must_use]
    pub fn new(roots: BTreeMap<ShareName, PathBuf>) -> Self {
        Self(Arc::new(Inner { roots, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }))
    }

    /// Names and folders of all shares.
    pub fn iter(&self) -> impl Iterator<Item = (&ShareName, &Path)> {
        self.0.roots.iter().map(|(name, root)| (name, root.as_path()))
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.roots.is_empty()
    }

    /// Checks that a grant is about a share of this server.
    ///
    /// # Errors
    /// [`ShareFault::Unknown`].
    pub fn check_grant(&self, grant: &ShareGrant) -> Result<(), ShareFault> {
        let name = grant.share();
        let is_known = self.0.roots.contains_key(name);
        if is_known { Ok(()) } else { Err(ShareFault::Unknown(name.to_string())) }
    }

    /// Finds the file or folder at `path` of a share, if `access` opens it. The path is one
    /// of a reference ([`InputRef::Share`]); empty means the root.
    ///
    /// # Errors
    /// [`ShareFault`].
    ///
    /// [`InputRef::Share`]: crate::domain::file::InputRef::Share
    pub async fn resolve(
        &self,
        access: &ShareAccess,
        share: &str,
        path: &str,
    ) -> Result<SharedPath, ShareFault> {
        let shown = shown(share, path);
        if !access.opens(share, path) {
            return Err(ShareFault::NotGranted(shown));
        }
        let found = self.0.roots.iter().find(|(name, _)| name.as_str() == share);
        let Some((_, root)) = found else {
            return Err(ShareFault::Unknown(sanitize(share)));
        };
        let (root, name, path) = (root.clone(), share.to_owned(), path.to_owned());
        self.look_up(share, move || find(&root, &name, &path)).await
    }

    /// Checks that mounts of shared files still lead where they led when they were
    /// resolved. For after the engine has started the container.
    ///
    /// # Errors
    /// [`ShareFault::Moved`], and [`ShareFault::Silent`].
    pub async fn check(&self, mounts: &[Mount]) -> Result<(), ShareFault> {
        if mounts.is_empty() {
            return Ok(());
        }
        let mounts = mounts.to_vec();
        self.look_up("", move || {
            let moved = mounts.iter().find(|it| !leads_to_itself(&it.source));
            moved.map_or(Ok(()), |it| Err(ShareFault::Moved(sanitize(&it.target))))
        })
        .await
    }

    /// Runs a look-up on a thread of its own, for as long as the disk may take.
    async fn look_up<T: Send + 'static>(
        &self,
        share: &str,
        find: impl FnOnce() -> Result<T, ShareFault> + Send + 'static,
    ) -> Result<T, ShareFault> {
        let lookups = Arc::clone(&self.0.lookups);
        let finding = async move {
            let permit = lookups.acquire_owned().await.ok()?;
            let finding = tokio::task::spawn_blocking(move || {
                // Until the thread is free again, also when nobody waits any longer.
                let _permit = permit;
                find()
            });
            finding.await.ok()
        };
        let found = tokio::time::timeout(LOOKUP_TIMEOUT, finding).await;
        found.ok().flatten().unwrap_or_else(|| Err(ShareFault::Silent(sanitize(share))))
    }
}

/// Share and path as they are told to the caller.
fn shown(share: &str, path: &str) -> String {
    match path {
        "" => sanitize(share),
        path => sanitize(&format!("{share}/{path}")),
    }
}

/// Opens a path below a share's folder. May block for as long as the disk does.
fn find(root: &Path, share: &str, path: &str) -> Result<SharedPath, ShareFault> {
    // Links above the root and the root itself are the operator's.
    let root = root.canonicalize().map_err(|_| ShareFault::Gone(sanitize(share)))?;
    let shown = shown(share, path);
    let fault = |error| match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => ShareFault::Missing(shown.clone()),
        error => ShareFault::Unreadable {
            path: shown.clone(),
            error: io::Error::from(error).to_string(),
        },
    };
    let opened = open_entry(rustix::fs::CWD, &root);
    let (mut entry, mut stat) = opened.map_err(|_| ShareFault::Gone(sanitize(share)))?;
    for component in path.split('/').filter(|it| !it.is_empty()) {
        // A reference can't have it.
        if component == ".." {
            return Err(ShareFault::Missing(shown));
        }
        (entry, stat) = open_entry(&entry, Path::new(component)).map_err(fault)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Err(ShareFault::Link(shown));
        }
    }
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => SharedKind::File { bytes: size(&stat) },
        FileType::Directory => SharedKind::Folder,
        _ => return Err(ShareFault::Special(shown)),
    };
    // Folders on the way may have been renamed meanwhile: the path of what was opened
    // counts.
    let source = path_of(&entry).map_err(|_| ShareFault::Missing(shown.clone()))?;
    if source != root.join(path) {
        return Err(ShareFault::Moved(shown));
    }
    if is_source_allowed(&source) {
        Ok(SharedPath { source, kind })
    } else {
        Err(ShareFault::Forbidden(shown))
    }
}

/// Opens an entry of a folder, without following it if it is a link. A folder is opened for
/// reading where that is allowed, which has an automounter mount it.
fn open_entry(folder: impl AsFd, name: &Path) -> Result<(OwnedFd, Stat), Errno> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |kind| rustix::fs::openat(&folder, name, flags | kind, Mode::empty());
    let opened = match open(OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => open(OFlags::PATH),
        opened => opened,
    }?;
    let stat = rustix::fs::fstat(&opened)?;
    Ok((opened, stat))
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// Path of an open file, by the kernel.
fn path_of(file: &impl AsFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

/// True if no link is on the way to a path, and something is there.
fn leads_to_itself(source: &Path) -> bool {
    source.canonicalize().is_ok_and(|resolved| resolved == source)
}

#[cfg(test)]
mod tests;

//! The folder of one container on the host: made before the container, and removed after it
//! by the [`Remover`](super::Remover).
//!
//! The content of `work` is the script's, and as hostile as it is: nothing here follows a
//! link, opens what is no folder, or recurses. The server needs no rights beyond its own.
//! It owns the folders that it makes, which are open to all: a sandbox's user is none that
//! the server may act for.

mod emptying;
mod mount_points;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use thiserror::Error;

use crate::domain::run_folder::{RunFolder, RunFolders};
use crate::engine::{EngineError, LABEL_PROCESS, NewContainer};
use crate::private_files::create_folder;

/// Mode of `/work`: what the server has put there stays where it is.
const WORK_MODE: u32 = 0o1777;

/// Mode of the folders in `/work` that a sandbox's user fills.
const OPEN_MODE: u32 = 0o777;

/// Mode of the folder with the inputs, and of its mount point.
const INPUTS_MODE: u32 = 0o755;

/// Folders in `/work` that the script may fill.
const OPEN_FOLDERS: [&str; 3] = ["out", "tmp", ".gantry"];

/// Age below which a folder may belong to a container that is about to be made.
const SETTLED: Duration = Duration::from_secs(30);

/// Failure to make the folder of a container. Nothing has run.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// No place is set for such folders.
    #[error("there is no folder for scratch on disk")]
    NoPlace,
    /// It could not be made.
    #[error("the sandbox's folder {folder} could not be made: {source}")]
    Io {
        /// Path of the folder.
        folder: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The engine has other files than this process.
    #[error("the container engine does not see the sandbox's folder {folder}")]
    Unseen {
        /// Path of the folder.
        folder: PathBuf,
    },
}

impl RunFolderError {
    /// Advice for the operator.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoPlace => {
                "set GANTRY_SCRATCH_DIR to a folder of this machine that is below no mount root"
            }
            Self::Io { .. } => "GANTRY_SCRATCH_DIR names a folder with room that Gantry may write",
            Self::Unseen { .. } => {
                "files and scratch on disk need an engine on this machine; in a container, mount \
                 GANTRY_SCRATCH_DIR under the path that it has on the host"
            }
        }
    }

    /// True if there was no room for it: there may be later.
    #[must_use]
    pub fn is_want_of_room(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// True if another container has a folder of this name.
    pub(super) fn is_name_taken(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
    }
}

/// Makes the folder that a container needs, if it needs one.
///
/// # Errors
/// [`RunFolderError`]; then parts of it may be there.
pub(super) async fn create(
    folders: Option<&RunFolders>,
    container: &NewContainer,
) -> Result<(), RunFolderError> {
    let folder = container.spec.folder;
    if folder == RunFolder::None {
        return Ok(());
    }
    let folders = folders.ok_or(RunFolderError::NoPlace)?.clone();
    let process = container.labels.get(LABEL_PROCESS).cloned().unwrap_or_default();
    let owner = format!("{}\n{process}\n", container.spec.image);
    let (name, path) = (container.name.clone(), folders.folder(&container.name));
    let mounts = container.spec.mounts.clone();
    let making = move || {
        make(&folders, &name, folder, &owner)?;
        mount_points::make(&folders.inputs(&name), &mounts)
    };
    let made = tokio::task::spawn_blocking(making).await.map_err(io::Error::other).flatten();
    made.map_err(|source| RunFolderError::Io { folder: path, source })
}

fn make(folders: &RunFolders, name: &str, folder: RunFolder, owner: &str) -> io::Result<()> {
    create_folder(folders.root())?;
    DirBuilder::new().mode(0o700).create(folders.folder(name))?;
    fs::write(folders.owner(name), owner)?;
    open_folder(&folders.inputs(name), INPUTS_MODE)?;
    if !folder.is_scratch() {
        return Ok(());
    }
    let work = folders.work(name);
    open_folder(&work, WORK_MODE)?;
    open_folder(&work.join("in"), INPUTS_MODE)?;
    OPEN_FOLDERS.iter().try_for_each(|open| open_folder(&work.join(open), OPEN_MODE))
}

/// Makes a folder with a mode, whatever the umask.
fn open_folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// The error of an engine that could not find the folder; `None` for any other.
pub(super) fn unseen(
    folders: Option<&RunFolders>,
    container: &NewContainer,
    error: &EngineError,
) -> Option<RunFolderError> {
    let EngineError::Refused { status: 400, message, .. } = error else { return None };
    let is_unseen = container.spec.folder != RunFolder::None
        && message.contains("bind source path does not exist");
    let folder = folders.filter(|_| is_unseen)?.folder(&container.name);
    Some(RunFolderError::Unseen { folder })
}

/// Removes the folder of a container, if there is one. The container must be gone.
///
/// # Errors
/// The first error; the rest is removed. `PermissionDenied` when the script has left what
/// only its own user may remove.
pub(super) async fn remove(folders: &RunFolders, name: &str) -> io::Result<()> {
    let folder = folders.folder(name);
    let removing = tokio::task::spawn_blocking(move || match emptying::remove(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    });
    removing.await.map_err(io::Error::other).flatten()
}

/// Folders in a container's folder that belong to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftByOthers {
    /// Their owner.
    pub(super) uid: u32,
    /// Image of the container.
    pub(super) image: String,
}

/// Finds folders that only their own user may empty; `None` if there are none, or this process
/// may do it.
pub(super) async fn left_by_others(folders: &RunFolders, name: &str) -> Option<LeftByOthers> {
    let own = rustix::process::geteuid();
    if own.is_root() {
        return None;
    }
    let (folders, name) = (folders.clone(), name.to_owned());
    let looking = move || find_others(&folders, &name, own.as_raw());
    tokio::task::spawn_blocking(looking).await.ok().flatten()
}

/// Looks at the folders that the server has made: what others have made can only be in them.
fn find_others(folders: &RunFolders, name: &str, own: u32) -> Option<LeftByOthers> {
    let work = folders.work(name);
    let places = OPEN_FOLDERS.iter().map(|open| work.join(open)).chain([work.clone()]);
    let entries = places.flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
    let metadata = entries.filter_map(|entry| entry.metadata().ok());
    let mut others = metadata.filter(|it| it.is_dir() && it.uid() != own && it.uid() != 0);
    let uid = others.next()?.uid();
    let owner = fs::read_to_string(folders.owner(name)).ok()?;
    let image = owner.lines().next()?.to_owned();
    Some(LeftByOthers { uid, image })
}

/// A folder whose container may be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFolder {
    /// Name of its container.
    pub name: String,
    /// Process that made it; empty if that is not known.
    pub process: String,
    /// True unless its container may be about to be made.
    pub is_settled: bool,
}

/// Lists the folders that there are.
///
/// # Errors
/// If they can't be listed.
pub async fn found(folders: &RunFolders) -> io::Result<Vec<FoundFolder>> {
    let folders = folders.clone();
    let listing = tokio::task::spawn_blocking(move || list(&folders));
    listing.await.map_err(io::Error::other).flatten()
}

fn list(folders: &RunFolders) -> io::Result<Vec<FoundFolder>> {
    let entries = match fs::read_dir(folders.root()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()));
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.map(|name| look(folders, name)).collect())
}

fn look(folders: &RunFolders, name: String) -> FoundFolder {
    let owner = fs::read_to_string(folders.owner(&name)).unwrap_or_default();
    let process = owner.lines().nth(1).unwrap_or_default().to_owned();
    let made = fs::symlink_metadata(folders.folder(&name)).ok().map(|it| it.ctime());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let age = made.map(|made| now.as_secs().saturating_sub(u64::try_from(made).unwrap_or(0)));
    FoundFolder { name, process, is_settled: age.is_some_and(|it| it > SETTLED.as_secs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRATCH: RunFolder = RunFolder::Scratch { disk_bytes: 1 << 20 };

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_folder_is_the_servers_and_what_is_in_it_is_for_the_sandbox() {
        let root = tempfile::tempdir().unwrap();
        let folders = RunFolders::new(root.path().join("scratch"));
        make(&folders, "a", SCRATCH, "image\nprocess\n").unwrap();
        assert_eq!(mode(folders.root()), 0o700);
        assert_eq!(mode(&folders.folder("a")), 0o700);
        assert_eq!(mode(&folders.work("a")), 0o1777);
        assert_eq!(mode(&folders.inputs("a")), 0o755);
        for open in OPEN_FOLDERS {
            assert_eq!(mode(&folders.work("a").join(open)), 0o777, "{open}");
        }
        let found = list(&folders).unwrap();
        let expected =
            FoundFolder { name: "a".into(), process: "process".into(), is_settled: false };
        assert_eq!(found, [expected]);
        let taken = make(&folders, "a", SCRATCH, "").unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn without_scratch_there_is_nothing_to_write_to() {
        let root = tempfile::tempdir().unwrap();
        let folders = RunFolders::new(root.path().to_owned());
        make(&folders, "a", RunFolder::Inputs, "").unwrap();
        assert!(folders.inputs("a").is_dir() && !folders.work("a").exists());
    }

    #[test]
    fn others_folders_are_found_where_they_can_be() {
        let root = tempfile::tempdir().unwrap();
        let folders = RunFolders::new(root.path().to_owned());
        make(&folders, "a", SCRATCH, "image\nprocess\n").unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(find_others(&folders, "a", own), None);
        assert_eq!(find_others(&folders, "none", own), None);
        let other = folders.work("a").join("tmp/other");
        fs::create_dir(&other).unwrap();
        assert_eq!(find_others(&folders, "a", own), None, "it is ours");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&other, Some(61_000), Some(65_534)).unwrap();
            let expected = LeftByOthers { uid: 61_000, image: "image".to_owned() };
            assert_eq!(find_others(&folders, "a", own), Some(expected));
        }
    }

    #[tokio::test]
    async fn a_folder_is_removed_once_and_may_be_gone() {
        let root = tempfile::tempdir().unwrap();
        let folders = RunFolders::new(root.path().to_owned());
        make(&folders, "a", SCRATCH, "").unwrap();
        fs::write(folders.work("a").join("out/file"), "x").unwrap();
        for _ in 0..2 {
            remove(&folders, "a").await.unwrap();
            assert!(!folders.folder("a").exists());
        }
        assert_eq!(found(&folders).await.unwrap(), []);
        assert_eq!(found(&RunFolders::new("/nowhere/at/all".into())).await.unwrap(), []);
    }
}

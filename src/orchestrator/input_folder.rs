//! The folder that a sandbox sees as `/work/in`, before its script starts: the inputs,
//! which are links to files that exist once, and their manifest.
//!
//! Names were checked when the execution was accepted; the folder is new and only the
//! server writes to it, so that no name leads anywhere else. A script can only read it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::domain::input_files::{Input, MANIFEST_NAME, manifest};
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::files::{Files, FilesError};

/// Mode of folders: a script may look into them.
const FOLDER_MODE: u32 = 0o755;

/// Mode of files: a script may read them.
const FILE_MODE: u32 = 0o444;

/// Right of everybody to read a file.
const READABLE: u32 = 0o004;

/// Failure to put inputs into a sandbox's folder. Its script has not started.
#[derive(Debug, Error)]
pub enum InputError {
    /// The sandbox has no folder for them.
    #[error("the sandbox has no folder for the script's files")]
    NoFolder,
    /// An input is not in the store any more.
    #[error("an input file is gone: {0}")]
    Gone(#[source] FilesError),
    /// There is no room for a copy.
    #[error("there is no room for the script's files: {0}")]
    NoRoom(#[source] FilesError),
    /// The store of files failed.
    #[error("the script's files can't be put into its sandbox")]
    Files(#[source] FilesError),
    /// A folder or a file could not be made.
    #[error("the script's file {name} can't be put into its sandbox: {source}")]
    Io {
        /// Name of the input.
        name: String,
        /// Cause.
        source: io::Error,
    },
}

impl InputError {
    /// The end of an execution that can't start for this reason. It names no path of the
    /// server.
    pub(super) fn outcome(&self) -> Outcome {
        let (kind, message) = match self {
            Self::Gone(_) => (
                ErrorKind::InputMissing,
                format!("{self}\nhint: it was removed while the execution waited; upload it again"),
            ),
            Self::NoRoom(_) => (
                ErrorKind::OutOfDisk,
                "there was no room for the script's files\nhint: GANTRY_SCRATCH_DIR and \
                 GANTRY_FILES need no copies on one file system"
                    .to_owned(),
            ),
            Self::NoFolder | Self::Files(_) | Self::Io { .. } => {
                let message = "the server could not put the script's files into its sandbox";
                (ErrorKind::SandboxFailed, message.to_owned())
            }
        };
        Outcome::failed(kind, message)
    }

    /// True if the same may work later.
    pub(super) fn is_worth_another_attempt(&self) -> bool {
        match self {
            Self::NoRoom(_) => true,
            Self::Files(FilesError::Store(error)) => error.is_outage(),
            _ => false,
        }
    }
}

impl From<FilesError> for InputError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Missing(_) => Self::Gone(error),
            error if error.is_for_want_of_room() => Self::NoRoom(error),
            error => Self::Files(error),
        }
    }
}

/// Puts inputs of the store of files into a sandbox's folder. Returns the bytes that were
/// copied: none, where the folder is on the file system of the store.
///
/// # Errors
/// [`InputError`]; some may be there then.
pub(super) async fn place(
    files: &Files,
    folder: Option<PathBuf>,
    inputs: &[Input],
) -> Result<u64, InputError> {
    if inputs.is_empty() {
        return Ok(0);
    }
    let folder = folder.ok_or(InputError::NoFolder)?;
    let prepared = inputs.to_vec();
    let root = folder.clone();
    on_blocking(move || prepare(&root, &prepared)).await?;
    let links: Vec<_> = inputs
        .iter()
        .filter_map(|it| it.digest.map(|digest| (digest, folder.join(&it.name))))
        .collect();
    Ok(files.link_all(&links).await?)
}

/// Puts files of this machine into a sandbox's folder.
///
/// # Errors
/// [`InputError`]; some may be there then.
pub(super) async fn place_local(
    folder: Option<PathBuf>,
    inputs: &[Input],
) -> Result<(), InputError> {
    if inputs.is_empty() {
        return Ok(());
    }
    let folder = folder.ok_or(InputError::NoFolder)?;
    let inputs = inputs.to_vec();
    on_blocking(move || {
        prepare(&folder, &inputs)?;
        inputs.iter().try_for_each(|input| {
            let source = input.source.as_deref().ok_or(InputError::NoFolder)?;
            appear(source, &folder.join(&input.name)).map_err(failed(&input.name))
        })
    })
    .await
}

async fn on_blocking(
    work: impl FnOnce() -> Result<(), InputError> + Send + 'static,
) -> Result<(), InputError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| InputError::Io { name: String::new(), source: io::Error::other(error) })?
}

fn failed(name: &str) -> impl Fn(io::Error) -> InputError {
    let name = name.to_owned();
    move |source| InputError::Io { name: name.clone(), source }
}

/// Makes the folders of the inputs, and writes the manifest.
fn prepare(folder: &Path, inputs: &[Input]) -> Result<(), InputError> {
    let folders = |name: &'_ str| -> Vec<String> {
        name.match_indices('/').filter_map(|(end, _)| name.get(..end)).map(str::to_owned).collect()
    };
    // Outer folders come before their inner ones.
    let below: BTreeSet<_> = inputs.iter().flat_map(|it| folders(&it.name)).collect();
    for name in below {
        make_folder(&folder.join(&name)).map_err(failed(&name))?;
    }
    let path = folder.join(MANIFEST_NAME);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = opened.map_err(failed(MANIFEST_NAME))?;
    file.write_all(&manifest(inputs)).map_err(failed(MANIFEST_NAME))?;
    file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(failed(MANIFEST_NAME))
}

/// Makes a folder with its mode, whatever the umask. It may be there for a mount in it.
fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// Makes a file appear at a path, as a link where a script could read that.
fn appear(source: &Path, to: &Path) -> io::Result<()> {
    let source = source.canonicalize()?;
    let is_readable = fs::metadata(&source)?.permissions().mode() & READABLE != 0;
    if is_readable && fs::hard_link(&source, to).is_ok() {
        return Ok(());
    }
    // It shares the blocks where the file system can.
    fs::copy(&source, to)?;
    fs::set_permissions(to, Permissions::from_mode(FILE_MODE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn local(name: &str, source: &Path) -> Input {
        let source = Some(source.to_owned());
        Input { name: name.to_owned(), bytes: 7, digest: None, source }
    }

    #[tokio::test]
    async fn inputs_are_links_below_folders_that_can_be_read() {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = home.path().join("file");
        fs::write(&file, "content").unwrap();
        let inputs = [local("a/b/c.mov", &file), local("a/d.mov", &file), local("e", &file)];
        place_local(Some(folder.path().to_owned()), &inputs).await.unwrap();
        for name in ["a/b/c.mov", "a/d.mov", "e"] {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"content");
        }
        assert_eq!(fs::metadata(folder.path().join("a/b")).unwrap().mode() & 0o777, FOLDER_MODE);
        let told = fs::read(folder.path().join(MANIFEST_NAME)).unwrap();
        assert_eq!(told, manifest(&inputs));
    }

    #[tokio::test]
    async fn what_only_its_owner_may_read_is_copied() {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = home.path().join("file");
        fs::write(&file, "content").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        place_local(Some(folder.path().to_owned()), &[local("a", &file)]).await.unwrap();
        let copy = fs::metadata(folder.path().join("a")).unwrap();
        assert_eq!(copy.mode() & 0o777, FILE_MODE);
        assert_ne!(copy.ino(), fs::metadata(&file).unwrap().ino());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_run_without_inputs_has_no_folder_and_no_manifest() {
        place_local(None, &[]).await.unwrap();
        let file = Path::new("/nowhere/at/all");
        let error = place_local(None, &[local("a", file)]).await.unwrap_err();
        assert_eq!(error.outcome().error_kind, Some(ErrorKind::SandboxFailed));
        let folder = tempfile::tempdir().unwrap();
        let error = place_local(Some(folder.path().to_owned()), &[local("a", file)]).await;
        let told = error.unwrap_err().outcome().error_message.unwrap();
        assert!(!told.contains("/nowhere"), "{told}");
    }
}

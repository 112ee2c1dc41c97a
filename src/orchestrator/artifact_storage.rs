//! The stored content of artifacts: below the id of their execution, by their
//! number. No name that came out of a sandbox is part of a path.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use uuid::Uuid;

use super::artifact_writer::{ArtifactWriter, is_want_of_room};
use super::left_files;
use crate::domain::execution::Artifact;
use crate::domain::outcome::{ErrorKind, Outcome, Status};
use crate::private_files::create_folder;
use crate::sandbox::LeftFile;

/// Reason that an artifact was not kept, when it is not its own fault.
const NOT_STORED: &str = "it could not be stored";

/// Keeps artifacts.
#[derive(Debug)]
pub(super) struct ArtifactStorage {
    objects: Box<dyn ObjectStore>,
    kept: PathBuf,
    staging: PathBuf,
}

/// Failure to keep an artifact.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ArtifactError {
    /// The first of them, from 0.
    position: usize,
    /// It is because the disk is full.
    pub(super) is_for_want_of_room: bool,
}

impl ArtifactError {
    /// Fails an execution that lost an artifact: nobody must take it for a success.
    /// Another failure of it tells more, and stays.
    pub(super) fn note(&self, outcome: &mut Outcome) {
        let lost = format!("artifact {}: {NOT_STORED}", self.position);
        let kind = ErrorKind::SandboxFailed;
        if outcome.status == Status::Completed {
            let exit_code = outcome.exit_code;
            *outcome = Outcome { exit_code, ..Outcome::failed(kind, lost) };
        } else if outcome.error_kind == Some(kind) {
            let message = outcome.error_message.get_or_insert_default();
            message.push_str(if message.is_empty() { "" } else { "; " });
            message.push_str(&lost);
        }
    }
}

impl ArtifactStorage {
    /// A storage in the data folder. What earlier processes have left unfinished
    /// is removed.
    pub(super) fn open(data_dir: &Path) -> io::Result<Self> {
        let kept = data_dir.join("artifacts");
        create_folder(&kept)?;
        let staging = data_dir.join("staging");
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => create_folder(&staging)?,
        }
        let objects = LocalFileSystem::new_with_prefix(&kept).map_err(io::Error::other)?;
        // A folder goes with its last artifact, and what an ended execution has left
        // is there after a power failure, as its row is.
        let objects = objects.with_automatic_cleanup(true).with_fsync(true);
        Ok(Self { objects: Box::new(objects), kept, staging })
    }

    /// A folder for what an execution leaves while it runs.
    pub(super) fn stage(&self, id: Uuid, attempt: u32) -> ArtifactWriter {
        ArtifactWriter::numbered(self.staged(id, attempt))
    }

    /// Keeps what an execution has left, and empties its folder. An artifact that
    /// can't be kept is noted as one that was not taken.
    ///
    /// # Errors
    /// [`ArtifactError`] when there is one; the others are kept.
    pub(super) async fn keep(
        &self,
        id: Uuid,
        attempt: u32,
        artifacts: &mut [Artifact],
    ) -> Result<(), ArtifactError> {
        // Nothing was staged of what is not listed.
        if artifacts.is_empty() {
            return Ok(());
        }
        let folder = self.staged(id, attempt);
        let mut result = Ok(());
        for (position, artifact) in artifacts.iter_mut().enumerate() {
            if artifact.skipped.is_some() {
                continue;
            }
            if let Err(error) = self.keep_one(id, position, &folder).await {
                tracing::error!(position, %error, "the execution's artifact was not kept");
                artifact.skipped = Some(NOT_STORED.to_owned());
                let is_for_want_of_room = is_want_of_room(&error);
                result = result.and(Err(ArtifactError { position, is_for_want_of_room }));
            }
        }
        self.unstage(id, attempt).await;
        result
    }

    /// Keeps the files that an execution has left on disk: each is moved, which takes no
    /// room. One that was moved before counts as kept, so this may be done again.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub(super) async fn keep_left(
        &self,
        id: Uuid,
        left: &[LeftFile],
        artifacts: &mut [Artifact],
    ) -> Result<(), ArtifactError> {
        let (left, folder) = (left.to_vec(), self.kept.join(id.to_string()));
        let moving = tokio::task::spawn_blocking(move || left_files::keep(&left, &folder));
        let failed = moving.await.unwrap_or_else(|error| vec![(0, io::Error::other(error))]);
        let mut result = Ok(());
        for (position, error) in failed {
            tracing::error!(position, %error, "the execution's file was not kept");
            if let Some(artifact) = artifacts.get_mut(position) {
                artifact.skipped = Some(NOT_STORED.to_owned());
            }
            let is_for_want_of_room = is_want_of_room(&error);
            result = result.and(Err(ArtifactError { position, is_for_want_of_room }));
        }
        result
    }

    /// Empties the folder of an attempt.
    pub(super) async fn unstage(&self, id: Uuid, attempt: u32) {
        match tokio::fs::remove_dir_all(self.staged(id, attempt)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(execution = %id, %error, "the execution's staging folder could not be removed");
            }
            _ => {}
        }
    }

    /// The file is moved, which takes no room; between disks it is copied.
    async fn keep_one(&self, id: Uuid, position: usize, folder: &Path) -> io::Result<()> {
        let staged = folder.join(position.to_string());
        let (from, to) = (staged.clone(), self.kept.join(id.to_string()));
        let moved = tokio::task::spawn_blocking(move || move_into(&from, &to, position)).await;
        match moved.map_err(io::Error::other)? {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let payload = PutPayload::from(tokio::fs::read(staged).await?);
                self.objects.put(&place(id, position), payload).await.map_err(io::Error::other)?;
                Ok(())
            }
            moved => moved,
        }
    }

    /// The content of an artifact; `None` when there is none.
    pub(super) async fn read(
        &self,
        id: Uuid,
        position: usize,
    ) -> Result<Option<Bytes>, object_store::Error> {
        match self.objects.get(&place(id, position)).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes all that an execution has left.
    pub(super) async fn forget(&self, id: Uuid) -> Result<(), object_store::Error> {
        let folder = object_store::path::Path::from(id.to_string());
        let listed = self.objects.list(Some(&folder)).map_ok(|it| it.location);
        let removed = self.objects.delete_stream(Box::pin(listed));
        removed.try_for_each(|_| async { Ok(()) }).await
    }

    fn staged(&self, id: Uuid, attempt: u32) -> PathBuf {
        self.staging.join(format!("{id}-{attempt}"))
    }
}

fn place(id: Uuid, position: usize) -> object_store::path::Path {
    object_store::path::Path::from(format!("{id}/{position}"))
}

/// Moves a file into a folder, where it is called by its number; when this
/// returns, it survives a power failure there.
fn move_into(file: &Path, folder: &Path, position: usize) -> io::Result<()> {
    File::open(file)?.sync_all()?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {}
        // That the folder is there has to survive as well.
        Ok(()) => folder.parent().map_or(Ok(()), |it| File::open(it)?.sync_all())?,
    }
    fs::rename(file, folder.join(position.to_string()))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact() -> Artifact {
        Artifact { name: "../name".to_owned(), bytes: 1, skipped: None }
    }

    fn stage(storage: &ArtifactStorage, id: Uuid, contents: &[&str]) {
        let folder = storage.staged(id, 1);
        fs::create_dir_all(&folder).unwrap();
        for (position, content) in contents.iter().enumerate() {
            fs::write(folder.join(position.to_string()), content).unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_moved_by_its_number() {
        let data = tempfile::tempdir().unwrap();
        let storage = ArtifactStorage::open(data.path()).unwrap();
        let id = Uuid::new_v4();
        stage(&storage, id, &["a", "b"]);
        let mut artifacts = [artifact(), artifact()];
        assert_eq!(storage.keep(id, 1, &mut artifacts).await, Ok(()));
        assert_eq!(storage.read(id, 0).await.unwrap().as_deref(), Some(&b"a"[..]));
        assert_eq!(storage.read(id, 1).await.unwrap().as_deref(), Some(&b"b"[..]));
        assert!(!storage.staged(id, 1).exists());
        storage.forget(id).await.unwrap();
        assert_eq!(fs::read_dir(&storage.kept).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_is_lost_is_said_and_the_rest_is_kept() {
        let data = tempfile::tempdir().unwrap();
        let storage = ArtifactStorage::open(data.path()).unwrap();
        let id = Uuid::new_v4();
        stage(&storage, id, &["a", "b", "c"]);
        fs::create_dir_all(storage.kept.join(id.to_string()).join("1")).unwrap();
        let mut artifacts = [artifact(), artifact(), artifact()];
        let lost = storage.keep(id, 1, &mut artifacts).await.unwrap_err();
        assert_eq!(lost, ArtifactError { position: 1, is_for_want_of_room: false });
        let skipped = artifacts.map(|it| it.skipped);
        assert_eq!(skipped, [None, Some(NOT_STORED.to_owned()), None]);
        assert_eq!(storage.read(id, 2).await.unwrap().as_deref(), Some(&b"c"[..]));
    }

    #[test]
    fn nobody_takes_it_for_a_success() {
        let completed = || Outcome {
            status: Status::Completed,
            error_kind: None,
            error_message: None,
            exit_code: Some(0),
            signal: None,
        };
        let lost = ArtifactError { position: 3, is_for_want_of_room: false };
        let mut outcome = completed();
        lost.note(&mut outcome);
        let said = outcome.error_message.as_deref();
        assert_eq!(said, Some("artifact 3: it could not be stored"));
        let (status, kind) = (outcome.status, outcome.error_kind);
        assert_eq!((status, kind), (Status::Failed, Some(ErrorKind::SandboxFailed)));
        assert_eq!(outcome.exit_code, Some(0));
        let mut timeout = Outcome { status: Status::Timeout, ..completed() };
        lost.note(&mut timeout);
        assert_eq!((timeout.status, timeout.error_message), (Status::Timeout, None));
    }
}

//! The way of artifacts into the store of files, and what is left of the folder that they
//! were in before: there they are below the id of their execution, by their number.
//! No name that came out of a sandbox is part of a path.
//!
//! An artifact is staged under its number, hashed, and taken by the store of files, whose
//! reference is the execution's. Until the end of the execution is stored, all of it can
//! be taken once more: what is the same is there once.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt};
use uuid::Uuid;

use super::artifact_writer::{ArtifactWriter, is_want_of_room};
use super::left_files;
use crate::domain::execution::Artifact;
use crate::domain::file::Holder;
use crate::domain::outcome::{ErrorKind, Outcome, Status};
use crate::files::{Files, FilesError};
use crate::private_files::create_folder;
use crate::sandbox::LeftFile;

/// Reason that an artifact was not kept, when it is not its own fault.
const NOT_STORED: &str = "it could not be stored";

/// Keeps artifacts.
#[derive(Debug)]
pub(super) struct ArtifactStorage {
    files: Files,
    /// Artifacts from before.
    objects: Box<dyn ObjectStore>,
    staging: PathBuf,
}

/// Failure to give up what an execution has left.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForgetError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Folder(#[from] object_store::Error),
}

/// Failure to keep an artifact.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ArtifactError {
    /// The first of them, from 0.
    position: usize,
    /// Cause, as far as it matters.
    pub(super) cause: Cause,
}

/// Cause of a failure to keep an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The disk is full: there may be room later.
    Room,
    /// The database does not answer. All files are still there, and none is noted as lost.
    Outage,
    /// Anything else.
    Other,
}

impl Cause {
    fn of(error: &FilesError) -> Self {
        match error {
            FilesError::Store(error) if error.is_outage() => Self::Outage,
            error if error.is_for_want_of_room() => Self::Room,
            _ => Self::Other,
        }
    }
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
    pub(super) fn open(data_dir: &Path, files: Files) -> io::Result<Self> {
        let kept = data_dir.join("artifacts");
        create_folder(&kept)?;
        let staging = data_dir.join("staging");
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => create_folder(&staging)?,
        }
        let objects = LocalFileSystem::new_with_prefix(&kept).map_err(io::Error::other)?;
        // A folder goes with its last artifact.
        let objects = objects.with_automatic_cleanup(true);
        Ok(Self { files, objects: Box::new(objects), staging })
    }

    /// A folder for what an execution leaves while it runs.
    pub(super) fn stage(&self, id: Uuid, attempt: u32) -> ArtifactWriter {
        ArtifactWriter::numbered(self.staged(id, attempt))
    }

    /// Takes what an execution has left into the store of files, and empties its folder. An
    /// artifact that can't be kept is noted as one that was not taken.
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
        let lost = lost_before(artifacts);
        let folder = self.staged(id, attempt);
        let mut left: Vec<_> = artifacts
            .iter_mut()
            .enumerate()
            // What was taken before an outage is not there any more.
            .filter(|(_, artifact)| artifact.skipped.is_none() && artifact.digest.is_none())
            .map(|(position, artifact)| (position, folder.join(position.to_string()), artifact))
            .collect();
        let taken = self.take(&Holder::Execution(id), &mut left).await;
        let result = taken.and(lost);
        if !result.as_ref().is_err_and(|lost| lost.cause == Cause::Outage) {
            self.unstage(id, attempt).await;
        }
        result
    }

    /// Takes the files that an execution has left on disk: no second copy of them is made.
    /// They stay in its folder, too, so this may be done again.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub(super) async fn keep_left(
        &self,
        id: Uuid,
        left: &[LeftFile],
        artifacts: &mut [Artifact],
    ) -> Result<(), ArtifactError> {
        let left = left.to_vec();
        let naming = tokio::task::spawn_blocking(move || left_files::second_names(&left));
        let mut named: HashMap<_, _> = naming.await.unwrap_or_default().into_iter().collect();
        let mut result = lost_before(artifacts);
        let mut found = Vec::with_capacity(named.len());
        for (position, artifact) in artifacts.iter_mut().enumerate() {
            if artifact.skipped.is_some() || artifact.digest.is_some() {
                continue;
            }
            match named.remove(&position) {
                Some(Ok(path)) => found.push((position, path, artifact)),
                failed => {
                    let error = failed.and_then(Result::err);
                    tracing::error!(position, ?error, "the execution's file was not kept");
                    artifact.skipped = Some(NOT_STORED.to_owned());
                    let is_of_room = error.is_some_and(|it| is_want_of_room(&it));
                    let cause = if is_of_room { Cause::Room } else { Cause::Other };
                    result = result.and(Err(ArtifactError { position, cause }));
                }
            }
        }
        match self.take(&Holder::Execution(id), &mut found).await {
            // It is all done again.
            Err(outage @ ArtifactError { cause: Cause::Outage, .. }) => Err(outage),
            taken => result.and(taken),
        }
    }

    /// Takes files at once, or one by one where one of them fails.
    async fn take(
        &self,
        holder: &Holder,
        left: &mut [(usize, PathBuf, &mut Artifact)],
    ) -> Result<(), ArtifactError> {
        let all = left.iter().map(|(_, path, _)| (path.clone(), None)).collect();
        if let Ok(taken) = self.files.take_all(all, holder).await {
            for ((_, _, artifact), stored) in left.iter_mut().zip(taken) {
                artifact.digest = Some(stored.digest);
                artifact.bytes = stored.bytes;
            }
            return Ok(());
        }
        let mut result = Ok(());
        for (position, path, artifact) in left.iter_mut() {
            match self.files.take(path, None, holder).await {
                Ok(stored) => {
                    artifact.digest = Some(stored.digest);
                    artifact.bytes = stored.bytes;
                }
                Err(error) => {
                    let (position, cause) = (*position, Cause::of(&error));
                    if cause == Cause::Outage {
                        return Err(ArtifactError { position, cause });
                    }
                    tracing::error!(position, %error, "the execution's artifact was not kept");
                    artifact.skipped = Some(NOT_STORED.to_owned());
                    result = result.and(Err(ArtifactError { position, cause }));
                }
            }
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

    /// The content of an artifact from before there was a store of files; `None` when there
    /// is none.
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

    /// Gives up all that an execution has taken and left.
    pub(super) async fn forget(&self, id: Uuid) -> Result<(), ForgetError> {
        self.files.release(&Holder::Execution(id)).await?;
        let folder = object_store::path::Path::from(id.to_string());
        let listed = self.objects.list(Some(&folder)).map_ok(|it| it.location);
        let removed = self.objects.delete_stream(Box::pin(listed));
        Ok(removed.try_for_each(|_| async { Ok(()) }).await?)
    }

    fn staged(&self, id: Uuid, attempt: u32) -> PathBuf {
        self.staging.join(format!("{id}-{attempt}"))
    }
}

/// Artifact that an earlier attempt has given up.
fn lost_before(artifacts: &[Artifact]) -> Result<(), ArtifactError> {
    let is_lost = |it: &Artifact| it.skipped.as_deref() == Some(NOT_STORED);
    match artifacts.iter().position(is_lost) {
        Some(position) => Err(ArtifactError { position, cause: Cause::Other }),
        None => Ok(()),
    }
}

fn place(id: Uuid, position: usize) -> object_store::path::Path {
    object_store::path::Path::from(format!("{id}/{position}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskReserve;
    use crate::files::{DEFAULT_GRACE, FilesSettings};
    use crate::store::{DatabaseUrl, Store};

    fn artifact() -> Artifact {
        Artifact::kept("../name".to_owned(), 1)
    }

    async fn storage(data: &Path) -> ArtifactStorage {
        let store = Store::open(&DatabaseUrl::in_data_dir(data)).await.unwrap();
        let (folder, reserve) = (data.join("files"), DiskReserve::default());
        let settings = FilesSettings { folder, reserve, grace: DEFAULT_GRACE, quota: 1 << 40 };
        ArtifactStorage::open(data, Files::start(store, settings).unwrap()).unwrap()
    }

    fn stage(storage: &ArtifactStorage, id: Uuid, contents: &[&str]) {
        let folder = storage.staged(id, 1);
        fs::create_dir_all(&folder).unwrap();
        for (position, content) in contents.iter().enumerate() {
            fs::write(folder.join(position.to_string()), content).unwrap();
        }
    }

    fn content(storage: &ArtifactStorage, artifact: &Artifact) -> Vec<u8> {
        let hex = artifact.digest.unwrap().hex();
        fs::read(storage.files.folder().join("sha256").join(&hex[..2]).join(&hex)).unwrap()
    }

    #[tokio::test]
    async fn what_is_kept_is_known_by_its_content_and_is_there_once() {
        let data = tempfile::tempdir().unwrap();
        let storage = storage(data.path()).await;
        let id = Uuid::new_v4();
        // The second time after a restart in the middle.
        for _ in 0..2 {
            stage(&storage, id, &["a", "b", "a"]);
            let mut artifacts = [artifact(), artifact(), artifact()];
            assert_eq!(storage.keep(id, 1, &mut artifacts).await, Ok(()));
            assert_eq!(artifacts[0].digest, artifacts[2].digest);
            assert_eq!(content(&storage, &artifacts[1]), b"b");
            assert!(!storage.staged(id, 1).exists());
        }
        storage.forget(id).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_lost_is_said_and_the_rest_is_kept() {
        let data = tempfile::tempdir().unwrap();
        let storage = storage(data.path()).await;
        let id = Uuid::new_v4();
        stage(&storage, id, &["a", "b", "c"]);
        fs::remove_file(storage.staged(id, 1).join("1")).unwrap();
        let mut artifacts = [artifact(), artifact(), artifact()];
        let lost = storage.keep(id, 1, &mut artifacts).await.unwrap_err();
        assert_eq!(lost, ArtifactError { position: 1, cause: Cause::Other });
        assert_eq!(content(&storage, &artifacts[2]), b"c");
        let skipped = artifacts.map(|it| it.skipped);
        assert_eq!(skipped, [None, Some(NOT_STORED.to_owned()), None]);
    }

    #[tokio::test]
    async fn artifacts_from_before_are_read_and_forgotten() {
        let data = tempfile::tempdir().unwrap();
        let id = Uuid::new_v4();
        let folder = data.path().join("artifacts").join(id.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("0"), "old").unwrap();
        let storage = storage(data.path()).await;
        assert_eq!(storage.read(id, 0).await.unwrap().as_deref(), Some(&b"old"[..]));
        assert_eq!(storage.read(id, 1).await.unwrap(), None);
        storage.forget(id).await.unwrap();
        assert!(!folder.exists());
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
        let lost = ArtifactError { position: 3, cause: Cause::Other };
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

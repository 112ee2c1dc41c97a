//! Uploads in parts, which go on after a lost connection and after a restart.
//!
//! One request writes to an upload at a time. Another one for the same upload asks the first to
//! stop, because a client comes again before the server has noticed that its line is gone. The
//! offset of an upload is the number of its bytes that are durable: it is stored now and then,
//! and when a part ends, whatever ended it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::Sha256;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::commit::on_blocking;
use super::incoming::{IncomingFile, Paused};
use super::{FileLabel, Files, FilesError, Room, StoredFile, plain};
use crate::clock;
use crate::domain::file::{FileDigest, Holder, UploadKeep};
use crate::store::Upload;

/// Time after which an upload is given up for which nothing comes.
const IDLE: TimeDelta = TimeDelta::hours(24);

/// Most unfinished uploads of a token.
const MAX_UPLOADS: u32 = 1_000;

/// Times that another request is asked to stop, each followed by [`STOP_WITHIN`].
const ASKED: u32 = 10;

/// Time that a request has to make durable what it received.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Uploads that are removed at once.
const BATCH: u32 = 500;

/// Upload to begin.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Id of the token that sends it.
    pub token_id: i64,
    /// Bytes that it is to have, if the client knows.
    pub length: Option<u64>,
    /// The digest that it must have.
    pub digest: Option<FileDigest>,
    /// Name and media type of the file.
    pub label: FileLabel,
    /// Time for which the file is kept.
    pub keep: UploadKeep,
    /// The client's own words.
    pub metadata: String,
}

/// State of the digest of an upload, as far as it has come.
type Progress = Option<(u64, Sha256)>;

/// Uploads that requests work on, or worked on since the start.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<Uuid, Arc<Slot>>>);

#[derive(Debug, Default)]
struct Slot {
    progress: Arc<tokio::sync::Mutex<Progress>>,
    /// Asks the request that works on it to stop.
    stop: Mutex<CancellationToken>,
}

/// Sole access to an upload.
#[derive(Debug)]
struct Claim {
    progress: OwnedMutexGuard<Progress>,
    stop: CancellationToken,
}

impl Claims {
    fn slot(&self, id: Uuid) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(id).or_default())
    }

    fn forget(&self, id: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// Asks whoever works on an upload to stop, and waits for it.
    async fn claim(&self, id: Uuid) -> Result<Claim, FilesError> {
        let slot = self.slot(id);
        for _ in 0..ASKED {
            slot.stop.lock().unwrap_or_else(PoisonError::into_inner).cancel();
            let locking = Arc::clone(&slot.progress).lock_owned();
            if let Ok(progress) = tokio::time::timeout(STOP_WITHIN, locking).await {
                let stop = CancellationToken::new();
                *slot.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop.clone();
                return Ok(Claim { progress, stop });
            }
        }
        Err(FilesError::Busy)
    }
}

/// Part of an upload that arrives.
#[derive(Debug)]
pub struct UploadPart {
    files: Files,
    upload: Upload,
    claim: Claim,
    incoming: IncomingFile,
    /// Room for bytes of an upload whose length nobody has said.
    room: Option<Room>,
    /// Bytes that the database knows of.
    stored: u64,
}

/// End of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartEnd {
    /// Bytes that are durable.
    pub received: u64,
    /// Time at which the upload is given up.
    pub expires_at: DateTime<Utc>,
    /// The file, if the upload is complete.
    pub file: Option<StoredFile>,
}

impl Files {
    /// Begins an upload.
    ///
    /// # Errors
    /// [`FilesError::Quota`], [`FilesError::NoRoom`], [`FilesError::TooManyUploads`], and others.
    pub async fn create_upload(&self, new: NewUpload) -> Result<Upload, FilesError> {
        let _room = self.room(new.token_id, new.length.unwrap_or_default()).await?;
        let now = clock::now();
        let upload = Upload {
            id: Uuid::new_v4(),
            token_id: new.token_id,
            length: new.length,
            received: 0,
            digest: new.digest,
            name: new.label.name,
            media_type: new.label.media_type,
            keep: new.keep,
            metadata: new.metadata,
            created_at: now,
            expires_at: now + IDLE,
            completed_at: None,
        };
        match self.0.store.insert_upload(&upload, MAX_UPLOADS).await? {
            true => Ok(upload),
            false => Err(FilesError::TooManyUploads(MAX_UPLOADS)),
        }
    }

    /// The upload of a token with this id, when nothing writes to it. One that has all its bytes
    /// is complete then.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn upload(&self, id: Uuid, token_id: i64) -> Result<Option<Upload>, FilesError> {
        let Some(upload) = self.own_upload(id, token_id).await? else { return Ok(None) };
        if upload.completed_at.is_some() {
            return Ok(Some(upload));
        }
        let claim = self.0.claims.claim(id).await?;
        let Some(upload) = self.own_upload(id, token_id).await? else { return Ok(None) };
        if upload.completed_at.is_none() && upload.length == Some(upload.received) {
            self.part(upload, claim).await?.finish().await?;
            return self.own_upload(id, token_id).await;
        }
        Ok(Some(upload))
    }

    async fn own_upload(&self, id: Uuid, token_id: i64) -> Result<Option<Upload>, FilesError> {
        let upload = self.0.store.upload(id).await?;
        Ok(upload.filter(|it| it.token_id == token_id && it.expires_at > clock::now()))
    }

    /// Goes on with an upload of a token at this offset. `length` says how long it is to be, if
    /// nobody has said it before. `None` if there is no such upload.
    ///
    /// # Errors
    /// [`FilesError::Offset`] if it ends elsewhere, and others.
    pub async fn resume_upload(
        &self,
        id: Uuid,
        token_id: i64,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Option<UploadPart>, FilesError> {
        if self.own_upload(id, token_id).await?.is_none() {
            return Ok(None);
        }
        let claim = self.0.claims.claim(id).await?;
        let Some(mut upload) = self.own_upload(id, token_id).await? else { return Ok(None) };
        if upload.received != offset || upload.completed_at.is_some() {
            return Err(FilesError::Offset { said: offset, received: upload.received });
        }
        if let Some(length) = length {
            let is_said = upload.length.is_some_and(|it| it != length);
            if is_said || length < upload.received {
                return Err(FilesError::Length);
            }
            if upload.length.is_none() {
                let _room = self.room(token_id, length - upload.received).await?;
                let (store, received) = (&self.0.store, upload.received);
                store.advance_upload(id, received, Some(length), clock::now() + IDLE).await?;
                upload.length = Some(length);
            }
        }
        self.part(upload, claim).await.map(Some)
    }

    async fn part(&self, upload: Upload, mut claim: Claim) -> Result<UploadPart, FilesError> {
        let room = match upload.length {
            Some(_) => None,
            None => Some(self.room(upload.token_id, 0).await?),
        };
        let known = claim.progress.take().filter(|(bytes, _)| *bytes == upload.received);
        let hasher = match (known, upload.received) {
            (Some((_, hasher)), _) => Some(hasher),
            (None, 0) => Some(Sha256::default()),
            // After a restart: all of it is hashed at the end.
            (None, _) => None,
        };
        let stored = upload.received;
        let paused = Paused { bytes: stored, hasher };
        let path = self.0.folder.upload(upload.id);
        let incoming = IncomingFile::resume(path, paused, self.0.reserve).await?;
        Ok(UploadPart { files: self.clone(), upload, claim, incoming, room, stored })
    }

    /// Gives up an upload of a token. Returns false if there is none.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn remove_upload(&self, id: Uuid, token_id: i64) -> Result<bool, FilesError> {
        if self.own_upload(id, token_id).await?.is_none() {
            return Ok(false);
        }
        let _claim = self.0.claims.claim(id).await?;
        self.discard(id).await?;
        Ok(true)
    }

    /// Removes the row of an upload, then its file.
    async fn discard(&self, id: Uuid) -> Result<(), FilesError> {
        self.0.store.delete_upload(id).await?;
        self.0.claims.forget(id);
        let path = self.0.folder.upload(id);
        on_blocking(move || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(FilesError::io("removing an upload")),
        })
        .await
    }

    /// Removes uploads that were given up.
    pub(super) async fn remove_expired_uploads(
        &self,
        now: DateTime<Utc>,
    ) -> Result<(), FilesError> {
        loop {
            let expired = self.0.store.expired_uploads(now, BATCH).await?;
            if expired.is_empty() {
                return Ok(());
            }
            for id in expired {
                let _claim = self.0.claims.claim(id).await?;
                self.discard(id).await?;
            }
        }
    }
}

impl UploadPart {
    /// Ends when another request wants to work on the upload.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        self.claim.stop.clone().cancelled_owned()
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.incoming.bytes()
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// [`FilesError::TooLong`] if the upload was to be shorter; [`FilesError::Quota`] if nobody
    /// has said how long it is to be; and others. The part can still be paused.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), FilesError> {
        let bytes = self.incoming.bytes().saturating_add(piece.len() as u64);
        match (self.upload.length, &mut self.room) {
            (Some(length), _) if bytes > length => return Err(FilesError::TooLong { length }),
            (None, Some(room)) => room.grow_to(bytes - self.upload.received)?,
            _ => {}
        }
        self.incoming.write(piece).await?;
        let durable = self.incoming.durable();
        if durable > self.stored {
            self.store(durable).await?;
        }
        Ok(())
    }

    async fn store(&mut self, durable: u64) -> Result<DateTime<Utc>, FilesError> {
        let expires_at = clock::now() + IDLE;
        let store = &self.files.0.store;
        store.advance_upload(self.upload.id, durable, None, expires_at).await?;
        self.stored = durable;
        Ok(expires_at)
    }

    /// Gives up what this part brought: the upload is as it was before.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn undo(mut self) -> Result<(), FilesError> {
        self.incoming.rest().await;
        let before = self.upload.received;
        if self.stored != before {
            self.store(before).await?;
        }
        Ok(())
    }

    /// Ends the part: makes durable what has come, and completes the upload if that is all of it.
    ///
    /// # Errors
    /// [`FilesError::Mismatch`] if it has another digest than was said: it is given up then. And
    /// others.
    pub async fn finish(mut self) -> Result<PartEnd, FilesError> {
        if self.upload.length == Some(self.incoming.bytes()) {
            return self.complete().await;
        }
        let Self { incoming, claim, .. } = &mut self;
        let paused = incoming.pause().await;
        incoming.rest().await;
        let paused = paused?;
        *claim.progress = paused.hasher.map(|hasher| (paused.bytes, hasher));
        let expires_at = self.store(paused.bytes).await?;
        Ok(PartEnd { received: paused.bytes, expires_at, file: None })
    }

    async fn complete(mut self) -> Result<PartEnd, FilesError> {
        let stored = self.incoming.complete().await;
        self.incoming.rest().await;
        let stored = stored?;
        let Self { files, upload, incoming, claim, .. } = self;
        if let Some(expected) = upload.digest.filter(|it| *it != stored.digest) {
            files.discard(upload.id).await?;
            return Err(FilesError::Mismatch { expected, found: stored.digest });
        }
        let label = FileLabel { name: upload.name, media_type: upload.media_type };
        let (file, holder) = (plain(stored, label), Holder::Token(upload.token_id));
        let until = upload.keep.until(clock::now(), files.0.grace);
        let id = upload.id;
        files
            .keep_incoming(incoming, stored, move |store| async move {
                let now = clock::now();
                store.keep_files(&[file], &holder, until, now).await?;
                Ok(store.complete_upload(id, stored.digest, stored.bytes, now).await?)
            })
            .await?;
        files.0.claims.forget(id);
        drop(claim);
        let expires_at = upload.expires_at;
        Ok(PartEnd { received: stored.bytes, expires_at, file: Some(stored) })
    }
}

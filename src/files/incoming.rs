//! Files that arrive piece by piece: written, hashed, and made durable on the way.
//!
//! At most two batches of a file are in memory: one that is being written, and one that arrives.
//! No thread is held by a client that sends slowly.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use super::commit::{Hashed, on_blocking};
use super::folder::passing;
use super::link::READ_ONLY;
use super::{FileLabel, Files, FilesError, StoredFile, plain};
use crate::clock;
use crate::disk::{DiskReserve, Space};
use crate::domain::file::{FileDigest, Holder};
use crate::private_files::FILE_MODE;
use crate::store::Store;

/// Bytes that are written at once (256 KiB).
const BATCH: usize = 256 * 1024;

/// Most pieces of a batch: tiny ones would take more memory than they are.
const MAX_PIECES: usize = 1_024;

/// Bytes after which what has been written is made durable (64 MiB), while more arrives: at the
/// end little is left to do, and the system's memory does not fill with what its disk lacks.
const DURABLE_EVERY: u64 = 64 * 1024 * 1024;

/// A file, and the digest of what is in it so far, unless that is not known.
#[derive(Debug)]
struct Written {
    file: File,
    hasher: Option<Sha256>,
}

/// File that arrives.
#[derive(Debug)]
pub struct IncomingFile {
    path: PathBuf,
    /// Removed when it is dropped.
    is_passing: bool,
    written: Option<Written>,
    writing: Option<JoinHandle<io::Result<Written>>>,
    syncing: Option<JoinHandle<io::Result<()>>>,
    batch: Vec<Bytes>,
    batched: usize,
    /// Bytes so far.
    bytes: u64,
    /// Bytes when it was last begun to make them durable.
    synced: u64,
    /// Bytes that are known to be durable.
    durable: u64,
    reserve: DiskReserve,
}

/// State of a file that is to go on arriving later.
#[derive(Debug)]
pub(super) struct Paused {
    /// Bytes that are durable.
    pub(super) bytes: u64,
    /// Digest of them so far, if it is known.
    pub(super) hasher: Option<Sha256>,
}

impl Files {
    /// Keeps a file that has come, for a token, until this time; `None` means for ever.
    ///
    /// # Errors
    /// [`FilesError::Mismatch`] if it has another digest than expected, and others.
    pub async fn keep(
        &self,
        mut incoming: IncomingFile,
        expected: Option<FileDigest>,
        holder: &Holder,
        label: FileLabel,
        until: Option<DateTime<Utc>>,
    ) -> Result<StoredFile, FilesError> {
        let stored = incoming.complete().await?;
        if let Some(expected) = expected.filter(|it| *it != stored.digest) {
            return Err(FilesError::Mismatch { expected, found: stored.digest });
        }
        let (file, holder) = (plain(stored, label), *holder);
        self.keep_incoming(incoming, stored, move |store| async move {
            Ok(store.keep_files(&[file], &holder, until, clock::now()).await?)
        })
        .await?;
        Ok(stored)
    }

    /// Moves a complete file into the store, and records it.
    pub(super) async fn keep_incoming<R, F>(
        &self,
        incoming: IncomingFile,
        stored: StoredFile,
        record: R,
    ) -> Result<(), FilesError>
    where
        R: FnOnce(Store) -> F + Send + 'static,
        F: Future<Output = Result<(), FilesError>> + Send,
    {
        let path = incoming.path().to_owned();
        let readable = path.clone();
        let mode = std::fs::Permissions::from_mode(READ_ONLY);
        on_blocking(move || {
            fs::set_permissions(readable, mode).map_err(FilesError::io("closing a file"))
        })
        .await?;
        let hashed = Hashed { path, copy: None, stored };
        let kept = self.commit(vec![hashed], record).await;
        drop(incoming);
        kept
    }

    /// Begins a file. Nothing of it counts until it is kept; it is gone when it is dropped.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn begin(&self) -> Result<IncomingFile, FilesError> {
        let path = passing(self.0.folder.uploads());
        let creating = path.clone();
        let file = spawn_blocking(move || {
            OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(creating)
        });
        let file = file.await.map_err(|_| FilesError::Stopped)?;
        let file = file.map_err(FilesError::io("creating a file"))?;
        let written = Written { file, hasher: Some(Sha256::new()) };
        Ok(IncomingFile::new(path, true, written, 0, self.0.reserve))
    }
}

impl IncomingFile {
    fn new(
        path: PathBuf,
        is_passing: bool,
        written: Written,
        bytes: u64,
        reserve: DiskReserve,
    ) -> Self {
        Self {
            path,
            is_passing,
            written: Some(written),
            writing: None,
            syncing: None,
            batch: Vec::new(),
            batched: 0,
            bytes,
            synced: bytes,
            durable: bytes,
            reserve,
        }
    }

    /// Goes on with a file that has so many durable bytes; what is beyond is dropped.
    pub(super) async fn resume(
        path: PathBuf,
        paused: Paused,
        reserve: DiskReserve,
    ) -> Result<Self, FilesError> {
        let opening = path.clone();
        let file = spawn_blocking(move || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(FILE_MODE)
                .open(opening)?;
            if file.metadata()?.len() < paused.bytes {
                return Err(io::Error::other("a part of the upload is gone"));
            }
            file.set_len(paused.bytes)?;
            file.seek(SeekFrom::Start(paused.bytes))?;
            Ok(file)
        });
        let file = file.await.map_err(|_| FilesError::Stopped)?;
        let file = file.map_err(FilesError::io("going on with an upload"))?;
        let written = Written { file, hasher: paused.hasher };
        Ok(Self::new(path, false, written, paused.bytes, reserve))
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that a power failure would leave.
    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    /// Path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a piece. It is written later, with others.
    ///
    /// # Errors
    /// [`FilesError`], also of pieces before; the file can't be gone on with then.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), FilesError> {
        self.bytes += piece.len() as u64;
        self.batched += piece.len();
        self.batch.push(piece);
        if self.batched >= BATCH || self.batch.len() >= MAX_PIECES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Hands the batch over to be written, as soon as the one before is.
    async fn flush(&mut self) -> Result<(), FilesError> {
        let Written { mut file, mut hasher } = self.idle().await?;
        self.make_durable(&file).await?;
        let batch = std::mem::take(&mut self.batch);
        self.batched = 0;
        self.writing = Some(spawn_blocking(move || {
            for piece in &batch {
                file.write_all(piece)?;
                if let Some(hasher) = &mut hasher {
                    hasher.update(piece);
                }
            }
            Ok(Written { file, hasher })
        }));
        Ok(())
    }

    /// The file, when nothing writes to it.
    async fn idle(&mut self) -> Result<Written, FilesError> {
        if let Some(written) = self.written.take() {
            return Ok(written);
        }
        let writing = self.writing.take().ok_or(FilesError::Stopped)?;
        let written = writing.await.map_err(|_| FilesError::Stopped)?;
        written.map_err(|error| match FilesError::io("writing a file")(error) {
            FilesError::NoRoom { .. } => self.no_room(),
            other => other,
        })
    }

    /// Begins to make durable what has been written, if it is much, and looks at the disk.
    async fn make_durable(&mut self, file: &File) -> Result<(), FilesError> {
        let written = self.bytes - self.batched as u64;
        if written - self.synced < DURABLE_EVERY {
            return Ok(());
        }
        self.check_room()?;
        self.await_sync().await?;
        self.synced = written;
        let file = file.try_clone().map_err(FilesError::io("making a file durable"))?;
        self.syncing = Some(spawn_blocking(move || file.sync_data()));
        Ok(())
    }

    async fn await_sync(&mut self) -> Result<(), FilesError> {
        let Some(syncing) = self.syncing.take() else { return Ok(()) };
        let synced = syncing.await.map_err(|_| FilesError::Stopped)?;
        synced.map_err(FilesError::io("making a file durable"))?;
        self.durable = self.synced;
        Ok(())
    }

    fn check_room(&self) -> Result<(), FilesError> {
        let space = Space::of(&self.path).map_err(FilesError::io("looking at the disk"))?;
        match self.reserve.room(space) {
            0 => Err(self.no_room()),
            _ => Ok(()),
        }
    }

    fn no_room(&self) -> FilesError {
        let reserve = Space::of(&self.path).map_or(0, |space| self.reserve.bytes(space));
        FilesError::NoRoom { reserve }
    }

    /// Writes what is left, and makes all of it durable.
    async fn settle(&mut self) -> Result<Written, FilesError> {
        if !self.batch.is_empty() {
            self.flush().await?;
        }
        self.await_sync().await?;
        let written = self.idle().await?;
        let syncing = spawn_blocking(move || written.file.sync_all().map(|()| written));
        let synced = syncing.await.map_err(|_| FilesError::Stopped)?;
        synced.map_err(FilesError::io("making a file durable"))
    }

    /// Waits until nothing writes to the file any longer. Whoever goes on with it afterwards has
    /// it alone.
    pub(super) async fn rest(&mut self) {
        if let Some(writing) = self.writing.take() {
            // It has failed, or nobody needs it any longer.
            let _ = writing.await;
        }
    }

    /// Makes durable what has come so far, to go on later.
    pub(super) async fn pause(&mut self) -> Result<Paused, FilesError> {
        let written = self.settle().await?;
        Ok(Paused { bytes: self.bytes, hasher: written.hasher })
    }

    /// Makes the file durable. Returns its digest and its size.
    pub(super) async fn complete(&mut self) -> Result<StoredFile, FilesError> {
        let Written { file, hasher } = self.settle().await?;
        let bytes = self.bytes;
        match hasher {
            Some(hasher) => {
                Ok(StoredFile { digest: FileDigest::new(hasher.finalize().into()), bytes })
            }
            None => {
                let path = self.path.clone();
                drop(file);
                let hashing = spawn_blocking(move || super::commit::hash(&File::open(path)?));
                let hashed = hashing.await.map_err(|_| FilesError::Stopped)?;
                hashed.map_err(FilesError::io("hashing a file"))
            }
        }
    }
}

impl Drop for IncomingFile {
    fn drop(&mut self) {
        if self.is_passing {
            // It may have become a file of the store; a restart removes it otherwise.
            let _ = fs::remove_file(&self.path);
        }
    }
}

//! Files by their content. A file is known by the SHA-256 of its bytes, lies in the store once,
//! and stays as long as a [`Holder`](crate::domain::file::Holder) holds it.
//!
//! Below the folder of the store:
//!
//! ```text
//! sha256/ab/ab12…   a file, named by its digest; complete and durable, or not there
//! uploads/…         files that are being written; nothing of it counts yet
//! lock              held by the server that the folder belongs to
//! ```
//!
//! A file comes in by these steps, and whatever ends the process in between, what is in the
//! database is in the store:
//!
//! 1. All bytes are written to a file below `uploads/` (or are there already, in a file that is
//!    taken over), hashed, and made durable.
//! 2. That file gets a second name, below `sha256/`, and the folder is made durable. If the name
//!    is there already, it is the same content.
//! 3. One transaction stores the object and the holder's reference.
//! 4. The first name is removed.
//!
//! A file goes by these: one guarded statement deletes the object's row, if nobody holds it and
//! nobody has used it for a while; then its name is removed. A file without a row is left from a
//! process that ended between two of these steps, and is removed by the next sweep. Steps 2 and 3
//! exclude the two steps of a collection by a lock in this process, to which the folder belongs;
//! a reference to a file that is there excludes it in the database alone.
//!
//! This module never trusts a name or a size that came out of a container or a request, never
//! holds a file whole in memory, and knows neither HTTP nor scripts.

mod archive;
mod check;
mod collect;
mod commit;
mod error;
mod folder;
mod incoming;
mod link;
mod quota;
mod read;
#[cfg(test)]
mod tests;
mod trees;
mod uploads;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::RwLock;

pub use crate::domain::tree::{Tree, TreeEntry};
pub use archive::{Archive, ArchiveKind};
pub use check::{Checked, Told, check};
pub use collect::Collected;
pub use error::FilesError;
pub use incoming::IncomingFile;
pub use quota::Room;
pub use read::OpenFile;
pub use uploads::{NewUpload, PartEnd, UploadPart};

use crate::clock;
use crate::disk::{DiskReserve, Space};
use crate::domain::file::{FileDigest, Holder};
use crate::store::{NewFileRef, Store};
use folder::Folder;

/// Time that a file is kept when nobody holds it any longer.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(24 * 3_600);

/// Settings of the store of files.
#[derive(Debug, Clone)]
pub struct FilesSettings {
    /// Folder of the store.
    pub folder: PathBuf,
    /// Free space that is kept on its disk.
    pub reserve: DiskReserve,
    /// Time that a file is kept when nobody holds it any longer.
    pub grace: Duration,
    /// Bytes of a token's files together.
    pub quota: u64,
}

/// File in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredFile {
    /// Digest of its bytes.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Words of a holder about a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileLabel {
    /// Name of the file.
    pub name: Option<String>,
    /// Media type of the file.
    pub media_type: Option<String>,
}

/// The store of files; cheap to clone.
#[derive(Debug, Clone)]
pub struct Files(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    folder: Folder,
    reserve: DiskReserve,
    grace: Duration,
    quota: u64,
    arriving: quota::Arriving,
    claims: uploads::Claims,
    archives: archive::Archives,
    /// Held for reading while a file comes in, for writing while others go.
    gate: RwLock<()>,
}

impl Files {
    /// Starts the store of this server, and removes files that an earlier process left unfinished.
    ///
    /// # Errors
    /// [`io::Error`] if the folder can't be used; of kind `WouldBlock` if it belongs to another
    /// server that runs.
    pub fn start(store: Store, settings: FilesSettings) -> io::Result<Self> {
        let folder = Folder::open(&settings.folder)?;
        let FilesSettings { reserve, grace, quota, .. } = settings;
        Ok(Self(Arc::new(Inner {
            store,
            folder,
            reserve,
            grace,
            quota,
            arriving: quota::Arriving::default(),
            claims: uploads::Claims::default(),
            archives: archive::Archives::default(),
            gate: RwLock::default(),
        })))
    }

    /// Time that a file is kept when nobody holds it any longer.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.0.grace
    }

    /// Bytes that the files of a token may have together.
    #[must_use]
    pub fn quota(&self) -> u64 {
        self.0.quota
    }

    /// Space of the disk that the store is on, and the part of it that is kept free.
    ///
    /// # Errors
    /// [`FilesError`].
    pub fn disk(&self) -> Result<(Space, u64), FilesError> {
        let space = Space::of(self.folder()).map_err(FilesError::io("looking at the disk"))?;
        Ok((space, self.0.reserve.bytes(space)))
    }

    /// Folder of the store. What is to be linked must be on its file system.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.folder.root()
    }

    /// Takes over a file of the server's own: hashes it, unless its digest is `known`, makes it
    /// durable, and moves it into the store. The file is gone afterwards. If it is still there
    /// after an error, it can be taken again; once it is gone, the holder's reference is stored.
    ///
    /// Nobody may write to the file any longer. A link in its place is refused.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn take(
        &self,
        path: &Path,
        known: Option<FileDigest>,
        holder: &Holder,
    ) -> Result<StoredFile, FilesError> {
        let mut taken = self.take_all(vec![(path.to_owned(), known)], holder).await?;
        taken.pop().ok_or(FilesError::Stopped)
    }

    /// Takes over several files, with one write of the database. They are hashed two at a time.
    ///
    /// # Errors
    /// [`FilesError`]; all of them are still there then, or the database failed last and they
    /// can be taken again.
    pub async fn take_all(
        &self,
        files: Vec<(PathBuf, Option<FileDigest>)>,
        holder: &Holder,
    ) -> Result<Vec<StoredFile>, FilesError> {
        let hashed = commit::hash_all(files, self.0.folder.uploads()).await?;
        let refs: Vec<_> = hashed.iter().map(|it| plain(it.stored, FileLabel::default())).collect();
        let stored = hashed.iter().map(|it| it.stored).collect();
        let holder = *holder;
        let record = move |store: Store| async move {
            Ok(store.keep_files(&refs, &holder, None, clock::now()).await?)
        };
        self.commit(hashed, record).await?;
        Ok(stored)
    }

    /// Holds files that are in the store, until this time; `None` means until they are released.
    ///
    /// # Errors
    /// [`FilesError::Missing`] with the digests that are not there; none is held then.
    pub async fn hold(
        &self,
        digests: &[FileDigest],
        holder: &Holder,
        until: Option<DateTime<Utc>>,
    ) -> Result<(), FilesError> {
        let missing = self.0.store.hold_files(digests, holder, until, clock::now()).await?;
        if missing.is_empty() { Ok(()) } else { Err(FilesError::Missing(missing)) }
    }

    /// Releases all files of a holder.
    ///
    /// # Errors
    /// [`FilesError::Store`].
    pub async fn release(&self, holder: &Holder) -> Result<(), FilesError> {
        Ok(self.0.store.release_files(holder, clock::now()).await?)
    }

    /// Makes each file appear at its path, which must not exist: as a hard link, else as a clone
    /// that shares its blocks, else as a copy. It is read-only. Returns how many bytes were
    /// copied. The caller holds the files.
    ///
    /// # Errors
    /// [`FilesError`]; some may be there then.
    pub async fn link_all(&self, files: &[(FileDigest, PathBuf)]) -> Result<u64, FilesError> {
        let objects: Vec<_> =
            files.iter().map(|(digest, to)| (self.0.folder.object(*digest), to.clone())).collect();
        let digests = files.iter().map(|(digest, _)| *digest).collect();
        link::link_all(objects, digests).await
    }

    /// Opens a file. The caller holds it, or can do with an error while it reads.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn open(&self, digest: FileDigest) -> Result<Option<OpenFile>, FilesError> {
        let Some(bytes) = self.0.store.file_bytes(digest).await? else { return Ok(None) };
        match read::open(self.0.folder.object(digest)).await? {
            Some(open) if open.bytes != bytes => {
                let source = io::Error::other(format!("{digest} has lost bytes"));
                Err(FilesError::Io { doing: "opening a file", source })
            }
            open => Ok(open),
        }
    }
}

/// Reference to a file that is no folder's manifest.
fn plain(stored: StoredFile, label: FileLabel) -> NewFileRef {
    NewFileRef {
        digest: stored.digest,
        bytes: stored.bytes,
        name: label.name,
        media_type: label.media_type,
        is_tree: false,
    }
}

//! The way of finished files into the store: hashing, and the steps 2 to 4 of [`super`].

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{OFlags, syncfs};
use sha2::{Digest, Sha256};

use super::folder::{Folder, passing, sync_folder};
use super::link::{READ_ONLY, appear};
use super::{Files, FilesError, StoredFile};
use crate::domain::file::FileDigest;
use crate::store::Store;

/// Files that are hashed at once.
const HASHED_AT_ONCE: usize = 2;

/// Bytes that are read at once to be hashed (1 MiB).
const PIECE: usize = 1024 * 1024;

/// Files beyond which the whole file system is made durable at once, instead of each of them.
const MANY: usize = 32;

/// Finished, durable file that is to come into the store.
#[derive(Debug)]
pub(super) struct Hashed {
    /// The path that goes when it is in.
    pub(super) path: PathBuf,
    /// Copy on the file system of the store, where the path is on another one.
    pub(super) copy: Option<PathBuf>,
    pub(super) stored: StoredFile,
}

/// Hashes files, makes them durable, and takes them from whoever wrote them.
pub(super) async fn hash_all(
    files: Vec<(PathBuf, Option<FileDigest>)>,
    uploads: &Path,
) -> Result<Vec<Hashed>, FilesError> {
    let uploads = uploads.to_owned();
    let hashing = tokio::task::spawn_blocking(move || {
        let is_single = files.len() <= MANY;
        let hashed =
            two_at_a_time(&files, |(path, known)| take_over(path, *known, &uploads, is_single))?;
        if !is_single {
            File::open(&uploads)
                .and_then(|folder| Ok(syncfs(folder)?))
                .map_err(FilesError::io("making files durable"))?;
        }
        Ok(hashed)
    });
    hashing.await.map_err(|_| FilesError::Stopped)?
}

/// Answers for all items in their order, two being worked on at once, or the first error.
fn two_at_a_time<T: Sync, A: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<A, FilesError> + Sync,
) -> Result<Vec<A>, FilesError> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = work(item)?;
            // The place of a slice's item is that of its address.
            let place = std::ptr::from_ref(item).addr();
            answers.lock().map_err(|_| FilesError::Stopped)?.push((place, answer));
        }
        Ok::<_, FilesError>(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..HASHED_AT_ONCE.min(items.len())).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|it| it.join().map_err(|_| FilesError::Stopped)?)
    })?;
    let mut answers = answers.into_inner().map_err(|_| FilesError::Stopped)?;
    answers.sort_by_key(|(place, _)| *place);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// Hashes a file, and makes it the server's own and read-only.
fn take_over(
    path: &Path,
    known: Option<FileDigest>,
    uploads: &Path,
    is_synced: bool,
) -> Result<Hashed, FilesError> {
    let failed = FilesError::io("taking over a file");
    let (file, found) = open_plain(path)?;
    let is_elsewhere = fs::metadata(uploads).map_err(&failed)?.dev() != found.dev();
    if is_elsewhere {
        let copy = passing(uploads);
        let copied = copied(path, &copy, known);
        if copied.is_err() {
            // It may not be there at all.
            let _ = fs::remove_file(&copy);
        }
        return copied;
    }
    let stored = std::thread::scope(|scope| {
        let syncing = scope.spawn(|| if is_synced { file.sync_all() } else { Ok(()) });
        let stored = match known {
            Some(digest) => StoredFile { digest, bytes: found.len() },
            None => hash(&file).map_err(&failed)?,
        };
        let synced = syncing.join().map_err(|_| FilesError::Stopped)?;
        synced.map_err(FilesError::io("making a file durable"))?;
        Ok::<_, FilesError>(stored)
    })?;
    let now = file.metadata().map_err(&failed)?;
    if stored.bytes != found.len() || !is_same(&found, &now) {
        return Err(FilesError::NotAFile(path.to_owned()));
    }
    own(&file, &now).map_err(&failed)?;
    Ok(Hashed { path: path.to_owned(), copy: None, stored })
}

/// Opens a plain file, without waiting for what is none.
fn open_plain(path: &Path) -> Result<(File, Metadata), FilesError> {
    let failed = FilesError::io("opening a file that is to be taken over");
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| {
        // Of a link (open(2), O_NOFOLLOW).
        let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        if is_link { FilesError::NotAFile(path.to_owned()) } else { failed(error) }
    })?;
    let found = file.metadata().map_err(&failed)?;
    match found.is_file() {
        true => Ok((file, found)),
        false => Err(FilesError::NotAFile(path.to_owned())),
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.len(), one.mtime(), one.mtime_nsec()) == (other.len(), other.mtime(), other.mtime_nsec())
}

/// Copies a file of another file system, and hashes the copy.
fn copied(from: &Path, copy: &Path, known: Option<FileDigest>) -> Result<Hashed, FilesError> {
    let failed = FilesError::io("copying a file");
    appear(from, copy).map_err(&failed)?;
    let file = File::open(copy).map_err(&failed)?;
    let stored = hash(&file).map_err(&failed)?;
    file.sync_all().map_err(FilesError::io("making a file durable"))?;
    match known {
        Some(expected) if expected != stored.digest => {
            Err(FilesError::Mismatch { expected, found: stored.digest })
        }
        _ => Ok(Hashed { path: from.to_owned(), copy: Some(copy.to_owned()), stored }),
    }
}

/// Digest and size of a file, from its beginning.
pub(super) fn hash(mut file: &File) -> io::Result<StoredFile> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(StoredFile { digest: FileDigest::new(hasher.finalize().into()), bytes });
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
}

/// Makes a file the server's own and read-only. A server without privileges leaves a sandbox's
/// file as it is: the folder of the store is closed to everybody else, and sandboxes see its
/// files through mounts that can't be written to.
fn own(file: &File, found: &Metadata) -> io::Result<()> {
    let me = rustix::process::geteuid();
    if found.uid() != me.as_raw() {
        if !me.is_root() {
            return Ok(());
        }
        fchown(file, Some(me.as_raw()), Some(rustix::process::getegid().as_raw()))?;
    }
    file.set_permissions(Permissions::from_mode(READ_ONLY))
}

impl Files {
    /// Gives finished files their names in the store, records them, and removes their first
    /// names. It runs to its end, whoever stops waiting for it.
    pub(super) async fn commit<R, F>(
        &self,
        hashed: Vec<Hashed>,
        record: R,
    ) -> Result<(), FilesError>
    where
        R: FnOnce(Store) -> F + Send + 'static,
        F: Future<Output = Result<(), FilesError>> + Send,
    {
        let files = self.clone();
        let committing = tokio::spawn(async move {
            let _gate = files.0.gate.read().await;
            let inner = std::sync::Arc::clone(&files.0);
            let hashed = on_blocking(move || place_all(&inner.folder, hashed)).await?;
            record(files.0.store.clone()).await?;
            on_blocking(move || {
                remove_all(&hashed);
                Ok(())
            })
            .await
        });
        committing.await.map_err(|_| FilesError::Stopped)?
    }
}

/// Runs work that blocks.
pub(super) async fn on_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| FilesError::Stopped)?
}

/// Gives files their names in the store, and makes the names durable.
fn place_all(folder: &Folder, hashed: Vec<Hashed>) -> Result<Vec<Hashed>, FilesError> {
    let failed = FilesError::io("moving a file into the store");
    let mut shards = BTreeSet::new();
    for file in &hashed {
        let object = folder.object(file.stored.digest);
        place(file, &object, folder.uploads()).map_err(&failed)?;
        shards.extend(object.parent().map(Path::to_owned));
    }
    match shards.len() > MANY {
        true => File::open(folder.root()).and_then(|root| Ok(syncfs(root)?)).map_err(&failed)?,
        false => shards.iter().try_for_each(|shard| sync_folder(shard)).map_err(&failed)?,
    }
    Ok(hashed)
}

fn place(file: &Hashed, object: &Path, uploads: &Path) -> io::Result<()> {
    let from = file.copy.as_ref().unwrap_or(&file.path);
    match fs::symlink_metadata(object) {
        Ok(there) if there.is_file() && there.len() == file.stored.bytes => return Ok(()),
        // It has lost bytes since it was stored: here they are again.
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match fs::hard_link(from, object) {
                // Somebody else brings the same.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
                Ok(()) => return Ok(()),
                Err(_) => {}
            }
        }
        Err(error) => return Err(error),
    }
    let whole = passing(uploads);
    appear(from, &whole)?;
    File::open(&whole)?.sync_all()?;
    fs::rename(&whole, object)
}

/// Removes the first names of files. One that stays takes no room of its own, and a restart
/// removes it, if it is the store's.
fn remove_all(hashed: &[Hashed]) {
    for path in hashed.iter().flat_map(|file| file.copy.iter().chain([&file.path])) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a file is in the store, and its first name stays");
            }
            _ => {}
        }
    }
}

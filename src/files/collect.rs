//! Collection of files that nobody holds any longer.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::commit::on_blocking;
use super::{Files, FilesError};
use crate::clock;
use crate::domain::error_chain::chain;
use crate::domain::file::FileDigest;

/// Pause between two collections.
const PERIOD: Duration = Duration::from_secs(600);

/// Collections between two sweeps of the folder: once in a day.
const SWEEP_EVERY: u32 = 144;

/// Files that go at once: what comes in waits for no more.
const BATCH: u32 = 2_000;

/// Counts of a collection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// References that had expired.
    pub expired: u64,
    /// Files that were removed.
    pub files: u64,
}

impl Files {
    /// Collects now and then, until `stopping` ends.
    pub async fn collect_until(self, stopping: impl Future<Output = ()>) {
        let mut stopping = std::pin::pin!(stopping);
        for run in 0_u32.. {
            tokio::select! {
                () = self.collect_and_log(run % SWEEP_EVERY == 0) => {}
                () = stopping.as_mut() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = stopping.as_mut() => return,
            }
        }
    }

    async fn collect_and_log(&self, is_swept: bool) {
        match self.collect().await {
            Ok(Collected { expired: 0, files: 0 }) => {}
            Ok(Collected { expired, files }) => {
                tracing::info!(expired, files, "files that nobody holds are removed");
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "files that nobody holds stay for now");
            }
        }
        if is_swept {
            match self.sweep().await {
                Ok(0) => {}
                Ok(files) => tracing::info!(files, "files without a row are removed"),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "files without a row stay for now");
                }
            }
        }
    }

    /// Removes references that have expired, and files that nobody has held or used for the
    /// grace.
    ///
    /// # Errors
    /// [`FilesError`]; some may be removed.
    pub async fn collect(&self) -> Result<Collected, FilesError> {
        let now = clock::now();
        self.remove_expired_uploads(now).await?;
        let expired = self.0.store.delete_expired_refs(now).await?;
        let before = self.before(now);
        let mut files = 0;
        loop {
            // Files of a folder that goes are only then held by nobody.
            match self.collect_unheld(before).await? {
                0 => return Ok(Collected { expired, files }),
                removed => files += removed,
            }
        }
    }

    async fn collect_unheld(&self, before: DateTime<Utc>) -> Result<u64, FilesError> {
        let (mut files, mut last) = (0, None);
        loop {
            let page = self.0.store.unheld_files(before, last.as_ref(), BATCH).await?;
            let digests: Vec<_> = page.iter().map(|it| it.digest).collect();
            last = page.into_iter().next_back();
            if last.is_none() {
                return Ok(files);
            }
            files += self.remove_unheld(digests, before).await?;
        }
    }

    /// Removes these files, unless somebody holds them by now. Nothing comes in meanwhile.
    async fn remove_unheld(
        &self,
        digests: Vec<FileDigest>,
        before: DateTime<Utc>,
    ) -> Result<u64, FilesError> {
        let files = self.clone();
        let removing = tokio::spawn(async move {
            let _gate = files.0.gate.write().await;
            let gone = files.0.store.delete_unheld(&digests, before).await?;
            let paths: Vec<_> = gone.iter().map(|it| files.0.folder.object(*it)).collect();
            on_blocking(move || remove(&paths)).await
        });
        removing.await.map_err(|_| FilesError::Stopped)?
    }

    /// Removes files below the folder that have no row and are older than the grace: a process
    /// that ended left them.
    ///
    /// # Errors
    /// [`FilesError`]; some may be removed.
    pub async fn sweep(&self) -> Result<u64, FilesError> {
        let before = self.before(clock::now());
        let mut removed = self.sweep_uploads(before).await?;
        for shard in self.0.folder.shards() {
            let old: Vec<FileDigest> = on_blocking(move || older(&shard, before)).await?;
            let unknown = self.0.store.unknown_files(&old).await?;
            if !unknown.is_empty() {
                removed += self.remove_unknown(unknown).await?;
            }
        }
        Ok(removed)
    }

    /// Removes files of uploads that have no row and are older.
    async fn sweep_uploads(&self, before: DateTime<Utc>) -> Result<u64, FilesError> {
        let folder = self.0.folder.uploads().to_owned();
        let mut strays = Vec::new();
        for id in on_blocking(move || older::<Uuid>(&folder, before)).await? {
            if self.0.store.upload(id).await?.is_none() {
                strays.push(self.0.folder.upload(id));
            }
        }
        on_blocking(move || remove(&strays)).await
    }

    async fn remove_unknown(&self, digests: Vec<FileDigest>) -> Result<u64, FilesError> {
        let files = self.clone();
        let removing = tokio::spawn(async move {
            let _gate = files.0.gate.write().await;
            let unknown = files.0.store.unknown_files(&digests).await?;
            let paths: Vec<_> = unknown.iter().map(|it| files.0.folder.object(*it)).collect();
            on_blocking(move || remove(&paths)).await
        });
        removing.await.map_err(|_| FilesError::Stopped)?
    }

    /// Time before which a file must have been used last to be removed.
    fn before(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let grace = TimeDelta::from_std(self.0.grace).unwrap_or(TimeDelta::MAX);
        now.checked_sub_signed(grace).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

/// Removes files. One that stays is removed by the next sweep.
fn remove(paths: &[PathBuf]) -> Result<u64, FilesError> {
    let mut removed = 0;
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            gone => {
                gone.map_err(FilesError::io("removing a file"))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Names that files of a folder have.
trait Named: Sized {
    fn read(name: &str) -> Option<Self>;
}

impl Named for FileDigest {
    fn read(name: &str) -> Option<Self> {
        Self::from_hex(name).ok()
    }
}

impl Named for Uuid {
    fn read(name: &str) -> Option<Self> {
        Self::try_parse(name).ok()
    }
}

/// Files of a folder that have not changed since this time, by the time of their inodes: that of
/// their content may be anything.
fn older<N: Named>(folder: &Path, before: DateTime<Utc>) -> Result<Vec<N>, FilesError> {
    let failed = FilesError::io("looking through the store of files");
    let mut old = Vec::new();
    for entry in fs::read_dir(folder).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let name = entry.file_name();
        let Some(named) = name.to_str().and_then(N::read) else { continue };
        match entry.metadata() {
            Ok(found) if changed_at(&found) <= before => old.push(named),
            _ => {}
        }
    }
    Ok(old)
}

/// Time at which an inode changed.
fn changed_at(found: &fs::Metadata) -> DateTime<Utc> {
    let nanoseconds = u32::try_from(found.ctime_nsec()).unwrap_or_default();
    DateTime::from_timestamp(found.ctime(), nanoseconds).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

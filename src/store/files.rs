//! Files by content: their objects, and the references that keep them.
//!
//! Whoever adds a reference writes the object's `used_at` first, in the same transaction: the
//! row is locked by that, so that a collection ([`super::collection`]) either comes before,
//! and the object is missing, or finds it used a moment ago.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::connection::{in_transaction, on_reader, on_writer};
use super::listing::Page;
use super::rows::{Row, number, without_nul};
use super::{Store, StoreError};
use crate::domain::file::{FileDigest, Holder};

/// Most rows of one statement: SQLite allows 32,766 variables (sqlite.org, "Limits").
pub(super) const MAX_ROWS: usize = 2_000;

/// Attempts at a transaction that the database ended because of a deadlock.
const ATTEMPTS: usize = 3;

/// File with a reference to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFileRef {
    /// Digest of its bytes.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub bytes: u64,
    /// Name that the holder gave to it.
    pub name: Option<String>,
    /// Media type that the holder gave to it.
    pub media_type: Option<String>,
    /// The holder may see the files of the folder whose manifest it is.
    pub is_tree: bool,
}

/// Reference of a holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef {
    /// Digest of the file.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub bytes: u64,
    /// Name that the holder gave to it.
    pub name: Option<String>,
    /// Media type that the holder gave to it.
    pub media_type: Option<String>,
    /// The file is the manifest of a folder.
    pub is_tree: bool,
    /// Time of the reference.
    pub created_at: DateTime<Utc>,
    /// Time at which it expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Files and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct FileSum {
    /// Number of files.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
}

#[derive(FromRow)]
struct RefRow {
    digest: Vec<u8>,
    bytes: i64,
    name: Option<String>,
    media_type: Option<String>,
    is_tree: bool,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

impl RefRow {
    fn parse(self) -> Result<FileRef, StoreError> {
        let digest = digest("file_refs", &self.digest)?;
        let row = Row { table: "file_refs", id: &digest };
        Ok(FileRef {
            digest,
            bytes: row.count("bytes", self.bytes)?,
            name: self.name,
            media_type: self.media_type,
            is_tree: self.is_tree,
            created_at: self.created_at,
            expires_at: self.expires_at,
        })
    }
}

/// Digest of a row.
pub(super) fn digest(table: &'static str, bytes: &[u8]) -> Result<FileDigest, StoreError> {
    let impossible = || StoreError::impossible(table, "digest", hex::encode(bytes));
    FileDigest::from_bytes(bytes).ok_or_else(impossible)
}

/// Adds `column IN (…)` with digests to a query.
macro_rules! among_digests {
    ($query:ident, $column:literal, $digests:expr) => {{
        $query.push(concat!($column, " IN (NULL"));
        for digest in $digests {
            $query.push(", ").push_bind(digest.bytes().to_vec());
        }
        $query.push(")");
    }};
}
pub(super) use among_digests;

/// Part of a statement that keeps what a reference had before: the later end, and the name
/// where the new one has none.
pub(super) const MERGED: &str = " ON CONFLICT (digest, holder) DO UPDATE SET \
     name = COALESCE(excluded.name, file_refs.name), \
     media_type = COALESCE(excluded.media_type, file_refs.media_type), \
     is_tree = (file_refs.is_tree OR excluded.is_tree), \
     expires_at = CASE \
         WHEN file_refs.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL \
         WHEN excluded.expires_at > file_refs.expires_at THEN excluded.expires_at \
         ELSE file_refs.expires_at END";

/// Inserts objects, or notes that they are used.
macro_rules! insert_objects {
    ($files:expr, $now:expr, $tx:ident) => {
        for files in $files.chunks(MAX_ROWS) {
            let mut query =
                QueryBuilder::new("INSERT INTO objects (digest, bytes, created_at, used_at) ");
            query.push_values(files, |mut row, file| {
                row.push_bind(file.digest.bytes().to_vec());
                row.push_bind(number(file.bytes)).push_bind($now).push_bind($now);
            });
            query.push(" ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at");
            query.build().persistent(false).execute(&mut *$tx).await?;
        }
    };
}

/// Inserts references.
macro_rules! insert_refs {
    ($files:expr, $holder:expr, $until:expr, $now:expr, $tx:ident) => {
        for files in $files.chunks(MAX_ROWS) {
            let mut query = QueryBuilder::new(
                "INSERT INTO file_refs (digest, holder, bytes, name, media_type, is_tree, \
                 created_at, expires_at) ",
            );
            query.push_values(files, |mut row, file| {
                row.push_bind(file.digest.bytes().to_vec()).push_bind($holder.to_string());
                row.push_bind(number(file.bytes));
                row.push_bind(file.name.as_deref().map(|it| without_nul(it).into_owned()));
                row.push_bind(file.media_type.as_deref().map(|it| without_nul(it).into_owned()));
                row.push_bind(file.is_tree).push_bind($now).push_bind($until);
            });
            query.push(MERGED);
            query.build().persistent(false).execute(&mut *$tx).await?;
        }
    };
}
pub(super) use {insert_objects, insert_refs};

/// Each file once: a statement can't change one row twice.
pub(super) fn distinct(files: &[NewFileRef]) -> Vec<&NewFileRef> {
    let by_digest: BTreeMap<_, _> = files.iter().map(|file| (file.digest, file)).collect();
    by_digest.into_values().collect()
}

impl Store {
    /// Stores objects and a holder's references to them, until this time; `None` means for
    /// ever. A reference that is there already gets the later end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_files(
        &self,
        files: &[NewFileRef],
        holder: &Holder,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let files = distinct(files);
        if files.is_empty() {
            return Ok(());
        }
        with_attempts(|| self.keep_once(&files, holder, until, now)).await
    }

    async fn keep_once(
        &self,
        files: &[&NewFileRef],
        holder: &Holder,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        in_transaction!(self, tx => {
            insert_objects!(files, now, tx);
            insert_refs!(files, holder, until, now, tx);
        });
        Ok(())
    }

    /// Adds a holder's references to files that are there. Adds none if some are missing, and
    /// returns those.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hold_files(
        &self,
        digests: &[FileDigest],
        holder: &Holder,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<FileDigest>, StoreError> {
        let digests: Vec<_> =
            digests.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        with_attempts(|| self.hold_once(&digests, holder, until, now)).await
    }

    async fn hold_once(
        &self,
        digests: &[FileDigest],
        holder: &Holder,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<FileDigest>, StoreError> {
        let mut missing = Vec::new();
        in_transaction!(self, tx => {
            for digests in digests.chunks(MAX_ROWS) {
                let mut touch = QueryBuilder::new("UPDATE objects SET used_at = ");
                touch.push_bind(now);
                among_digests!(touch, " WHERE digest", digests);
                touch.push(" RETURNING digest");
                let found: Vec<Vec<u8>> =
                    touch.build_query_scalar().persistent(false).fetch_all(&mut *tx).await?;
                missing.extend(absent(digests, &found)?);
                let mut refer = QueryBuilder::new(
                    "INSERT INTO file_refs (digest, holder, bytes, is_tree, created_at, \
                     expires_at) SELECT o.digest, ",
                );
                refer.push_bind(holder.to_string()).push(", o.bytes, FALSE, ").push_bind(now);
                refer.push(", ").push_bind(until);
                among_digests!(refer, " FROM objects o WHERE o.digest", digests);
                refer.push(MERGED);
                refer.build().persistent(false).execute(&mut *tx).await?;
            }
            if !missing.is_empty() {
                // Without a commit, nothing of it stays.
                return Ok(missing);
            }
        });
        Ok(missing)
    }

    /// Removes all references of a holder. Files without any are collected later.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_files(
        &self,
        holder: &Holder,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const TOUCH: &str = "UPDATE objects SET used_at = $2 WHERE digest IN \
             (SELECT digest FROM file_refs WHERE holder = $1)";
        const DELETE: &str = "DELETE FROM file_refs WHERE holder = $1";
        let holder = holder.to_string();
        in_transaction!(self, tx => {
            sqlx::query(TOUCH).bind(&holder).bind(now).execute(&mut *tx).await?;
            sqlx::query(DELETE).bind(&holder).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Removes a holder's reference to one file. Returns false if it had none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_file(
        &self,
        digest: FileDigest,
        holder: &Holder,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const TOUCH: &str = "UPDATE objects SET used_at = $2 WHERE digest = $1";
        const DELETE: &str = "DELETE FROM file_refs WHERE digest = $1 AND holder = $2";
        let bytes = digest.bytes().to_vec();
        let holder = holder.to_string();
        Ok(in_transaction!(self, tx => {
            sqlx::query(TOUCH).bind(&bytes).bind(now).execute(&mut *tx).await?;
            let deleted = sqlx::query(DELETE).bind(&bytes).bind(&holder);
            deleted.execute(&mut *tx).await?.rows_affected() > 0
        }))
    }

    /// Size of a file in bytes; `None` if there is no such file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn file_bytes(&self, digest: FileDigest) -> Result<Option<u64>, StoreError> {
        const SELECT: &str = "SELECT bytes FROM objects WHERE digest = $1";
        let found: Option<i64> = on_reader!(self, pool => sqlx::query_scalar(SELECT)
            .bind(digest.bytes().to_vec())
            .fetch_optional(pool)
            .await)?;
        let row = Row { table: "objects", id: &digest };
        found.map(|bytes| row.count("bytes", bytes)).transpose()
    }

    /// A holder's reference to a file, unless it has expired.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn file_ref(
        &self,
        digest: FileDigest,
        holder: &Holder,
        now: DateTime<Utc>,
    ) -> Result<Option<FileRef>, StoreError> {
        const SELECT: &str = "SELECT digest, bytes, name, media_type, is_tree, created_at, \
             expires_at FROM file_refs WHERE digest = $1 AND holder = $2 \
             AND (expires_at IS NULL OR expires_at > $3)";
        let row: Option<RefRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(digest.bytes().to_vec())
            .bind(holder.to_string())
            .bind(now)
            .fetch_optional(pool)
            .await)?;
        row.map(RefRow::parse).transpose()
    }

    /// Files of a holder, the latest first, and their number and bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn files_of(
        &self,
        holder: &Holder,
        page: Page,
        now: DateTime<Utc>,
    ) -> Result<Vec<FileRef>, StoreError> {
        const SELECT: &str = "SELECT digest, bytes, name, media_type, is_tree, created_at, \
             expires_at FROM file_refs WHERE holder = $1 \
             AND (expires_at IS NULL OR expires_at > $2) \
             ORDER BY created_at DESC, digest DESC LIMIT $3 OFFSET $4";
        let rows: Vec<RefRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(holder.to_string())
            .bind(now)
            .bind(i64::from(page.limit))
            .bind(number(page.offset))
            .fetch_all(pool)
            .await)?;
        rows.into_iter().map(RefRow::parse).collect()
    }

    /// Number and bytes of a holder's files.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sum_of_files(
        &self,
        holder: &Holder,
        now: DateTime<Utc>,
    ) -> Result<FileSum, StoreError> {
        const SUM: &str = "SELECT count(*) AS files, \
             CAST(COALESCE(sum(bytes), 0) AS BIGINT) AS bytes FROM file_refs \
             WHERE holder = $1 AND (expires_at IS NULL OR expires_at > $2)";
        Ok(on_reader!(self, pool => sqlx::query_as(SUM)
            .bind(holder.to_string())
            .bind(now)
            .fetch_one(pool)
            .await)?)
    }

    /// Extends a holder's references to these files to at least this time, and notes that the
    /// files are used. Returns the digests that it has no reference to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew_files(
        &self,
        digests: &[FileDigest],
        holder: &Holder,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<FileDigest>, StoreError> {
        let mut missing = Vec::new();
        for digests in digests.chunks(MAX_ROWS) {
            let rows: Vec<(Vec<u8>, Option<DateTime<Utc>>)> = on_reader!(self, pool => {
                let mut query =
                    QueryBuilder::new("SELECT digest, expires_at FROM file_refs WHERE holder = ");
                query.push_bind(holder.to_string());
                query.push(" AND (expires_at IS NULL OR expires_at > ").push_bind(now);
                among_digests!(query, ") AND digest", digests);
                query.build_query_as().persistent(false).fetch_all(pool).await?
            });
            let is_short = |end: &Option<DateTime<Utc>>| end.is_some_and(|end| end < until);
            let (short, long): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|(_, end)| is_short(end));
            let short = short.iter().map(|(bytes, _)| digest("file_refs", bytes));
            let short = short.collect::<Result<Vec<_>, _>>()?;
            let mut found: Vec<_> = long.into_iter().map(|(bytes, _)| bytes).collect();
            found.extend(self.extend_refs(&short, holder, until).await?);
            missing.extend(absent(digests, &found)?);
        }
        Ok(missing)
    }

    /// Extends references to this time. Returns the digests of those that are still there.
    async fn extend_refs(
        &self,
        digests: &[FileDigest],
        holder: &Holder,
        until: DateTime<Utc>,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        Ok(on_writer!(self, pool => {
            let mut query = QueryBuilder::new("UPDATE file_refs SET expires_at = ");
            query.push_bind(until).push(" WHERE holder = ").push_bind(holder.to_string());
            among_digests!(query, " AND digest", digests);
            query.push(" RETURNING digest");
            query.build_query_scalar().persistent(false).fetch_all(pool).await?
        }))
    }
}

/// Digests that were not found.
pub(super) fn absent(
    wanted: &[FileDigest],
    found: &[Vec<u8>],
) -> Result<Vec<FileDigest>, StoreError> {
    let found: Result<BTreeSet<_>, _> = found.iter().map(|it| digest("objects", it)).collect();
    let found = found?;
    Ok(wanted.iter().filter(|digest| !found.contains(digest)).copied().collect())
}

/// Repeats a transaction that failed for a passing reason, such as a deadlock.
async fn with_attempts<T, F>(run: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..ATTEMPTS {
        match run().await {
            Err(error) if error.is_outage() => {}
            answer => return answer,
        }
    }
    run().await
}

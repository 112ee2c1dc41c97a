//! Collection of files that nobody holds, and the look at all of them.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::connection::{in_transaction, on_reader, on_writer};
use super::files::{FileSum, MAX_ROWS, among_digests, digest};
use super::{Store, StoreError};
use crate::domain::file::{FileDigest, Holder};

/// Most references that are deleted in one statement; others can write in between.
const MAX_EXPIRED: i64 = 1_000;

/// File that nobody held when it was found, with its place in the order of such files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheld {
    /// Digest of the file.
    pub digest: FileDigest,
    /// Time of its last use.
    pub used_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct UnheldRow {
    digest: Vec<u8>,
    used_at: DateTime<Utc>,
}

/// Object of a look at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectRow {
    /// Digest of the file.
    pub digest: FileDigest,
    /// Its size in bytes, as it was stored.
    pub bytes: u64,
}

/// Files that are kept for a token.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct TokenFiles {
    /// Id of the token.
    pub token_id: i64,
    /// Name of the token.
    pub name: String,
    /// Number of its files.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
}

#[derive(FromRow)]
struct SizeRow {
    digest: Vec<u8>,
    bytes: i64,
}

impl Store {
    /// Deletes references that have expired, some at a time. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_expired_refs(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        const DELETE: &str = "DELETE FROM file_refs WHERE (digest, holder) IN \
             (SELECT digest, holder FROM file_refs WHERE expires_at <= $1 \
              ORDER BY expires_at LIMIT $2)";
        let mut all = 0;
        loop {
            let deleted = on_writer!(self, pool => sqlx::query(DELETE)
                .bind(now)
                .bind(MAX_EXPIRED)
                .execute(pool)
                .await?
                .rows_affected());
            all += deleted;
            if deleted < MAX_EXPIRED.unsigned_abs() {
                return Ok(all);
            }
        }
    }

    /// Files that nobody holds and nobody has used since this time, after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unheld_files(
        &self,
        before: DateTime<Utc>,
        after: Option<&Unheld>,
        limit: u32,
    ) -> Result<Vec<Unheld>, StoreError> {
        const SELECT: &str = "SELECT o.digest, o.used_at FROM objects o WHERE o.used_at < $1 \
             AND ($2 IS NULL OR (o.used_at, o.digest) > ($2, $3)) \
             AND NOT EXISTS (SELECT 1 FROM file_refs r WHERE r.digest = o.digest) \
             ORDER BY o.used_at, o.digest LIMIT $4";
        let rows: Vec<UnheldRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(before)
            .bind(after.map(|it| it.used_at))
            .bind(after.map(|it| it.digest.bytes().to_vec()))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?;
        let parse = |row: UnheldRow| {
            Ok(Unheld { digest: digest("objects", &row.digest)?, used_at: row.used_at })
        };
        rows.into_iter().map(parse).collect()
    }

    /// Deletes the rows of those files that still nobody holds and nobody has used since this
    /// time, with the references that folders among them had. Returns their digests.
    ///
    /// # Errors
    /// [`StoreError`]; all rows are there then.
    pub async fn delete_unheld(
        &self,
        digests: &[FileDigest],
        before: DateTime<Utc>,
    ) -> Result<Vec<FileDigest>, StoreError> {
        let mut gone = Vec::new();
        for digests in digests.chunks(MAX_ROWS) {
            let deleted: Vec<Vec<u8>> = in_transaction!(self, tx => {
                let mut query = QueryBuilder::new("DELETE FROM objects WHERE used_at < ");
                query.push_bind(before);
                query.push(
                    " AND NOT EXISTS (SELECT 1 FROM file_refs r WHERE r.digest = objects.digest)",
                );
                among_digests!(query, " AND digest", digests);
                query.push(" RETURNING digest");
                let deleted: Vec<Vec<u8>> =
                    query.build_query_scalar().persistent(false).fetch_all(&mut *tx).await?;
                let mut refs = QueryBuilder::new("DELETE FROM file_refs WHERE holder IN (NULL");
                for bytes in &deleted {
                    let tree = digest("objects", bytes)?;
                    refs.push(", ").push_bind(Holder::Tree(tree).to_string());
                }
                refs.push(")");
                refs.build().persistent(false).execute(&mut *tx).await?;
                deleted
            });
            for bytes in deleted {
                gone.push(digest("objects", &bytes)?);
            }
        }
        Ok(gone)
    }

    /// Digests among these that have no row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unknown_files(
        &self,
        digests: &[FileDigest],
    ) -> Result<Vec<FileDigest>, StoreError> {
        let mut unknown = Vec::new();
        for digests in digests.chunks(MAX_ROWS) {
            let found: Vec<Vec<u8>> = on_reader!(self, pool => {
                let mut query = QueryBuilder::new("SELECT digest FROM objects");
                among_digests!(query, " WHERE digest", digests);
                query.build_query_scalar().persistent(false).fetch_all(pool).await?
            });
            let known: std::collections::HashSet<_> = found.iter().map(Vec::as_slice).collect();
            unknown.extend(digests.iter().filter(|it| !known.contains(it.bytes().as_slice())));
        }
        Ok(unknown)
    }

    /// Objects in the order of their digests, after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn objects_after(
        &self,
        after: Option<FileDigest>,
        limit: u32,
    ) -> Result<Vec<ObjectRow>, StoreError> {
        const SELECT: &str = "SELECT digest, bytes FROM objects \
             WHERE $1 IS NULL OR digest > $1 ORDER BY digest LIMIT $2";
        let rows: Vec<SizeRow> = on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(after.map(|it| it.bytes().to_vec()))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?;
        let parse = |row: SizeRow| {
            let found = digest("objects", &row.digest)?;
            let bytes = super::rows::Row { table: "objects", id: &found }.count("bytes", row.bytes);
            Ok(ObjectRow { digest: found, bytes: bytes? })
        };
        rows.into_iter().map(parse).collect()
    }

    /// Files of each token that has some, the greatest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn files_by_token(&self, limit: u32) -> Result<Vec<TokenFiles>, StoreError> {
        const SELECT: &str = "SELECT t.id AS token_id, t.name AS name, sums.files AS files, \
             sums.bytes AS bytes FROM tokens t JOIN \
             (SELECT holder, count(*) AS files, CAST(sum(bytes) AS BIGINT) AS bytes \
              FROM file_refs WHERE substr(holder, 1, 6) = 'token:' GROUP BY holder) sums \
             ON sums.holder = 'token:' || t.id ORDER BY sums.bytes DESC, t.id LIMIT $1";
        Ok(on_reader!(self, pool => sqlx::query_as(SELECT)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?)
    }

    /// Number and bytes of all objects.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sum_of_objects(&self) -> Result<FileSum, StoreError> {
        const SUM: &str = "SELECT count(*) AS files, \
             CAST(COALESCE(sum(bytes), 0) AS BIGINT) AS bytes FROM objects";
        Ok(on_reader!(self, pool => sqlx::query_as(SUM).fetch_one(pool).await)?)
    }
}

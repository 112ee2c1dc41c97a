//! Figures over all files: by script and job, the largest, those that nobody has used for
//! long, and those that are let go next. For people: each is one bounded list.

use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::connection::on_reader;
use super::files::digest;
use super::rows::Row;
use super::{Store, StoreError};
use crate::domain::file::FileDigest;

/// Files of a script's or a job's executions.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct OwnedFiles {
    /// Name of the script, or the job.
    pub name: String,
    /// Number of files.
    pub files: i64,
    /// Their bytes. Each file counts for each execution that left it.
    pub bytes: i64,
}

/// File in the store of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// Digest of its bytes.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub bytes: u64,
    /// One of the names that its holders gave to it.
    pub name: Option<String>,
    /// Number of its holders.
    pub holders: i64,
    /// Time at which it came.
    pub created_at: DateTime<Utc>,
    /// The last time that somebody brought it, asked for it, held it or let go of it.
    pub used_at: DateTime<Utc>,
}

/// Reference that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringFile {
    /// Digest of the file.
    pub digest: FileDigest,
    /// Its size in bytes.
    pub bytes: u64,
    /// Name that the holder gave to it.
    pub name: Option<String>,
    /// Holder, as text.
    pub holder: String,
    /// Time at which the holder lets go of it.
    pub expires_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct KnownRow {
    digest: Vec<u8>,
    bytes: i64,
    name: Option<String>,
    holders: i64,
    created_at: DateTime<Utc>,
    used_at: DateTime<Utc>,
}

impl KnownRow {
    fn parse(self) -> Result<KnownFile, StoreError> {
        let digest = digest("objects", &self.digest)?;
        let row = Row { table: "objects", id: &digest };
        Ok(KnownFile {
            digest,
            bytes: row.count("bytes", self.bytes)?,
            name: self.name,
            holders: self.holders,
            created_at: self.created_at,
            used_at: self.used_at,
        })
    }
}

#[derive(FromRow)]
struct ExpiringRow {
    digest: Vec<u8>,
    bytes: i64,
    name: Option<String>,
    holder: String,
    expires_at: DateTime<Utc>,
}

impl ExpiringRow {
    fn parse(self) -> Result<ExpiringFile, StoreError> {
        let digest = digest("file_refs", &self.digest)?;
        let row = Row { table: "file_refs", id: &digest };
        Ok(ExpiringFile {
            digest,
            bytes: row.count("bytes", self.bytes)?,
            name: self.name,
            holder: self.holder,
            expires_at: self.expires_at,
        })
    }
}

/// Statement for the files that come first in an order.
macro_rules! known_files {
    ($order:literal) => {
        concat!(
            "SELECT o.digest, o.bytes, o.created_at, o.used_at, \
             (SELECT min(r.name) FROM file_refs r WHERE r.digest = o.digest) AS name, \
             (SELECT count(*) FROM file_refs r WHERE r.digest = o.digest) AS holders \
             FROM (SELECT * FROM objects ORDER BY ",
            $order,
            ", digest LIMIT $1) AS o ORDER BY ",
            $order,
            ", o.digest"
        )
    };
}

/// Statement for the files of executions by something that they have.
macro_rules! owned_files {
    ($of:literal, $join:literal, $where:literal) => {
        concat!(
            "SELECT ",
            $of,
            " AS name, count(*) AS files, CAST(sum(a.bytes) AS BIGINT) AS bytes \
             FROM artifacts a JOIN executions e ON e.id = a.execution_id ",
            $join,
            " WHERE a.skipped IS NULL",
            $where,
            " GROUP BY ",
            $of,
            " ORDER BY bytes DESC, name LIMIT $1"
        )
    };
}

impl Store {
    /// Scripts whose executions have left most bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn files_by_script(&self, limit: u32) -> Result<Vec<OwnedFiles>, StoreError> {
        const SELECT: &str = owned_files!("s.name", "JOIN scripts s ON s.id = e.script_id", "");
        Ok(on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(i64::from(limit)).fetch_all(pool).await)?)
    }

    /// Jobs whose executions have left most bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn files_by_job(&self, limit: u32) -> Result<Vec<OwnedFiles>, StoreError> {
        const SELECT: &str = owned_files!("e.job_id", "", " AND e.job_id IS NOT NULL");
        Ok(on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(i64::from(limit)).fetch_all(pool).await)?)
    }

    /// Largest files.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn largest_files(&self, limit: u32) -> Result<Vec<KnownFile>, StoreError> {
        const SELECT: &str = known_files!("bytes DESC");
        let rows: Vec<KnownRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(i64::from(limit)).fetch_all(pool).await)?;
        rows.into_iter().map(KnownRow::parse).collect()
    }

    /// Files that nobody has used for the longest time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn longest_unused_files(&self, limit: u32) -> Result<Vec<KnownFile>, StoreError> {
        const SELECT: &str = known_files!("used_at");
        let rows: Vec<KnownRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(i64::from(limit)).fetch_all(pool).await)?;
        rows.into_iter().map(KnownRow::parse).collect()
    }

    /// References that end next.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expiring_files(&self, limit: u32) -> Result<Vec<ExpiringFile>, StoreError> {
        const SELECT: &str = "SELECT digest, bytes, name, holder, expires_at FROM file_refs \
             WHERE expires_at IS NOT NULL ORDER BY expires_at LIMIT $1";
        let rows: Vec<ExpiringRow> = on_reader!(self, pool =>
            sqlx::query_as(SELECT).bind(i64::from(limit)).fetch_all(pool).await)?;
        rows.into_iter().map(ExpiringRow::parse).collect()
    }
}

//! Uploads in parts.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::connection::{in_transaction, on_reader, on_writer};
use super::files::digest;
use super::rows::{Row, number, without_nul};
use super::{Store, StoreError};
use crate::domain::file::{FileDigest, UploadKeep};

/// Upload in parts, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: Uuid,
    /// Id of the token that it belongs to.
    pub token_id: i64,
    /// Bytes that it is to have, once the client has said it.
    pub length: Option<u64>,
    /// Bytes that survive a power failure.
    pub received: u64,
    /// The digest that it must have; once it is complete, the one that it has.
    pub digest: Option<FileDigest>,
    /// Name of the file.
    pub name: Option<String>,
    /// Media type of the file.
    pub media_type: Option<String>,
    /// Time for which the file is kept.
    pub keep: UploadKeep,
    /// The client's own words.
    pub metadata: String,
    /// Time at which it began.
    pub created_at: DateTime<Utc>,
    /// Time at which it is given up.
    pub expires_at: DateTime<Utc>,
    /// Time at which it was complete.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Unfinished uploads, and the bytes that they are to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct UploadSum {
    /// Number of uploads.
    pub uploads: i64,
    /// Bytes together.
    pub bytes: i64,
}

#[derive(FromRow)]
struct UploadRow {
    id: Uuid,
    token_id: i64,
    length: Option<i64>,
    received: i64,
    digest: Option<Vec<u8>>,
    name: Option<String>,
    media_type: Option<String>,
    keep: Option<String>,
    metadata: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
}

impl UploadRow {
    fn parse(self) -> Result<Upload, StoreError> {
        let row = Row { table: "uploads", id: &self.id };
        let keep = self.keep.as_deref().map(|it| row.word("keep", it)).transpose()?;
        Ok(Upload {
            token_id: self.token_id,
            length: self.length.map(|it| row.count("length", it)).transpose()?,
            received: row.count("received", self.received)?,
            digest: self.digest.as_deref().map(|it| digest("uploads", it)).transpose()?,
            keep: keep.unwrap_or_default(),
            id: self.id,
            name: self.name,
            media_type: self.media_type,
            metadata: self.metadata,
            created_at: self.created_at,
            expires_at: self.expires_at,
            completed_at: self.completed_at,
        })
    }
}

impl Store {
    /// Stores a new upload, unless its token has as many unfinished ones as it may have. Returns
    /// false then.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_upload(&self, upload: &Upload, most: u32) -> Result<bool, StoreError> {
        const COUNT: &str =
            "SELECT count(*) FROM uploads WHERE token_id = $1 AND completed_at IS NULL";
        const INSERT: &str = "INSERT INTO uploads (id, token_id, length, received, digest, name, \
             media_type, keep, metadata, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let storable =
            |text: &Option<String>| text.as_deref().map(|it| without_nul(it).into_owned());
        Ok(in_transaction!(self, tx => {
            let unfinished: i64 =
                sqlx::query_scalar(COUNT).bind(upload.token_id).fetch_one(&mut *tx).await?;
            let is_room = unfinished < i64::from(most);
            if is_room {
                sqlx::query(INSERT)
                    .bind(upload.id)
                    .bind(upload.token_id)
                    .bind(upload.length.map(number))
                    .bind(number(upload.received))
                    .bind(upload.digest.map(|it| it.bytes().to_vec()))
                    .bind(storable(&upload.name))
                    .bind(storable(&upload.media_type))
                    .bind(upload.keep.to_string())
                    .bind(without_nul(&upload.metadata).into_owned())
                    .bind(upload.created_at)
                    .bind(upload.expires_at)
                    .execute(&mut *tx)
                    .await?;
            }
            is_room
        }))
    }

    /// The upload with this id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn upload(&self, id: Uuid) -> Result<Option<Upload>, StoreError> {
        const SELECT: &str = "SELECT id, token_id, length, received, digest, name, media_type, \
             keep, metadata, created_at, expires_at, completed_at FROM uploads WHERE id = $1";
        let row: Option<UploadRow> =
            on_reader!(self, pool => sqlx::query_as(SELECT).bind(id).fetch_optional(pool).await)?;
        row.map(UploadRow::parse).transpose()
    }

    /// Stores how many bytes of an unfinished upload are durable, and its length if it is known
    /// now. Returns false if there is no such upload.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn advance_upload(
        &self,
        id: Uuid,
        received: u64,
        length: Option<u64>,
        expires_at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        const UPDATE: &str = "UPDATE uploads SET received = $2, length = COALESCE(length, $3), \
             expires_at = $4 WHERE id = $1 AND completed_at IS NULL";
        let updated = on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(id)
            .bind(number(received))
            .bind(length.map(number))
            .bind(expires_at)
            .execute(pool)
            .await?
            .rows_affected());
        Ok(updated > 0)
    }

    /// Notes that an upload is complete, and is the file with this digest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn complete_upload(
        &self,
        id: Uuid,
        found: FileDigest,
        received: u64,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE uploads SET completed_at = $2, digest = $3, received = $4 \
             WHERE id = $1 AND completed_at IS NULL";
        on_writer!(self, pool => sqlx::query(UPDATE)
            .bind(id)
            .bind(now)
            .bind(found.bytes().to_vec())
            .bind(number(received))
            .execute(pool)
            .await
            .map(|_| ()))?;
        Ok(())
    }

    /// Deletes an upload. Returns false if there was none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_upload(&self, id: Uuid) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM uploads WHERE id = $1";
        let deleted = on_writer!(self, pool => sqlx::query(DELETE)
            .bind(id)
            .execute(pool)
            .await?
            .rows_affected());
        Ok(deleted > 0)
    }

    /// Ids of uploads that were given up by this time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expired_uploads(
        &self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Uuid>, StoreError> {
        const SELECT: &str =
            "SELECT id FROM uploads WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2";
        Ok(on_reader!(self, pool => sqlx::query_scalar(SELECT)
            .bind(now)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await)?)
    }

    /// Unfinished uploads of a token, or of all, with the bytes that they are to have.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sum_of_uploads(&self, token_id: Option<i64>) -> Result<UploadSum, StoreError> {
        const SUM: &str = "SELECT count(*) AS uploads, \
             CAST(COALESCE(sum(COALESCE(length, received)), 0) AS BIGINT) AS bytes FROM uploads \
             WHERE completed_at IS NULL AND ($1 IS NULL OR token_id = $1)";
        Ok(on_reader!(self, pool =>
            sqlx::query_as(SUM).bind(token_id).fetch_one(pool).await)?)
    }
}

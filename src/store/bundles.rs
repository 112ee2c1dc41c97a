//! Manifests of bundles, by their digests. The files' bytes are not in the database.

use super::connection::on_reader;
use super::rows::Row;
use super::{Store, StoreError};
use crate::domain::bundle::Manifest;
use crate::domain::file::FileDigest;

/// Stores a manifest, unless it is stored already.
pub(super) const INSERT_BUNDLE: &str = "INSERT INTO bundles (digest, manifest, created_at) \
     VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";

impl Store {
    /// The bundle with this digest.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Impossible`] if it is missing, because every version of a
    /// bundle refers to a stored one.
    pub async fn bundle(&self, digest: FileDigest) -> Result<Manifest, StoreError> {
        let found = self.find_bundle(digest).await?;
        found.ok_or_else(|| StoreError::impossible("bundles", "manifest", digest.to_string()))
    }

    /// The bundle with this digest, if it is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_bundle(&self, digest: FileDigest) -> Result<Option<Manifest>, StoreError> {
        const SELECT: &str = "SELECT manifest FROM bundles WHERE digest = $1";
        let digest = digest.to_string();
        let found: Option<String> = on_reader!(self, pool =>
            sqlx::query_scalar(SELECT).bind(&digest).fetch_optional(pool).await)?;
        let row = Row { table: "bundles", id: &digest };
        found.map(|text| row.word("manifest", &text)).transpose()
    }
}

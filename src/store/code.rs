//! Bytes of scripts, by their digest.

use super::connection::on_reader;
use super::rows::without_nul;
use super::{Store, StoreError};

/// Stores bytes, unless they are stored already.
pub(super) const INSERT_CODE: &str = "INSERT INTO script_code (digest, bytes, created_at) \
     VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";

impl Store {
    /// Bytes with this digest.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Impossible`] if they are missing, because every
    /// version refers to stored bytes.
    pub async fn code(&self, digest: &str) -> Result<Vec<u8>, StoreError> {
        const SELECT: &str = "SELECT bytes FROM script_code WHERE digest = $1";
        let found: Option<Vec<u8>> = on_reader!(self, pool =>
            sqlx::query_scalar(SELECT).bind(without_nul(digest)).fetch_optional(pool).await)?;
        found.ok_or_else(|| StoreError::impossible("script_code", "bytes", digest))
    }
}

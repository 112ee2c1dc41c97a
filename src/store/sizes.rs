//! Size of an execution, read before its content.

use uuid::Uuid;

use super::connection::on_reader;
use super::{Store, StoreError};

impl Store {
    /// Bytes of an execution's input, output, logs and frozen values, its files among them; 0 if it does not exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn execution_bytes(&self, id: Uuid) -> Result<u64, StoreError> {
        const SELECT: &str = "SELECT CAST(octet_length(input) AS BIGINT) \
             + octet_length(CAST(frozen AS TEXT)) \
             + COALESCE(octet_length(output), 0) + COALESCE(octet_length(stdout), 0) \
             + COALESCE(octet_length(stderr), 0) \
             FROM execution_payloads WHERE execution_id = $1";
        let bytes: Option<i64> = on_reader!(self, pool => sqlx::query_scalar(SELECT)
            .bind(id)
            .fetch_optional(pool)
            .await)?;
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default())
    }
}

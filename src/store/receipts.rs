//! Receipts of confinement, stored once per digest: a million executions share a handful.
//! Each process remembers which ones are stored, so that an execution's end costs no extra
//! write, and renews their time of use every hour. A receipt is removed once it was unused
//! for a day and no execution refers to it.

use chrono::{DateTime, TimeDelta, Utc};

use super::connection::{on_reader, on_writer};
use super::{Store, StoreError};
use crate::domain::confinement::SealedConfinement;

/// Time after which an unreferenced receipt is removed; much longer than a written one
/// counts as stored ([`super::known_receipts`]), because clocks disagree.
const UNUSED_FOR: TimeDelta = TimeDelta::days(1);

impl Store {
    /// Stores a receipt, unless it is known to be stored.
    pub(super) async fn store_receipt(
        &self,
        receipt: &SealedConfinement,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO sandbox_receipts (digest, receipt, used_at) \
             VALUES ($1, $2, $3) ON CONFLICT (digest) DO UPDATE SET used_at = $3";
        if self.receipts.has(receipt.digest()) {
            return Ok(());
        }
        on_writer!(self, pool => sqlx::query(INSERT)
            .bind(receipt.digest().as_slice())
            .bind(receipt.json())
            .bind(now)
            .execute(pool)
            .await
            .map(|_| ()))?;
        self.receipts.note(*receipt.digest());
        Ok(())
    }

    /// Removes receipts that were unused for a day and that no execution refers to. Returns
    /// their number.
    ///
    /// # Errors
    /// [`StoreError`]; some may have been removed.
    pub async fn forget_receipts(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        // Searched outside the write transaction, because it reads all executions.
        const UNUSED: &str = "SELECT digest FROM sandbox_receipts WHERE used_at < $1 \
             AND digest NOT IN (SELECT receipt FROM executions WHERE receipt IS NOT NULL)";
        const DELETE: &str = "DELETE FROM sandbox_receipts WHERE digest = $1 AND used_at < $2";
        let before = now - UNUSED_FOR;
        let unused: Vec<Vec<u8>> = on_reader!(self, pool =>
            sqlx::query_scalar(UNUSED).bind(before).fetch_all(pool).await)?;
        let mut removed = 0;
        for digest in unused {
            removed += on_writer!(self, pool => sqlx::query(DELETE)
                .bind(digest.as_slice())
                .bind(before)
                .execute(pool)
                .await
                .map(|it| it.rows_affected()))?;
        }
        Ok(removed)
    }
}

//! How sandboxes were confined, by the digest of it: a million executions have a
//! handful of receipts. Each process knows which are stored, so that an end costs
//! nothing more; it says anew every hour that they are in use, and what nobody has
//! used for a day and no execution refers to is removed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::connection::{on_reader, on_writer};
use super::{Store, StoreError};
use crate::domain::confinement::SealedConfinement;

/// How long what was written is taken for stored.
const TRUSTED_FOR: Duration = Duration::from_secs(3600);

/// How long a receipt is kept that no execution refers to: longer by far than
/// [`TRUSTED_FOR`], on clocks that do not agree.
const UNUSED_FOR: TimeDelta = TimeDelta::days(1);

/// Receipts that a process remembers; beyond it all are written anew.
const MAX_KNOWN: usize = 10_000;

/// The receipts that are stored, as far as this process knows.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownReceipts {
    written: Arc<Mutex<HashMap<[u8; 32], Instant>>>,
}

impl KnownReceipts {
    fn has(&self, digest: &[u8; 32]) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(digest).is_some_and(|at| at.elapsed() < TRUSTED_FOR)
    }

    fn note(&self, digest: [u8; 32]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() >= MAX_KNOWN {
            written.clear();
        }
        written.insert(digest, Instant::now());
    }
}

impl Store {
    /// Sees to it that a receipt is stored.
    pub(super) async fn keep_receipt(
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

    /// Removes receipts that no execution refers to, and none has had for a day.
    /// Answers how many.
    ///
    /// # Errors
    /// [`StoreError`]; some of them may be removed then.
    pub async fn forget_receipts(&self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        // Looks at all executions, and so not while others wait to write.
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

//! Receipts that a process knows to be stored, so that it writes none twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time for which a written receipt counts as stored.
const TRUSTED_FOR: Duration = Duration::from_secs(3600);

/// Most receipts that a process remembers; beyond it, all are written again.
const MAX_KNOWN: usize = 10_000;

/// Receipts that this process knows to be stored.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownReceipts {
    written: Arc<Mutex<HashMap<[u8; 32], Instant>>>,
}

impl KnownReceipts {
    /// True if a receipt was written lately.
    pub(super) fn has(&self, digest: &[u8; 32]) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(digest).is_some_and(|at| at.elapsed() < TRUSTED_FOR)
    }

    /// Records that a receipt is stored.
    pub(super) fn note(&self, digest: [u8; 32]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() >= MAX_KNOWN {
            written.clear();
        }
        written.insert(digest, Instant::now());
    }
}

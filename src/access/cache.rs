//! Short-lived cache of tokens. It must never return a token that was revoked here: an
//! entry that was read before a revocation is dropped after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::domain::token::{Token, TokenHash};

/// Time for which a cached token is trusted.
pub const TTL: Duration = Duration::from_secs(1);

/// Most cached tokens.
const MAX_TOKENS: usize = 1_000;

/// Precision of a token's last use.
const USE_EVERY: chrono::Duration = chrono::Duration::minutes(1);

/// Cached tokens.
#[derive(Default)]
pub(super) struct Cache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tokens: HashMap<[u8; 32], Entry>,
    /// Time at which the last use of each token was stored, by token id.
    uses: HashMap<i64, DateTime<Utc>>,
    /// Incremented by every revocation.
    generation: u64,
}

struct Entry {
    token: Arc<Token>,
    /// Time of the look-up; `None` once the entry is no longer trusted.
    read_at: Option<Instant>,
}

impl Entry {
    fn is_fresh(&self) -> bool {
        self.read_at.is_some_and(|at| at.elapsed() < TTL)
    }
}

impl Cache {
    /// Token with this hash, if it was read within [`TTL`]. The key is a SHA-256, so the
    /// time of the look-up reveals nothing from which a token can be computed.
    pub(super) fn find(&self, hash: &TokenHash) -> Option<Arc<Token>> {
        let inner = self.lock();
        let entry = inner.tokens.get(&hash.0)?;
        entry.is_fresh().then(|| Arc::clone(&entry.token))
    }

    /// True if the token with this hash was valid at its last look-up.
    pub(super) fn knows(&self, hash: &TokenHash) -> bool {
        self.lock().tokens.contains_key(&hash.0)
    }

    /// Number of revocations, to be read before a look-up and passed to [`Self::insert`].
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Caches a token, unless one was revoked since `generation`.
    pub(super) fn insert(&self, hash: TokenHash, token: &Arc<Token>, generation: u64) {
        let mut inner = self.lock();
        if inner.generation != generation {
            return;
        }
        if inner.tokens.len() >= MAX_TOKENS {
            inner.tokens.retain(|_, entry| entry.is_fresh());
        }
        if inner.tokens.len() < MAX_TOKENS {
            let entry = Entry { token: Arc::clone(token), read_at: Some(Instant::now()) };
            inner.tokens.insert(hash.0, entry);
        }
    }

    /// Distrusts all cached tokens: each is looked up again.
    pub(super) fn invalidate_all(&self) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.tokens.values_mut().for_each(|entry| entry.read_at = None);
    }

    /// Removes a token that is not valid.
    pub(super) fn remove(&self, hash: &TokenHash) {
        self.lock().tokens.remove(&hash.0);
    }

    /// True if the use of a token must be stored now; marks it as stored.
    pub(super) fn is_use_due(&self, token: &Token, now: DateTime<Utc>) -> bool {
        let is_old = |at: &DateTime<Utc>| now.signed_duration_since(*at) >= USE_EVERY;
        if !token.last_used_at.as_ref().is_none_or(is_old) {
            return false;
        }
        let mut inner = self.lock();
        if !inner.uses.get(&token.id).is_none_or(is_old) {
            return false;
        }
        if inner.uses.len() >= MAX_TOKENS {
            inner.uses.retain(|_, at| !is_old(at));
        }
        // Beyond this number per minute, some uses are stored more often.
        if inner.uses.len() < MAX_TOKENS {
            inner.uses.insert(token.id, now);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

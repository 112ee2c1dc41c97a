//! Tokens that were just seen, for a moment. It must never bring back one that
//! was revoked here: what was read before a revocation is not kept after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::domain::token::{Token, TokenHash};

/// How long a token is believed without another look at the database.
pub const TTL: Duration = Duration::from_secs(1);

/// Most tokens that are kept.
const MAX_TOKENS: usize = 1_000;

/// How exact the last use of a token is known.
const USE_EVERY: chrono::Duration = chrono::Duration::minutes(1);

/// Tokens that were just seen.
#[derive(Default)]
pub(super) struct Cache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tokens: HashMap<[u8; 32], Entry>,
    /// When the use of a token was last noted, by its id.
    uses: HashMap<i64, DateTime<Utc>>,
    /// Grows with every revocation.
    generation: u64,
}

struct Entry {
    token: Arc<Token>,
    /// None when it is not to be believed any more.
    read_at: Option<Instant>,
}

impl Entry {
    fn is_fresh(&self) -> bool {
        self.read_at.is_some_and(|at| at.elapsed() < TTL)
    }
}

impl Cache {
    /// The token with this hash, if it was read within [`TTL`]. The key is a
    /// SHA-256, so how long the look takes tells nothing that a token can be
    /// made of.
    pub(super) fn find(&self, hash: &TokenHash) -> Option<Arc<Token>> {
        let inner = self.lock();
        let entry = inner.tokens.get(&hash.0)?;
        entry.is_fresh().then(|| Arc::clone(&entry.token))
    }

    /// Whether the token with this hash worked when it was last looked at.
    pub(super) fn has_seen(&self, hash: &TokenHash) -> bool {
        self.lock().tokens.contains_key(&hash.0)
    }

    /// To be asked before the database is, and handed to [`Self::keep`].
    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// Keeps a token, unless one was revoked since `generation`.
    pub(super) fn keep(&self, hash: TokenHash, token: &Arc<Token>, generation: u64) {
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

    /// Believes no token any more, without another look.
    pub(super) fn doubt_all(&self) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.tokens.values_mut().for_each(|entry| entry.read_at = None);
    }

    /// Forgets a token that does not work.
    pub(super) fn forget(&self, hash: &TokenHash) {
        self.lock().tokens.remove(&hash.0);
    }

    /// Whether the use of a token is to be noted now; it is taken to be, then.
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
        // With more than that in a minute, some uses are noted more often.
        if inner.uses.len() < MAX_TOKENS {
            inner.uses.insert(token.id, now);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

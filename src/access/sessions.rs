//! Sessions of signed-in browsers. A session has its own secret, stored in a cookie; the
//! token is sent only once, to begin it. It ends with that token, at sign-out, and after
//! [`LIFETIME`] in any case.

use std::sync::Arc;

use chrono::TimeDelta;
use subtle::ConstantTimeEq;

use super::{Access, AccessError, MAX_TOKEN_BYTES, new_secret};
use crate::clock;
use crate::domain::token::{Token, TokenHash};
use crate::store::NewSession;

/// Longest duration of a session: a day's work.
pub const LIFETIME: TimeDelta = TimeDelta::hours(12);

impl Access {
    /// Begins a session for the owner of a token. Returns the session's secret.
    ///
    /// # Errors
    /// As [`Access::verify`].
    pub async fn sign_in(&self, presented: &str) -> Result<String, AccessError> {
        let token = self.verify(presented).await?;
        let secret = new_secret()?;
        let created_at = clock::now();
        let session = NewSession {
            hash: TokenHash::of(&secret),
            token_id: token.id,
            created_at,
            expires_at: created_at + LIFETIME,
        };
        self.store.insert_session(&session).await?;
        tracing::info!(token = token.name, "a browser signed in");
        Ok(secret)
    }

    /// Token of the session with this secret, if both are valid now.
    ///
    /// # Errors
    /// As [`Access::verify`].
    pub async fn session(&self, secret: &str) -> Result<Arc<Token>, AccessError> {
        if secret.len() > MAX_TOKEN_BYTES {
            return Err(AccessError::Unknown);
        }
        let hash = TokenHash::of(secret);
        let token = match self.sessions.find(&hash) {
            Some(token) => token,
            None if self.sessions.knows(&hash) => self.look_for_session(&hash).await?,
            None => {
                let _permit = self.lookup_permit().await?;
                self.look_for_session(&hash).await?
            }
        };
        let now = clock::now();
        if !token.is_valid_at(now) {
            return Err(AccessError::Unknown);
        }
        self.record_use(&token, now);
        Ok(token)
    }

    async fn look_for_session(&self, hash: &TokenHash) -> Result<Arc<Token>, AccessError> {
        let generation = self.sessions.generation();
        let found = self.store.session_selected(&hash.selector()).await?;
        let kept = found.as_ref().map_or(TokenHash([0; 32]), |session| session.hash);
        let is_equal = bool::from(kept.0.ct_eq(&hash.0));
        let lasting = |end| clock::now() < end;
        let token_id = found.filter(|it| is_equal && lasting(it.expires_at)).map(|it| it.token_id);
        let token = match token_id {
            Some(id) => self.store.token(id).await?,
            None => None,
        };
        let Some(token) = token.map(Arc::new) else {
            self.sessions.remove(hash);
            return Err(AccessError::Unknown);
        };
        self.sessions.insert(*hash, &token, generation);
        Ok(token)
    }

    /// Ends a session, at once here, and within [`super::TTL`] in other processes.
    ///
    /// # Errors
    /// [`AccessError::Store`].
    pub async fn sign_out(&self, secret: &str) -> Result<(), AccessError> {
        let hash = TokenHash::of(secret);
        let ended = self.store.delete_session(&hash.selector()).await;
        // On an error, too: the session may have ended although the answer was lost.
        self.sessions.invalidate_all();
        Ok(ended?)
    }
}

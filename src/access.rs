//! Access: creates, verifies and revokes tokens.
//!
//! A token is shown once, at its creation; only its SHA-256 is stored. It is looked up by
//! the first half of that hash and compared by all of it in constant time; an unknown token
//! costs the same comparison. Tokens are cached in memory for [`TTL`], so that a busy
//! caller does not cause a database query per request. A revocation takes effect at once in
//! this process, and within that time in others. Long requests end soon after their token
//! does ([`Access::until_expired`]). Few look-ups of unknown tokens run at a time, so that
//! invented tokens do not keep callers with valid ones from the database.
//!
//! Browsers sign in with a token and get a session ([`sessions`]).
//!
//! The rights of a token are its [`Role`]; callers decide the rights that a route needs.

mod cache;
mod environment;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::json;
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock;
use crate::domain::sanitize::sanitize;
use crate::domain::share::ShareGrants;
use crate::domain::token::{Role, Token, TokenHash};
use crate::store::{NewAuditEntry, NewToken, Store, StoreError};
use cache::Cache;

pub use cache::TTL;
pub use environment::{MIN_TOKEN_CHARS, TokenStrength, check_admin_token};
pub use sessions::LIFETIME as SESSION_LIFETIME;

/// Prefix of every token, so that people and scanners recognize one.
pub const PREFIX: &str = "gantry_";

/// Longest name of a token, in bytes.
pub const MAX_NAME_BYTES: usize = 100;

/// Most scripts that a token is limited to.
pub const MAX_SCOPE: usize = 1_000;

/// Longest token that is looked up, in bytes.
const MAX_TOKEN_BYTES: usize = 512;

/// Random bytes of a token: 256 bits.
const TOKEN_BYTES: usize = 32;

/// Interval at which the token of a long request is checked again.
const RECHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Most concurrent database look-ups of unknown tokens. Invented tokens share these;
/// callers with a known token have all other connections.
const MAX_UNKNOWN_LOOKUPS: usize = 2;

/// Longest wait for such a look-up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// Reason why access is refused, or a token is not created.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The token is unknown, revoked or expired; callers are not told which.
    #[error("the token is not valid")]
    Unknown,
    /// Too many unknown tokens arrive at once for a look-up of this one.
    #[error("too many unknown tokens are being checked")]
    TooManyUnknown,
    /// The name is invalid.
    #[error("name {0:?} is not 1 to {MAX_NAME_BYTES} printable characters")]
    Name(String),
    /// A token that is not revoked has this name.
    #[error("there is a token named {0:?} already")]
    NameConflict(String),
    /// The expiry is in the past.
    #[error("expires_at is not in the future")]
    Expired,
    /// The role is not limited to scripts: only runners are.
    #[error(
        "scripts: a token of role {0} can't be limited to scripts, only one of role runner can"
    )]
    Scope(Role),
    /// The role has no grants: admins read every share, and others start nothing.
    #[error("shares: a token of role {0} has none of its own, only one of role runner has")]
    Shares(Role),
    /// The list of scripts is empty or too long.
    #[error("scripts: a token is limited to 1 to {MAX_SCOPE} scripts, not to {0}")]
    ScopeSize(usize),
    /// `GANTRY_ADMIN_TOKEN` is too short.
    #[error("GANTRY_ADMIN_TOKEN has {0} characters, it needs at least {MIN_TOKEN_CHARS}")]
    TooShort(usize),
    /// `GANTRY_ADMIN_TOKEN` repeats itself.
    #[error(
        "GANTRY_ADMIN_TOKEN is guessed within little time: it has too few characters, or \
         repeats them"
    )]
    Guessable,
    /// `GANTRY_ADMIN_TOKEN` can't be part of a header.
    #[error(
        "GANTRY_ADMIN_TOKEN has more than 512 characters, or some that are not printable ASCII"
    )]
    NotAToken,
    /// `GANTRY_ADMIN_TOKEN` was revoked, or is another token.
    #[error("GANTRY_ADMIN_TOKEN is the token {0:?}, which was revoked or has another use")]
    Unusable(String),
    /// The system provides no random bytes.
    #[error("the system provides no random bytes: {0}")]
    Random(getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccessError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown => Some("an admin can make another with `gantry token create`"),
            Self::TooManyUnknown => Some("try again in a moment"),
            Self::NameConflict(_) => Some("choose another name, or revoke that one"),
            Self::Expired => Some("leave expires_at out for a token that does not expire"),
            Self::Shares(Role::Admin) => Some("leave shares out: admins read every share"),
            Self::ScopeSize(0) => Some("leave scripts out for a token that is not limited"),
            Self::TooShort(_) | Self::Guessable | Self::NotAToken | Self::Unusable(_) => {
                Some("make one with: openssl rand -hex 32")
            }
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// Token to create.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Name for people, unique among tokens that are not revoked.
    pub name: String,
    /// Role.
    pub role: Role,
    /// Ids of the scripts that it is limited to; `None` means all.
    pub scope: Option<Vec<i64>>,
    /// Parts of the server's shares that it opens to its executions.
    pub shares: ShareGrants,
    /// Time at which it expires.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Token that was just created.
pub struct CreatedToken {
    /// Token id.
    pub id: i64,
    /// Secret of the token, which is shown once and never stored.
    pub secret: String,
}

/// Creates and verifies tokens.
#[derive(Clone)]
pub struct Access {
    store: Store,
    cache: Arc<Cache>,
    /// Tokens by the hashes of their sessions' secrets.
    sessions: Arc<Cache>,
    unknown_lookups: Arc<Semaphore>,
}

impl Access {
    /// Access to the tokens of a database.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let unknown_lookups = Arc::new(Semaphore::new(MAX_UNKNOWN_LOOKUPS));
        Self { store, cache: Arc::default(), sessions: Arc::default(), unknown_lookups }
    }

    /// Token with this text, if it is valid now.
    ///
    /// # Errors
    /// [`AccessError::Unknown`], [`AccessError::TooManyUnknown`] and [`AccessError::Store`].
    pub async fn verify(&self, presented: &str) -> Result<Arc<Token>, AccessError> {
        if presented.len() > MAX_TOKEN_BYTES {
            return Err(AccessError::Unknown);
        }
        let hash = TokenHash::of(presented);
        let token = match self.cache.find(&hash) {
            Some(token) => token,
            None if self.cache.knows(&hash) => self.look_up(&hash).await?,
            None => self.look_up_unknown(&hash).await?,
        };
        let now = clock::now();
        if !token.is_valid_at(now) {
            return Err(AccessError::Unknown);
        }
        self.record_use(&token, now);
        Ok(token)
    }

    /// Returns once a token is no longer valid, at most [`RECHECK_INTERVAL`] and [`TTL`] after
    /// its end. It counts as valid while the database does not answer.
    pub async fn until_expired(&self, token: Arc<Token>) {
        let mut token = token;
        while token.is_valid_at(clock::now()) {
            tokio::time::sleep(RECHECK_INTERVAL).await;
            token = match self.recheck(&token).await {
                Ok(token) => token,
                Err(AccessError::Store(error)) if error.is_outage() => token,
                Err(_) => return,
            };
        }
    }

    async fn recheck(&self, token: &Token) -> Result<Arc<Token>, AccessError> {
        match self.cache.find(&token.hash) {
            Some(token) => Ok(token),
            None => self.look_up(&token.hash).await,
        }
    }

    async fn look_up_unknown(&self, hash: &TokenHash) -> Result<Arc<Token>, AccessError> {
        let _permit = self.lookup_permit().await?;
        // Another request with this token may have looked it up during the wait.
        match self.cache.find(hash) {
            Some(token) => Ok(token),
            None => self.look_up(hash).await,
        }
    }

    async fn lookup_permit(&self) -> Result<SemaphorePermit<'_>, AccessError> {
        let waiting = tokio::time::timeout(LOOKUP_TIMEOUT, self.unknown_lookups.acquire());
        waiting.await.ok().and_then(Result::ok).ok_or(AccessError::TooManyUnknown)
    }

    async fn look_up(&self, hash: &TokenHash) -> Result<Arc<Token>, AccessError> {
        let generation = self.cache.generation();
        let found = self.store.token_selected(&hash.selector()).await?;
        // An unknown token is compared, too, with a hash that no token has.
        let kept = found.as_ref().map_or(TokenHash([0; 32]), |token| token.hash);
        let is_equal = bool::from(kept.0.ct_eq(&hash.0));
        let Some(token) = found.filter(|_| is_equal).map(Arc::new) else {
            self.cache.remove(hash);
            return Err(AccessError::Unknown);
        };
        self.cache.insert(*hash, &token, generation);
        Ok(token)
    }

    /// Stores the time of a token's last use, at most once a minute, in the background.
    fn record_use(&self, token: &Token, now: DateTime<Utc>) {
        if !self.cache.is_use_due(token, now) {
            return;
        }
        let (store, id) = (self.store.clone(), token.id);
        tokio::spawn(async move {
            if let Err(error) = store.touch_token(id, now).await {
                tracing::debug!(%error, token = id, "failed to store a token's last use");
            }
        });
    }

    /// Creates a token. The caller has checked that its scripts exist.
    ///
    /// # Errors
    /// [`AccessError`].
    pub async fn create(
        &self,
        actor: &str,
        request: TokenRequest,
    ) -> Result<CreatedToken, AccessError> {
        check(&request, clock::now())?;
        let secret = new_secret()?;
        let id = self.insert(actor, request, TokenHash::of(&secret)).await?;
        Ok(CreatedToken { id, secret })
    }

    async fn insert(
        &self,
        actor: &str,
        request: TokenRequest,
        hash: TokenHash,
    ) -> Result<i64, AccessError> {
        let audit = NewAuditEntry {
            at: clock::now(),
            actor: actor.to_owned(),
            action: "token.create",
            subject: subject(&request.name),
            before: None,
            after: Some(json!({
                "name": request.name,
                "role": request.role,
                "scripts": request.scope,
                "shares": request.shares,
                "expires_at": request.expires_at,
            })),
        };
        let token = NewToken {
            name: request.name,
            hash,
            role: request.role,
            scope: request.scope,
            shares: request.shares,
            expires_at: request.expires_at,
            created_by: actor.to_owned(),
            created_at: audit.at,
        };
        match self.store.insert_token(&token, &audit).await {
            Err(StoreError::NameConflict) => Err(AccessError::NameConflict(token.name)),
            inserted => Ok(inserted?),
        }
    }

    /// Revokes a token, at once here, and within [`TTL`] in other processes. Returns false
    /// if it was revoked before, and `None` if it does not exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke(&self, actor: &str, id: i64) -> Result<Option<bool>, StoreError> {
        let Some(token) = self.store.token(id).await? else { return Ok(None) };
        let audit = NewAuditEntry {
            at: clock::now(),
            actor: actor.to_owned(),
            action: "token.revoke",
            subject: subject(&token.name),
            before: Some(json!({"name": token.name, "role": token.role})),
            after: None,
        };
        let is_revoked = self.store.revoke_token(id, audit.at, &audit).await;
        // On an error, too: the token may be revoked although the answer was lost.
        self.cache.invalidate_all();
        self.sessions.invalidate_all();
        Ok(Some(is_revoked?))
    }
}

fn subject(name: &str) -> String {
    format!("token:{name}")
}

fn check(request: &TokenRequest, now: DateTime<Utc>) -> Result<(), AccessError> {
    let name = &request.name;
    let is_shown = name == name.trim() && sanitize(name) == *name;
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !is_shown {
        return Err(AccessError::Name(sanitize(name)));
    }
    if request.expires_at.is_some_and(|end| end <= now) {
        return Err(AccessError::Expired);
    }
    if !request.shares.is_empty() && request.role != Role::Runner {
        return Err(AccessError::Shares(request.role));
    }
    match &request.scope {
        Some(_) if request.role != Role::Runner => Err(AccessError::Scope(request.role)),
        Some(scripts) if scripts.is_empty() || scripts.len() > MAX_SCOPE => {
            Err(AccessError::ScopeSize(scripts.len()))
        }
        _ => Ok(()),
    }
}

fn new_secret() -> Result<String, AccessError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(AccessError::Random)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests;

//! The first admin: named by `GANTRY_ADMIN_TOKEN`, or made at the first start.

use super::{Access, AccessError, MAX_TOKEN_BYTES, TokenRequest};
use crate::domain::token::{Role, Token, TokenHash};

/// The name of the token that `GANTRY_ADMIN_TOKEN` is.
pub const ENVIRONMENT_TOKEN: &str = "environment";

/// Fewest characters of `GANTRY_ADMIN_TOKEN`.
pub const MIN_TOKEN_CHARS: usize = 16;

/// The name of the token that is made at the first start.
const FIRST_TOKEN: &str = "admin";

/// Who makes these tokens.
const ACTOR: &str = "gantry serve";

/// Tokens that are read at once.
const PAGE: u32 = 500;

impl Access {
    /// Sees to it that an admin can come in. With `given`, that token works from
    /// now on, and those that were given before it do not. Without it, and when
    /// there is no token at all, one is made, and answered so that it can be
    /// printed once.
    ///
    /// # Errors
    /// [`AccessError`].
    pub async fn first_admin(&self, given: Option<&str>) -> Result<Option<String>, AccessError> {
        if let Some(given) = given {
            self.admit(given).await?;
            return Ok(None);
        }
        if self.store.count_tokens().await? > 0 {
            return Ok(None);
        }
        match self.create(ACTOR, admin(FIRST_TOKEN)).await {
            Ok(created) => Ok(Some(created.secret)),
            // Another process was first, and has printed its own.
            Err(AccessError::Taken(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn admit(&self, given: &str) -> Result<(), AccessError> {
        let count = given.chars().count();
        if count < MIN_TOKEN_CHARS {
            return Err(AccessError::TooShort(count));
        }
        if given.len() > MAX_TOKEN_BYTES || !given.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AccessError::NotAToken);
        }
        let hash = TokenHash::of(given);
        if let Some(known) = self.store.token_selected(&hash.selector()).await? {
            let is_it = known.name == ENVIRONMENT_TOKEN && known.revoked_at.is_none();
            return if is_it { Ok(()) } else { Err(AccessError::Spent(known.name)) };
        }
        for old in self.environment_tokens().await? {
            self.revoke(ACTOR, old.id).await?;
        }
        match self.insert(ACTOR, admin(ENVIRONMENT_TOKEN), hash).await {
            // Another process was first: it is well if that was with this token.
            Err(AccessError::Taken(name)) => match self.verify(given).await {
                Ok(_) => Ok(()),
                Err(AccessError::Unknown) => Err(AccessError::Taken(name)),
                Err(error) => Err(error),
            },
            inserted => inserted.map(|_| ()),
        }
    }

    async fn environment_tokens(&self) -> Result<Vec<Token>, AccessError> {
        let mut found = Vec::new();
        let mut offset = 0;
        loop {
            let page = self.store.tokens(PAGE, offset).await?;
            offset += page.len() as u64;
            let is_last = page.len() < PAGE as usize;
            found.extend(
                page.into_iter()
                    .filter(|it| it.name == ENVIRONMENT_TOKEN && it.revoked_at.is_none()),
            );
            if is_last {
                return Ok(found);
            }
        }
    }
}

fn admin(name: &str) -> TokenRequest {
    TokenRequest { name: name.to_owned(), role: Role::Admin, scope: None, expires_at: None }
}

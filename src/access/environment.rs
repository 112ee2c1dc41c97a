//! First admin token: given by `GANTRY_ADMIN_TOKEN`, or created at the first start.

use super::{Access, AccessError, MAX_TOKEN_BYTES, TokenRequest};
use crate::domain::share::ShareGrants;
use crate::domain::token::{ENVIRONMENT_TOKEN, Role, SERVER, Token, TokenHash};

/// Fewest characters of `GANTRY_ADMIN_TOKEN`.
pub const MIN_TOKEN_CHARS: usize = 16;

/// Fewest bits of `GANTRY_ADMIN_TOKEN`, as [`bits_of`] estimates them; fewer can be
/// guessed.
const MIN_TOKEN_BITS: f64 = 48.0;

/// Bits of `GANTRY_ADMIN_TOKEN` below which a warning is logged. 16 random bytes have more,
/// in hexadecimal or in base64.
const GOOD_TOKEN_BITS: f64 = 96.0;

/// Estimated strength of a token that a person has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStrength {
    /// The token probably can't be guessed.
    Good,
    /// A persistent attacker may guess the token.
    Weak,
}

/// Checks a token from `GANTRY_ADMIN_TOKEN`.
///
/// # Errors
/// [`AccessError::TooShort`], [`AccessError::Guessable`] and
/// [`AccessError::NotAToken`].
pub fn check_admin_token(given: &str) -> Result<TokenStrength, AccessError> {
    let count = given.chars().count();
    if count < MIN_TOKEN_CHARS {
        return Err(AccessError::TooShort(count));
    }
    if given.len() > MAX_TOKEN_BYTES || !given.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AccessError::NotAToken);
    }
    match bits_of(given) {
        bits if bits < MIN_TOKEN_BITS => Err(AccessError::Guessable),
        bits if bits < GOOD_TOKEN_BITS => Ok(TokenStrength::Weak),
        _ => Ok(TokenStrength::Good),
    }
}

/// Estimates the bits in a text, as if its characters were drawn with their frequencies in
/// it (Shannon, "A Mathematical Theory of Communication"). A text that is not random has
/// fewer.
#[expect(clippy::cast_precision_loss, reason = "at most 512 bytes")]
fn bits_of(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = text.len() as f64;
    let counts = counts.into_iter().filter(|count| *count > 0).map(f64::from);
    counts.map(|count| count * (length / count).log2()).sum()
}

/// Name of the token that is created at the first start.
const FIRST_TOKEN: &str = "admin";

/// Tokens read per query.
const PAGE: u32 = 500;

impl Access {
    /// Makes sure that an admin token exists. The token `given` becomes valid, and those
    /// given earlier are revoked. Without it, and if there are no tokens at all, one is
    /// created and returned, to be printed once.
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
        match self.create(SERVER, admin(FIRST_TOKEN)).await {
            Ok(created) => Ok(Some(created.secret)),
            // Another process was faster, and has printed its own.
            Err(AccessError::NameConflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn admit(&self, given: &str) -> Result<(), AccessError> {
        if check_admin_token(given)? == TokenStrength::Weak {
            tracing::warn!(
                "GANTRY_ADMIN_TOKEN may be guessed; hint: make one with openssl rand -hex 32"
            );
        }
        let hash = TokenHash::of(given);
        if let Some(known) = self.store.token_selected(&hash.selector()).await? {
            let is_it = known.name == ENVIRONMENT_TOKEN && known.revoked_at.is_none();
            return if is_it { Ok(()) } else { Err(AccessError::Unusable(known.name)) };
        }
        for old in self.environment_tokens().await? {
            self.revoke(SERVER, old.id).await?;
        }
        match self.insert(SERVER, admin(ENVIRONMENT_TOKEN), hash).await {
            // Another process was faster: no conflict if it used the same token.
            Err(AccessError::NameConflict(name)) => match self.verify(given).await {
                Ok(_) => Ok(()),
                Err(AccessError::Unknown) => Err(AccessError::NameConflict(name)),
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
    TokenRequest {
        name: name.to_owned(),
        role: Role::Admin,
        scope: None,
        shares: ShareGrants::default(),
        expires_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_guessed_is_refused_or_warned_of() {
        for (token, strength) in [
            ("short", None),
            ("0000000000000000000000000000000000000000", None),
            ("passwordpassword", None),
            ("changemechangemechangeme", Some(TokenStrength::Weak)),
            ("0123456789abcdef", Some(TokenStrength::Weak)),
            ("Zk3!x9Q_w7Lp2#Ra", Some(TokenStrength::Weak)),
            ("2f1e6ad94b7c08352f0d9ec1ab7754e3", Some(TokenStrength::Good)),
            ("q0Pz7m3TnR8yBwUe1KxLdA==", Some(TokenStrength::Good)),
            ("with a space, which no header can have", None),
        ] {
            assert_eq!(check_admin_token(token).ok(), strength, "{token}");
        }
    }
}

//! Tokens and roles. A token is 256 random bits. Only its SHA-256 is stored; it is looked
//! up by the first half of that hash and compared by all of it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::share::{ShareAccess, ShareGrants};

/// Role of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything.
    Admin,
    /// Changes limits, enables, cancels; sees everything.
    Operator,
    /// Invokes scripts and reads their executions.
    Runner,
    /// Sees everything and changes nothing.
    Viewer,
}

/// Unknown word for a role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown role {0:?}: it is one of admin, operator, runner, viewer")]
pub struct UnknownRole(String);

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Runner, Self::Viewer];

    /// Word in the API and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Runner => "runner",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.name() == name);
        found.ok_or_else(|| UnknownRole(name.chars().take(40).collect()))
    }
}

/// SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// The hash of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Lookup key of a token: the hash's first half, in hexadecimal. The time of a look-up
    /// reveals at most this half, from which nobody can compute a token.
    #[must_use]
    pub fn selector(&self) -> String {
        hex::encode(&self.0[..16])
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash(****)")
    }
}

/// Token in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Id given by the database.
    pub id: i64,
    /// Name for people, unique among tokens that are not revoked.
    pub name: String,
    /// Hash of the token.
    pub hash: TokenHash,
    /// Role.
    pub role: Role,
    /// Ids of the scripts that it is limited to; `None` means all.
    pub scope: Option<Vec<i64>>,
    /// Parts of the server's shares that it opens to executions; admins have all.
    pub shares: ShareGrants,
    /// Time at which it expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// Time of the last use, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Time of the revocation.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Name of the token that created it.
    pub created_by: String,
    /// Time of its creation.
    pub created_at: DateTime<Utc>,
}

/// Stored name of the token that `GANTRY_ADMIN_TOKEN` sets. Older versions find it by
/// this name, so it stays; people see [`Token::shown_name`].
pub const ENVIRONMENT_TOKEN: &str = "environment";

/// Creator of the tokens that the server sets or makes itself.
pub const SERVER: &str = "gantry serve";

impl Token {
    /// Name for people: `admin` for the token that `GANTRY_ADMIN_TOKEN` sets.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        let is_environments = self.name == ENVIRONMENT_TOKEN && self.created_by == SERVER;
        if is_environments { "admin" } else { &self.name }
    }

    /// True if it is valid at this time.
    #[must_use]
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Part of the server's shares that its executions may read.
    #[must_use]
    pub fn share_access(&self) -> ShareAccess {
        match self.role {
            Role::Admin => ShareAccess::All,
            _ => ShareAccess::Granted(self.shares.clone()),
        }
    }
}

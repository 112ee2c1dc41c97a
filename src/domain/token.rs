//! Who may do what. A token is 256 random bits; only its SHA-256 is kept, and
//! it is looked up by the first half of that hash and compared by all of it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use utoipa::ToSchema;

/// What a token may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Limits, enabling, cancelling; sees everything.
    Operator,
    /// Invokes scripts and reads their executions.
    Runner,
    /// Sees everything and changes nothing.
    Viewer,
}

/// A role that there is not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown role {0:?}: it is one of admin, operator, runner, viewer")]
pub struct UnknownRole(String);

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Operator, Self::Runner, Self::Viewer];

    /// The word in the API and in the database.
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

    /// What a token is looked up by: the hash's first half, in hexadecimal. How
    /// long the look-up takes tells at most this half, which nobody can make a
    /// token of.
    #[must_use]
    pub fn selector(&self) -> String {
        self.0.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash(****)")
    }
}

/// A token in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Given by the database.
    pub id: i64,
    /// For people; unique among those that are not revoked.
    pub name: String,
    /// Its hash.
    pub hash: TokenHash,
    /// What it may do.
    pub role: Role,
    /// The ids of the scripts that it is limited to; `None` is all.
    pub scope: Option<Vec<i64>>,
    /// When it stops to work.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The name of the token that made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Token {
    /// Whether it works at this time.
    #[must_use]
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

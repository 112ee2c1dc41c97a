//! Shares: folders of the host that the operator opens to executions by a name. A grant
//! opens one of them, or the part below a path, to a token. Pure: nothing here looks at
//! the disk.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::file::is_below_folder;
use super::sanitize::sanitize;

/// Longest name of a share, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Most grants of one token.
pub const MAX_GRANTS: usize = 100;

/// Name of a share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShareName(String);

/// Share that a token may read, or the part of it below a path. Written `NAME` or
/// `NAME/PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShareGrant {
    share: ShareName,
    /// Path below the share's root; empty means all of it.
    prefix: String,
}

/// Grants of one token; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShareGrants(Vec<ShareGrant>);

/// Part of all shares that a caller may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareAccess {
    /// Every share.
    All,
    /// The granted parts.
    Granted(ShareGrants),
}

/// Fault of a share's name or of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShareTextFault {
    /// The name is not usable.
    #[error(
        "share {0:?} is not 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, `.`, `_` and `-`, beginning \
         with a letter or a digit"
    )]
    Name(String),
    /// The path leaves the share, or can't be shown.
    #[error(
        "the path {0:?} of a share is not relative, or has `.`, `..`, `\\` or control characters"
    )]
    Path(String),
    /// There are more than [`MAX_GRANTS`].
    #[error("{0} shares, at most {MAX_GRANTS} are possible")]
    TooMany(usize),
}

impl ShareName {
    /// Checks the characters.
    ///
    /// # Errors
    /// [`ShareTextFault::Name`].
    pub fn new(name: &str) -> Result<Self, ShareTextFault> {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins_well && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_known) {
            return Ok(Self(name.to_owned()));
        }
        Err(ShareTextFault::Name(sanitize(name)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShareName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl ShareGrant {
    /// Share that it is about.
    #[must_use]
    pub fn share(&self) -> &ShareName {
        &self.share
    }

    /// True if it opens this path of this share. Components are compared: `film` does not
    /// open `film3`.
    #[must_use]
    pub fn opens(&self, share: &str, path: &str) -> bool {
        if self.share.as_str() != share {
            return false;
        }
        match path.strip_prefix(self.prefix.as_str()) {
            Some(rest) => self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl FromStr for ShareGrant {
    type Err = ShareTextFault;

    fn from_str(text: &str) -> Result<Self, ShareTextFault> {
        let (share, path) = text.split_once('/').unwrap_or((text, ""));
        let share = ShareName::new(share)?;
        let prefix = path.strip_suffix('/').unwrap_or(path);
        if prefix.is_empty() || is_below_folder(prefix) {
            return Ok(Self { share, prefix: prefix.to_owned() });
        }
        Err(ShareTextFault::Path(sanitize(path)))
    }
}

impl fmt::Display for ShareGrant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => fmt::Display::fmt(&self.share, formatter),
            prefix => write!(formatter, "{}/{prefix}", self.share),
        }
    }
}

impl Serialize for ShareGrant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ShareGrant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl ShareGrants {
    /// Grants of one token, in order and each once.
    ///
    /// # Errors
    /// [`ShareTextFault::TooMany`].
    pub fn new(mut grants: Vec<ShareGrant>) -> Result<Self, ShareTextFault> {
        if grants.len() > MAX_GRANTS {
            return Err(ShareTextFault::TooMany(grants.len()));
        }
        grants.sort_unstable();
        grants.dedup();
        Ok(Self(grants))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &ShareGrant> {
        self.0.iter()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ShareAccess {
    /// True if it opens this path of this share.
    #[must_use]
    pub fn opens(&self, share: &str, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Granted(grants) => grants.iter().any(|grant| grant.opens(share, path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(text: &str) -> ShareGrant {
        text.parse().unwrap()
    }

    #[test]
    fn a_grant_is_written_as_it_is_read() {
        for text in ["media", "media/film3", "0a.b_c-d/one/two three", "m/ü"] {
            assert_eq!(grant(text).to_string(), text);
        }
        assert_eq!(grant("media/film3/"), grant("media/film3"));
        assert_eq!(grant("media/"), grant("media"));
    }

    #[test]
    fn a_bad_name_or_path_is_refused() {
        let long = "m".repeat(MAX_NAME_BYTES + 1);
        for name in ["", "/", ".", "..", "-m", "me dia", "mü", "a:b", "a=b", "a\0", &long] {
            let found = name.parse::<ShareGrant>();
            assert!(matches!(found, Err(ShareTextFault::Name(_))), "{name:?}: {found:?}");
        }
        for path in ["m/..", "m/a/../b", "m/./a", "m//a", "m/a\\b", "m/a\nb", "m///", "m/a\0"] {
            let found = path.parse::<ShareGrant>();
            assert!(matches!(found, Err(ShareTextFault::Path(_))), "{path:?}: {found:?}");
        }
        let many = vec![grant("m"); MAX_GRANTS + 1];
        assert_eq!(ShareGrants::new(many), Err(ShareTextFault::TooMany(MAX_GRANTS + 1)));
    }

    #[test]
    fn a_prefix_opens_whole_components() {
        let film = grant("media/film");
        for path in ["film", "film/17.mov", "film/a/b"] {
            assert!(film.opens("media", path), "{path}");
        }
        for (share, path) in [
            ("media", ""),
            ("media", "film3"),
            ("media", "film3/17.mov"),
            ("media", "fil"),
            ("media", "a/film"),
            ("media2", "film"),
            ("Media", "film"),
            ("stock", "film"),
        ] {
            assert!(!film.opens(share, path), "{share}/{path}");
        }
        assert!(grant("media").opens("media", "") && grant("media").opens("media", "a/b"));
    }

    #[test]
    fn nothing_is_open_without_a_grant() {
        assert!(!ShareAccess::Granted(ShareGrants::default()).opens("media", "a"));
        assert!(ShareAccess::All.opens("media", "a"));
    }

    proptest! {
        #[test]
        fn a_grant_opens_exactly_what_is_below_its_components(
            prefix in prop::collection::vec("[ab]{1,2}", 0..3),
            path in prop::collection::vec("[ab]{1,2}", 0..4),
        ) {
            let grant = grant(&[&["m".to_owned()], prefix.as_slice()].concat().join("/"));
            prop_assert_eq!(grant.opens("m", &path.join("/")), path.starts_with(&prefix));
        }
    }
}

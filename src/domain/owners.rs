//! Users that the operator allows scripts to run as, so that what they write to mounts
//! belongs to them.

use thiserror::Error;

use super::uid_range::UidRange;
use super::user::{User, UserFault};

/// Most owners that one server allows.
const MAX_OWNERS: usize = 1_000;

/// Fault of a list of owners.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OwnersFault {
    /// An entry is no user that a script can run as.
    #[error(transparent)]
    User(#[from] UserFault),
    /// Sandboxes have this id, one each.
    #[error("{user} is refused: uid {} is one of those that sandboxes have ({uids})", user.uid())]
    OfSandboxes {
        /// User of the list.
        user: User,
        /// Ids of sandboxes.
        uids: UidRange,
    },
    /// The list is too long.
    #[error("{0} owners, at most {MAX_OWNERS} are possible")]
    TooMany(usize),
}

/// Reads the users that the operator allows scripts to run as, separated by commas.
///
/// # Errors
/// [`OwnersFault`], also for a user whose uid is one of `uids`, which sandboxes have.
pub fn parse_owners(list: &str, uids: UidRange) -> Result<Vec<User>, OwnersFault> {
    let texts: Vec<_> = list.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    if texts.len() > MAX_OWNERS {
        return Err(OwnersFault::TooMany(texts.len()));
    }
    let mut owners = Vec::with_capacity(texts.len());
    for text in texts {
        let user: User = text.parse()?;
        if uids != UidRange::SHARED && uids.contains(user.uid()) {
            return Err(OwnersFault::OfSandboxes { user, uids });
        }
        owners.push(user);
    }
    Ok(owners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_owners_leaves_out_the_sandboxes_own_users() {
        let read = |list: &str| parse_owners(list, UidRange::DEFAULT);
        let owners = read(" 1000:1000, 33:33,").unwrap();
        assert_eq!(owners.iter().map(User::to_string).collect::<Vec<_>>(), ["1000:1000", "33:33"]);
        assert_eq!(read(""), Ok(Vec::new()));
        let fault = read("1000:1000,60600:100").unwrap_err();
        assert!(fault.to_string().contains("60578-61183"), "{fault}");
        assert!(read("1000:1000;33:33").is_err() && read("0:0").is_err());
        assert!(parse_owners("65534:65534", UidRange::SHARED).is_ok());
        let many = vec!["1000:1000"; MAX_OWNERS + 1].join(",");
        assert_eq!(read(&many), Err(OwnersFault::TooMany(MAX_OWNERS + 1)));
    }
}

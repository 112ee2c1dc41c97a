//! Users of sandboxes: the number of a user and the number of a group, written `UID:GID`.
//! They own the files that a script writes to a mount of the host.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::sanitize::sanitize;

/// Group of all processes in a sandbox, and user of those without their own: `nogroup` and
/// `nobody` of Debian.
pub const SANDBOX_UID: u32 = 65534;

/// Largest id that an OCI runtime accepts (`maxID` of moby/sys/user).
const MOST: u32 = i32::MAX.unsigned_abs();

/// Not an id: −1 in 16 bits, and reserved for that (systemd's "Users, Groups, UIDs and
/// GIDs").
const RESERVED: u32 = 65_535;

/// User and group of all processes of a sandbox. Neither is ever root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct User {
    uid: u32,
    gid: u32,
}

/// Text that is no user of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UserFault {
    /// The text has another form.
    #[error("{0:?} is not UID:GID, two numbers from 1 to {MOST} without {RESERVED}")]
    Syntax(String),
    /// A script never runs as root, nor with its group.
    #[error("{0:?} is refused: no script runs as root, or with the group of root")]
    Root(String),
}

impl User {
    /// User that sandboxes share where they have none of their own: `nobody` and `nogroup`
    /// of Debian.
    pub const SHARED: Self = Self { uid: SANDBOX_UID, gid: SANDBOX_UID };

    /// User of one sandbox alone. Its group is the one that all sandboxes share.
    #[must_use]
    pub fn of_sandbox(uid: u32) -> Self {
        Self { uid, gid: SANDBOX_UID }
    }

    /// Number of the user.
    #[must_use]
    pub fn uid(self) -> u32 {
        self.uid
    }

    /// Number of the group.
    #[must_use]
    pub fn gid(self) -> u32 {
        self.gid
    }
}

impl FromStr for User {
    type Err = UserFault;

    fn from_str(text: &str) -> Result<Self, UserFault> {
        let fault = || UserFault::Syntax(sanitize(text));
        let id = |text: &str| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            let id = text.parse::<u32>().ok().filter(|id| is_number && *id <= MOST);
            id.filter(|id| *id != RESERVED).ok_or_else(fault)
        };
        let (uid, gid) = text.split_once(':').ok_or_else(fault)?;
        let user = Self { uid: id(uid)?, gid: id(gid)? };
        if user.uid == 0 || user.gid == 0 {
            return Err(UserFault::Root(sanitize(text)));
        }
        Ok(user)
    }
}

impl fmt::Display for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.uid, self.gid)
    }
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_written_as_it_is_read() {
        for text in ["1000:1000", "33:50", "65534:65534", "2147483647:1"] {
            assert_eq!(text.parse::<User>().unwrap().to_string(), text);
            let json = format!("{text:?}");
            assert_eq!(
                serde_json::to_string(&serde_json::from_str::<User>(&json).unwrap()).unwrap(),
                json
            );
        }
    }

    #[test]
    fn root_and_what_is_no_user_is_refused() {
        for text in ["0:0", "0:1000", "1000:0", "00:1"] {
            assert!(matches!(text.parse::<User>(), Err(UserFault::Root(_))), "{text:?}");
        }
        for text in [
            "",
            ":",
            "1000",
            "1000:",
            ":1000",
            "1000:1000:1000",
            "+1:1",
            "-1:1",
            " 1:1",
            "1: 1",
            "65535:1",
            "1:65535",
            "2147483648:1",
            "4294967296:1",
            "ann:ann",
            "1:1\n",
        ] {
            assert!(matches!(text.parse::<User>(), Err(UserFault::Syntax(_))), "{text:?}");
        }
    }
}

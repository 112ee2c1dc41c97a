//! User ids of sandboxes. The kernel counts some resources per user, over all containers:
//! sandboxes with the same id share those quotas.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::user::SANDBOX_UID;

/// Smallest allowed id; smaller ones belong to the system and to people (`UID_MIN`,
/// login.defs(5)).
const LEAST: u32 = 1_000;

/// Largest id that an OCI runtime accepts (`maxID` of moby/sys/user).
const MOST: u32 = i32::MAX.unsigned_abs();

/// Not an id: −1 in 16 bits, and reserved for that (systemd's "Users, Groups, UIDs and
/// GIDs").
const RESERVED: u32 = 65_535;

/// Consecutive user ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidRange {
    first: u32,
    last: u32,
}

/// The text is not a range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no range of user ids: FIRST-LAST, from {LEAST} to {MOST}, without {SANDBOX_UID} and \
     {RESERVED}; or {SANDBOX_UID} alone, which all sandboxes then share"
)]
pub struct UidRangeError(String);

impl UidRange {
    /// Default range: neither systemd nor Debian assigns these ids, `/etc/subuid` gives
    /// them to no container, and an engine with 65,536 mapped ids has them too ("Users,
    /// Groups, UIDs and GIDs on systemd systems"; Debian Policy 9.2.2).
    pub const DEFAULT: Self = Self { first: 60_578, last: 61_183 };

    /// Single id that all sandboxes share.
    pub const SHARED: Self = Self { first: SANDBOX_UID, last: SANDBOX_UID };

    /// Smallest id.
    #[must_use]
    pub fn first(self) -> u32 {
        self.first
    }

    /// Largest id.
    #[must_use]
    pub fn last(self) -> u32 {
        self.last
    }

    /// Number of ids.
    #[must_use]
    pub fn count(self) -> u32 {
        self.last - self.first + 1
    }

    /// True if the range contains an id.
    #[must_use]
    pub fn contains(self, uid: u32) -> bool {
        (self.first..=self.last).contains(&uid)
    }
}

impl FromStr for UidRange {
    type Err = UidRangeError;

    fn from_str(text: &str) -> Result<Self, UidRangeError> {
        let refused = || UidRangeError(text.to_owned());
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| refused());
        let range = match text.split_once('-') {
            Some((first, last)) => Self { first: number(first)?, last: number(last)? },
            None => Self { first: number(text)?, last: number(text)? },
        };
        let is_free = !range.contains(SANDBOX_UID) && !range.contains(RESERVED);
        let is_range = LEAST <= range.first && range.first <= range.last && range.last <= MOST;
        if range == Self::SHARED || (is_range && is_free) { Ok(range) } else { Err(refused()) }
    }
}

impl fmt::Display for UidRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(formatter, "{}", self.first);
        }
        write!(formatter, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_it_is_shown() {
        for text in ["60578-61183", "65534", "70000", "1000-65533", "65536-2147483647"] {
            assert_eq!(text.parse::<UidRange>().unwrap().to_string(), text);
        }
        assert_eq!(UidRange::DEFAULT.to_string().parse(), Ok(UidRange::DEFAULT));
        assert_eq!(" 70000 - 70009 ".parse::<UidRange>().unwrap().count(), 10);
    }

    #[test]
    fn ids_of_others_are_refused() {
        for text in [
            "",
            "-",
            "0",
            "0-70000",
            "999-2000",
            "70009-70000",
            "65000-66000",
            "65534-65535",
            "65535",
            "70000-",
            "-70000",
            "70000-2147483648",
            "4294967295",
            "70000,70001",
            "nobody",
        ] {
            let error = text.parse::<UidRange>().unwrap_err();
            assert!(error.to_string().contains("FIRST-LAST"), "{text:?}");
        }
    }
}

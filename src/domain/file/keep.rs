//! Times for which files are kept.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use crate::domain::quantities::parse_duration;
use crate::domain::sanitize::sanitize;

/// Shortest time that can be asked for.
const MIN_KEEP: Duration = Duration::from_secs(60);

/// Longest time that can be asked for: ten years.
const MAX_KEEP: Duration = Duration::from_secs(3_650 * 24 * 3_600);

/// Time of a file for which nobody said one: seven days.
const DEFAULT_KEEP: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Time for which a holder keeps a file, unless it lets go of it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadKeep {
    /// As long as it takes to do something with it: the time that a file stays when nobody
    /// holds it.
    Briefly,
    /// For this time.
    For(Duration),
    /// Until its holder lets go of it.
    Forever,
}

/// Text that is no time of a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not `none`, `forever`, or a time from 1m to 3650d, such as 7d")]
pub struct UploadKeepFault(String);

impl Default for UploadKeep {
    fn default() -> Self {
        Self::For(DEFAULT_KEEP)
    }
}

impl UploadKeep {
    /// Time at which it ends, from now on; `None` means never. `briefly` is the time that a file
    /// stays when nobody holds it.
    #[must_use]
    pub fn until(self, now: DateTime<Utc>, briefly: Duration) -> Option<DateTime<Utc>> {
        let time = match self {
            Self::Briefly => briefly,
            Self::For(time) => time,
            Self::Forever => return None,
        };
        now.checked_add_signed(TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX))
    }
}

impl FromStr for UploadKeep {
    type Err = UploadKeepFault;

    fn from_str(text: &str) -> Result<Self, UploadKeepFault> {
        match text {
            "none" => Ok(Self::Briefly),
            "forever" => Ok(Self::Forever),
            _ => {
                let time = parse_duration(text).ok();
                let time = time.filter(|time| (MIN_KEEP..=MAX_KEEP).contains(time));
                time.map(Self::For).ok_or_else(|| UploadKeepFault(sanitize(text)))
            }
        }
    }
}

/// The time as [`FromStr`] reads it.
impl fmt::Display for UploadKeep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Briefly => formatter.write_str("none"),
            Self::For(time) => write!(formatter, "{}s", time.as_secs()),
            Self::Forever => formatter.write_str("forever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_within_its_bounds() {
        let day = Duration::from_secs(86_400);
        assert_eq!("7d".parse(), Ok(UploadKeep::For(7 * day)));
        assert_eq!("7d".parse(), Ok(UploadKeep::default()));
        assert_eq!(
            ("none".parse(), "forever".parse()),
            (Ok(UploadKeep::Briefly), Ok(UploadKeep::Forever))
        );
        for bad in ["", "59s", "3651d", "0", "-1d", "7 weeks", "None", "job"] {
            assert!(bad.parse::<UploadKeep>().is_err(), "{bad}");
        }
        for keep in [UploadKeep::Briefly, UploadKeep::Forever, UploadKeep::default()] {
            assert_eq!(keep.to_string().parse(), Ok(keep));
        }
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(UploadKeep::Forever.until(now, day), None);
        assert_eq!(UploadKeep::Briefly.until(now, day), Some(now + TimeDelta::days(1)));
        assert_eq!(UploadKeep::default().until(now, day), Some(now + TimeDelta::days(7)));
    }
}

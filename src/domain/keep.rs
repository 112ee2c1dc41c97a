//! Time for which the content of an execution's files is kept after its end.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::quantities::parse_duration;
use super::sanitize::sanitize;

/// Shortest time that can be asked for.
const MIN: Duration = Duration::from_secs(60);

/// Longest time that can be asked for (ten years).
const MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Time for which files are kept; without one, as long as their execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Until they are collected.
    None,
    /// As long as their execution, or until the files of its job are given up.
    Job,
    /// This long after the execution's end.
    For(Duration),
}

/// Text that is no such time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is neither `none`, `job` nor a time from 1m to 3650d, such as 7d")]
pub struct KeepFault(String);

impl Keep {
    /// Time at which the files of an execution that ended then are given up; `None` if
    /// they stay as long as it does.
    #[must_use]
    pub fn until(self, end: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::None => Some(end),
            Self::Job => None,
            Self::For(time) => {
                let time = TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX);
                end.checked_add_signed(time)
            }
        }
    }
}

impl FromStr for Keep {
    type Err = KeepFault;

    fn from_str(text: &str) -> Result<Self, KeepFault> {
        match text {
            "none" => return Ok(Self::None),
            "job" => return Ok(Self::Job),
            _ => {}
        }
        let time = parse_duration(text).ok().filter(|time| (MIN..=MAX).contains(time));
        // Whole seconds: they are written so.
        let time = time.map(|time| Duration::from_secs(time.as_secs()));
        time.map(Self::For).ok_or_else(|| KeepFault(sanitize(text)))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Job => formatter.write_str("job"),
            Self::For(time) => write!(formatter, "{}s", time.as_secs()),
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for text in ["none", "job", "7d", "90s", "1h30m", "3650d"] {
            let keep: Keep = text.parse().unwrap();
            assert_eq!(keep.to_string().parse(), Ok(keep), "{text}");
        }
        for text in ["", "None", "0s", "59s", "3651d", "7", "-7d", "7w", "job "] {
            assert!(text.parse::<Keep>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_counts_from_the_end() {
        let end = DateTime::UNIX_EPOCH;
        assert_eq!(Keep::None.until(end), Some(end));
        assert_eq!(Keep::Job.until(end), None);
        let week = "7d".parse::<Keep>().unwrap().until(end).unwrap();
        assert_eq!((week - end).num_days(), 7);
        assert_eq!(Keep::For(MAX).until(DateTime::<Utc>::MAX_UTC), None);
    }
}

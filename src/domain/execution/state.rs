//! States of an execution.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::domain::outcome::Status;

/// State of an execution, written as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Accepted and queued.
    Pending,
    /// Claimed by a worker.
    Running,
    /// Ended; the state never changes again.
    Ended(Status),
}

/// Unknown word for a state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "unknown status {0:?}: it is one of pending, running, completed, failed, timeout, cancelled"
)]
pub struct UnknownState(String);

impl State {
    /// All states, in the order in which an execution passes through them.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::Ended(Status::Completed),
        Self::Ended(Status::Failed),
        Self::Ended(Status::Timeout),
        Self::Ended(Status::Cancelled),
    ];

    /// Word in the API and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Ended(status) => status.name(),
        }
    }

    /// True if the execution has ended.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| UnknownState(name.chars().take(40).collect()))
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_back_from_its_name() {
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
        }
        assert!("Pending".parse::<State>().is_err());
    }
}

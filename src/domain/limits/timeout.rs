//! Time limit of a script.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::{LimitsError, serialize_number};
use crate::domain::quantities::show_duration;

/// Time limit of a script, between [`Timeout::MIN`] and [`Timeout::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "f64")]
pub struct Timeout(Duration);

impl Timeout {
    /// Minimum, 100 ms: below it, a start on a busy machine would already be late.
    pub const MIN: Duration = Duration::from_millis(100);

    /// Maximum, 24 hours.
    pub const MAX: Duration = Duration::from_secs(24 * 3_600);

    /// Checks the bounds; drops fractions of a millisecond.
    ///
    /// # Errors
    /// [`LimitsError::TooLittle`] and [`LimitsError::TooMuch`].
    pub fn new(duration: Duration) -> Result<Self, LimitsError> {
        let (field, value) = ("timeout_secs", show_duration(duration));
        if duration < Self::MIN {
            return Err(LimitsError::TooLittle { field, value, bound: show_duration(Self::MIN) });
        }
        if duration > Self::MAX {
            return Err(LimitsError::TooMuch { field, value, bound: show_duration(Self::MAX) });
        }
        Ok(Self(Duration::new(duration.as_secs(), duration.subsec_millis() * 1_000_000)))
    }

    /// Time limit as a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }

    /// Time limit in milliseconds.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0.as_secs() * 1_000 + u64::from(self.0.subsec_millis())
    }
}

impl Default for Timeout {
    /// Default, 300 seconds.
    fn default() -> Self {
        Self(Duration::from_secs(300))
    }
}

/// Writes seconds.
impl Serialize for Timeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_number(self.0.as_secs_f64(), serializer)
    }
}

/// Reads seconds, to the nearest millisecond.
impl TryFrom<f64> for Timeout {
    type Error = LimitsError;

    fn try_from(seconds: f64) -> Result<Self, LimitsError> {
        let field = "timeout_secs";
        let duration = Duration::try_from_secs_f64((seconds * 1e3).round() / 1e3)
            .map_err(|_| LimitsError::NotANumber { field, value: seconds.to_string() })?;
        Self::new(duration)
    }
}

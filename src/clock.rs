//! Wall clock. Only this module reads it; other code takes times as arguments or calls it.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

/// Current time, to the microsecond, which is the databases' precision.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Duration since 1970; zero for earlier times.
#[must_use]
pub fn since(time: DateTime<Utc>) -> Duration {
    Duration::from_micros(u64::try_from(time.timestamp_micros()).unwrap_or_default())
}

/// Current time as a duration since 1970.
#[must_use]
pub fn since_epoch() -> Duration {
    since(now())
}

//! The only look at the wall clock. Everything else takes times as arguments or
//! asks here.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

/// Now, to the microsecond: what both databases keep.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A time as the duration since 1970; zero for what was before.
#[must_use]
pub fn since(time: DateTime<Utc>) -> Duration {
    Duration::from_micros(u64::try_from(time.timestamp_micros()).unwrap_or_default())
}

/// Now, as the duration since 1970.
#[must_use]
pub fn since_epoch() -> Duration {
    since(now())
}

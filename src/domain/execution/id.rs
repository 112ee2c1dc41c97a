//! Ids of executions as times: UUIDs of version 7 begin with 48 bits of milliseconds
//! since 1970 (RFC 9562, 5.7).

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Smallest possible id of an execution accepted at `time` or later; greater than any id of
/// an earlier millisecond.
#[must_use]
pub fn first_id_at(time: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128((milliseconds & 0xffff_ffff_ffff) << 80)
}

#[cfg(test)]
mod tests {
    use uuid::{ContextV7, Timestamp};

    use super::*;

    #[test]
    fn it_stands_between_the_ids_before_and_after() {
        let id =
            |seconds, nanos| Uuid::new_v7(Timestamp::from_unix(ContextV7::new(), seconds, nanos));
        let time = DateTime::from_timestamp(1_795_000_000, 5_000_000).unwrap();
        assert!(id(1_795_000_000, 4_999_999) < first_id_at(time));
        assert!(first_id_at(time) <= id(1_795_000_000, 5_000_000));
        assert_eq!(first_id_at(DateTime::from_timestamp(-1, 0).unwrap()), Uuid::nil());
    }
}

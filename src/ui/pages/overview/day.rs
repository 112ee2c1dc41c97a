//! Counts of executions by outcome for the last hours. Past hours hardly change: they are recounted
//! now and then, not for every page.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::store::{Counts, Store, StoreError};

/// Hours shown.
const HOURS: i64 = 24;

/// Hours counted for every page: the current and the previous one.
const CURRENT: usize = 2;

/// Lifetime of the counts of the other hours.
const KEPT: Duration = Duration::from_secs(600);

/// Counts of the last hours.
#[derive(Debug, Clone)]
pub(super) struct Hours {
    /// Start of each hour, and the end of the last.
    pub(super) times: Vec<DateTime<Utc>>,
    /// Outcomes of the executions accepted in each hour.
    pub(super) counts: Vec<Counts>,
}

/// Counter with a cache; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::ui) struct Day(Arc<Mutex<Option<(Instant, Hours)>>>);

impl Day {
    /// Counts the hours until `now`, including the current one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn until(
        &self,
        now: DateTime<Utc>,
        store: &Store,
    ) -> Result<Hours, StoreError> {
        let times = hours(now);
        if let Some(known) = self.known(&times) {
            let current = times.len() - 1 - CURRENT;
            let counted = store.counts_between(times.get(current..).unwrap_or_default()).await?;
            let counts = known.into_iter().take(current).chain(counted).collect();
            return Ok(Hours { times, counts });
        }
        let counts = store.counts_between(&times).await?;
        let hours = Hours { times, counts };
        let kept = Some((Instant::now(), hours.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(hours)
    }

    /// Cached counts of the same hours.
    fn known(&self, times: &[DateTime<Utc>]) -> Option<Vec<Counts>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, hours) = kept.as_ref()?;
        (at.elapsed() < KEPT && hours.times == times).then(|| hours.counts.clone())
    }
}

/// Starts of the last hours, and the end of the current one.
fn hours(now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let this = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
    (0..=HOURS).map(|hour| this + TimeDelta::hours(hour - HOURS + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DatabaseUrl;

    #[test]
    fn a_day_has_24_hours_and_ends_with_this_one() {
        let now = DateTime::from_timestamp(1_800_000_123, 0).unwrap();
        let times = hours(now);
        assert_eq!(times.len(), 25);
        assert!(times[23] <= now && now < times[24]);
        assert!(times.windows(2).all(|it| it[1] - it[0] == TimeDelta::hours(1)));
    }

    #[tokio::test]
    async fn what_is_kept_is_of_the_same_hours() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::in_data_dir(folder.path())).await.unwrap();
        let day = Day::default();
        let now = DateTime::from_timestamp(1_800_000_123, 0).unwrap();
        let first = day.until(now, &store).await.unwrap();
        assert!(day.known(&first.times).is_some());
        let again = day.until(now, &store).await.unwrap();
        assert_eq!((again.times, again.counts), (first.times, first.counts));
        assert!(day.known(&hours(now + TimeDelta::hours(1))).is_none());
    }
}

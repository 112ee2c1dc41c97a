//! How the executions of the last hours ended. Of hours that are long over hardly
//! anything changes: they are counted again now and then, and not for every page.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::store::{Counts, Store, StoreError};

/// Hours that are looked back on.
const HOURS: i64 = 24;

/// Hours that are counted for every page: this one and the last one.
const CURRENT: usize = 2;

/// How long the others are believed.
const KEPT: Duration = Duration::from_secs(600);

/// The last hours, counted.
#[derive(Debug, Clone)]
pub(super) struct Hours {
    /// Where each begins, and where the last ends.
    pub(super) times: Vec<DateTime<Utc>>,
    /// How the executions ended that were accepted in each.
    pub(super) counts: Vec<Counts>,
}

/// Counts them; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::ui) struct Day(Arc<Mutex<Option<(Instant, Hours)>>>);

impl Day {
    /// The hours before `now`, this one included.
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

    /// What was counted a while ago of the same hours.
    fn known(&self, times: &[DateTime<Utc>]) -> Option<Vec<Counts>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, hours) = kept.as_ref()?;
        (at.elapsed() < KEPT && hours.times == times).then(|| hours.counts.clone())
    }
}

/// The beginnings of the last hours, and the end of this one.
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

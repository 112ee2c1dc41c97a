//! What executions add up to.

use chrono::TimeDelta;
use gantry::domain::execution::State;
use gantry::store::{Counts, ExecutionFilter, Page};

use crate::database::{Database, on_both};
use crate::samples::{Invocations, ended, now};

on_both! {
    the_newest_of_each_script_are_its_own,
    ends_are_counted_between_times,
    executions_are_found_by_time_caller_and_the_one_before,
}

async fn the_newest_of_each_script_are_its_own(database: Database) {
    let (one, other) = (
        Invocations::of(&database.store, "one").await,
        Invocations::of(&database.store, "other").await,
    );
    let batch: Vec<_> = (0..7).flat_map(|_| [one.one(), other.one()]).collect();
    database.store.submit(&batch).await.unwrap();
    let (first, second) = (batch[0].script_id, batch[1].script_id);
    let found = database.store.newest_runs_of(&[first, second, 4_711], 3).await.unwrap();
    assert_eq!(found.len(), 2);
    for (script, runs) in &found {
        let newest: Vec<_> = batch
            .iter()
            .rev()
            .filter(|it| it.script_id == *script)
            .take(3)
            .map(|it| it.id)
            .collect();
        assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), newest);
        assert!(runs.iter().all(|run| run.status == State::Pending && run.duration_us.is_none()));
    }
    assert!(database.store.newest_runs_of(&[], 3).await.unwrap().is_empty());
    let all = database.store.newest_runs(now() - TimeDelta::hours(1), 5).await.unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(all[0].id, batch[13].id);
    let names = database.store.script_names(&[first, second, 4_711]).await.unwrap();
    assert_eq!((names.len(), names[&first].as_str()), (2, "one"));
}

async fn ends_are_counted_between_times(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    invocations.submitted(&database.store).await;
    for _ in 0..2 {
        ended(&database.store, &invocations).await;
    }
    let hour = TimeDelta::hours(1);
    let times = [now() - hour - hour, now() - hour, now() + hour];
    let counts = database.store.counts_between(&times).await.unwrap();
    assert_eq!(counts, [Counts::default(), Counts { completed: 2, ..Counts::default() }]);
    assert_eq!(counts[1].total(), 2);
    assert!(database.store.counts_between(&[]).await.unwrap().is_empty());
}

async fn executions_are_found_by_time_caller_and_the_one_before(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let batch: Vec<_> = (0..10).map(|_| invocations.one()).collect();
    database.store.submit(&batch).await.unwrap();
    let caller = batch[0].caller.name.clone();
    let count = async |filter: ExecutionFilter| {
        let page = Page { limit: 100, offset: 0 };
        let found = database.store.executions(&filter, page).await.unwrap();
        assert_eq!(database.store.count_executions(&filter).await.unwrap(), found.len() as i64);
        found.len()
    };
    let all = ExecutionFilter::default;
    let hour = TimeDelta::hours(1);
    assert_eq!(count(ExecutionFilter { triggered_by: Some(caller), ..all() }).await, 10);
    assert_eq!(count(ExecutionFilter { triggered_by: Some("x\0".to_owned()), ..all() }).await, 0);
    assert_eq!(count(ExecutionFilter { since: Some(now() - hour), ..all() }).await, 10);
    assert_eq!(count(ExecutionFilter { since: Some(now() + hour), ..all() }).await, 0);
    assert_eq!(count(ExecutionFilter { until: Some(now() + hour), ..all() }).await, 10);
    assert_eq!(count(ExecutionFilter { until: Some(now() - hour), ..all() }).await, 0);
    let before = ExecutionFilter { before: Some(batch[4].id), ..all() };
    assert_eq!(count(before.clone()).await, 4);
    let scoped = ExecutionFilter { scope: Some(vec![batch[0].script_id]), ..before };
    assert_eq!(count(scoped).await, 4);
}

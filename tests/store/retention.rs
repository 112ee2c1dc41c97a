//! Forgetting.

use chrono::{DateTime, TimeDelta, Utc};
use gantry::store::Store;
use uuid::Uuid;

use crate::database::{Database, on_both};
use crate::samples::{Invocations, claim, ended, now};

on_both! {
    only_what_has_ended_is_forgotten,
    what_is_kept_is_paged_past,
    more_than_one_statement_takes_are_forgotten,
}

async fn only_what_has_ended_is_forgotten(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let old = [ended(store, &invocations).await, ended(store, &invocations).await];
    let between = now() + TimeDelta::microseconds(1);
    let pending = invocations.submitted(store).await;
    let running = invocations.submitted(store).await;
    claim(store, running).await.unwrap();
    let far = now() + TimeDelta::days(1);
    assert_eq!(found(store, between, 10).await, old);
    assert_eq!(found(store, far, 1).await, old[..1]);
    assert!(found(store, now() - TimeDelta::days(1), 10).await.is_empty());
    store.forget(&[]).await.unwrap();
    assert_eq!(store.count_executions(&Default::default()).await.unwrap(), 4);
    store.forget(&[old[0], pending, running, Uuid::now_v7()]).await.unwrap();
    assert_eq!(found(store, far, 10).await, old[1..]);
    assert_eq!(store.count_executions(&Default::default()).await.unwrap(), 3);
    assert!(store.execution(old[0]).await.unwrap().is_none());
    assert!(store.log(old[0]).await.unwrap().is_none());
    for id in [old[1], pending, running] {
        assert!(store.execution(id).await.unwrap().is_some());
    }
    assert_eq!(database.number("SELECT count(*) FROM execution_payloads").await, 3);
}

async fn what_is_kept_is_paged_past(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let batch: Vec<_> = (0..5).map(|_| invocations.one()).collect();
    store.submit(&batch).await.unwrap();
    // Two that ended at the same time included.
    database.execute("UPDATE executions SET status = 'failed', completed_at = created_at").await;
    ended(store, &invocations).await;
    let far = now() + TimeDelta::days(1);
    let mut seen = Vec::new();
    let mut last = None;
    loop {
        let page = store.ended_before(far, last, 2).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(*end);
        seen.extend(page.iter().map(|it| it.id));
    }
    assert_eq!(seen, found(store, far, 10).await);
    assert_eq!(seen.len(), 6);
}

async fn more_than_one_statement_takes_are_forgotten(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let batch: Vec<_> = (0..2_500).map(|_| invocations.one()).collect();
    store.submit(&batch).await.unwrap();
    // They ended before anything else did.
    database.execute("UPDATE executions SET status = 'failed', completed_at = created_at").await;
    let far = now() + TimeDelta::days(1);
    let ids = found(store, far, 10_000).await;
    assert_eq!(ids.len(), 2_500);
    store.forget(&ids).await.unwrap();
    assert_eq!(store.count_executions(&Default::default()).await.unwrap(), 0);
    assert_eq!(database.number("SELECT count(*) FROM execution_payloads").await, 0);
}

/// The ids of what ended before a time.
async fn found(store: &Store, time: DateTime<Utc>, limit: u32) -> Vec<Uuid> {
    let found = store.ended_before(time, None, limit).await.unwrap();
    found.into_iter().map(|it| it.id).collect()
}

//! Lists of executions and their counts.

use gantry::domain::execution::{NewExecution, State};
use gantry::domain::outcome::Status;
use gantry::store::{ExecutionFilter, Page};
use uuid::Uuid;

use crate::database::{Database, on_both};
use crate::samples::{Invocations, claim, now, outcome};

on_both! {
    pages_have_no_gaps_and_the_newest_come_first,
    every_filter_finds_what_the_model_finds,
    an_empty_scope_is_nothing,
}

async fn list(database: &Database, filter: &ExecutionFilter, limit: u32) -> Vec<Uuid> {
    let mut found = Vec::new();
    loop {
        let page = Page { limit, offset: found.len() as u64 };
        let part = database.store.executions(filter, page).await.unwrap();
        found.extend(part.iter().map(|it| it.id));
        if part.len() < limit as usize {
            return found;
        }
    }
}

async fn pages_have_no_gaps_and_the_newest_come_first(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let batch: Vec<_> = (0..300).map(|_| invocations.one()).collect();
    database.store.submit(&batch).await.unwrap();
    let expected: Vec<Uuid> = batch.iter().rev().map(|it| it.id).collect();
    for limit in [7, 100, 1000] {
        assert_eq!(list(&database, &ExecutionFilter::default(), limit).await, expected);
    }
    let beyond = Page { limit: 10, offset: u64::MAX };
    assert!(database.store.executions(&Default::default(), beyond).await.unwrap().is_empty());
}

/// What a filter asks about an execution.
struct Seen {
    id: Uuid,
    script_id: i64,
    job_id: Option<String>,
    status: State,
}

fn wants(filter: &ExecutionFilter, seen: &Seen) -> bool {
    filter.script_id.is_none_or(|it| it == seen.script_id)
        && filter.job_id.as_ref().is_none_or(|it| Some(it) == seen.job_id.as_ref())
        && filter.status.is_none_or(|it| it == seen.status)
        && filter.scope.as_ref().is_none_or(|it| it.contains(&seen.script_id))
}

async fn submitted(database: &Database, scripts: &[Invocations]) -> Vec<Seen> {
    let mut all = Vec::new();
    for place in 0..60_usize {
        let invocations = &scripts[place % scripts.len()];
        let job_id = (place % 4 == 0).then(|| format!("job {}", place % 3));
        let new = NewExecution { job_id: job_id.clone(), ..invocations.one() };
        let (id, script_id) = (new.id, new.script_id);
        database.store.submit(&[new]).await.unwrap();
        let status = match place % 5 {
            0 => {
                claim(&database.store, id).await.unwrap();
                State::Running
            }
            1 => {
                let outcome = outcome(Status::Cancelled);
                assert!(database.store.end_pending(id, &outcome, now()).await.unwrap());
                State::Ended(Status::Cancelled)
            }
            _ => State::Pending,
        };
        all.push(Seen { id, script_id, job_id, status });
    }
    all.reverse();
    all
}

async fn every_filter_finds_what_the_model_finds(database: Database) {
    let mut scripts = Vec::new();
    for name in ["a", "b", "c"] {
        scripts.push(Invocations::of(&database.store, name).await);
    }
    let all = submitted(&database, &scripts).await;
    let id = |place: usize| scripts[place].script.id;
    let scopes = [
        None,
        Some(vec![id(0)]),
        Some(vec![id(2), id(1), id(2), -5]),
        Some((0..1_000).collect()),
        Some(vec![]),
    ];
    let jobs = [None, Some("job 0".to_owned()), Some("job".to_owned()), Some("\0".to_owned())];
    let running = Some(State::Running);
    let statuses = [None, running, Some(State::Pending), Some(State::Ended(Status::Failed))];
    for scope in &scopes {
        for job_id in &jobs {
            for status in statuses {
                for script_id in [None, Some(id(1))] {
                    let (scope, job_id) = (scope.clone(), job_id.clone());
                    let filter =
                        ExecutionFilter { script_id, job_id, status, scope, ..Default::default() };
                    let wanted = all.iter().filter(|it| wants(&filter, it));
                    let expected: Vec<Uuid> = wanted.map(|it| it.id).collect();
                    assert_eq!(list(&database, &filter, 7).await, expected, "{filter:?}");
                    let count = database.store.count_executions(&filter).await.unwrap();
                    assert_eq!(count, expected.len() as i64, "{filter:?}");
                }
            }
        }
    }
}

async fn an_empty_scope_is_nothing(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    invocations.submitted(&database.store).await;
    let nothing = ExecutionFilter { scope: Some(Vec::new()), ..ExecutionFilter::default() };
    assert!(list(&database, &nothing, 10).await.is_empty());
    assert_eq!(database.store.count_executions(&nothing).await.unwrap(), 0);
    let of_job = ExecutionFilter { job_id: Some("job".to_owned()), ..nothing };
    assert_eq!(database.store.count_executions(&of_job).await.unwrap(), 0);
}

//! Accepting executions, each key once.

use std::sync::Arc;

use gantry::domain::execution::{
    ExecutionSnapshot, ExecutionSummary, NewExecution, Priority, State,
};
use gantry::domain::json_input::{JsonInput, MAX_NESTING};
use gantry::domain::variables::{EnvVar, Variables};
use gantry::store::Submitted;
use uuid::Uuid;

use crate::database::{Database, on_both};
use crate::samples::{Invocations, caller};

on_both! {
    batches_of_any_size_are_accepted,
    a_key_counts_once_within_a_batch_and_across_batches,
    a_key_is_its_callers_own,
    of_concurrent_submissions_of_a_key_one_is_new,
    crossing_keys_of_concurrent_batches_are_accepted,
    what_is_sent_again_is_known_by_its_id,
    inputs_are_kept_byte_for_byte,
    what_was_asked_for_is_read_back,
    a_summary_says_what_was_submitted,
    a_batch_is_accepted_as_a_whole_or_not_at_all,
}

async fn batches_of_any_size_are_accepted(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    assert_eq!(database.store.submit(&[]).await.unwrap(), []);
    let mut total = 0;
    for size in [1, 2, 256, 257, 1000] {
        let batch: Vec<NewExecution> = (0..size).map(|_| invocations.one()).collect();
        let submitted = database.store.submit(&batch).await.unwrap();
        assert_eq!(submitted, vec![Submitted::New; size]);
        total += size as i64;
        assert_eq!(database.number("SELECT count(*) FROM execution_payloads").await, total);
        assert_eq!(database.store.count_executions(&Default::default()).await.unwrap(), total);
    }
}

async fn a_key_counts_once_within_a_batch_and_across_batches(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let batch = vec![
        invocations.keyed("z", 1),
        invocations.one(),
        invocations.keyed("z", 1),
        invocations.keyed("a", 1),
        invocations.keyed("z", 2),
    ];
    let (z, a) = (batch[0].id, batch[3].id);
    let first = database.store.submit(&batch).await.unwrap();
    let expected = [
        Submitted::New,
        Submitted::New,
        Submitted::Known(z),
        Submitted::New,
        Submitted::KeyReused(z),
    ];
    assert_eq!(first, expected);
    let again = [invocations.keyed("a", 1), invocations.keyed("a", 9), invocations.keyed("b", 1)];
    let expected = [Submitted::Known(a), Submitted::KeyReused(a), Submitted::New];
    assert_eq!(database.store.submit(&again).await.unwrap(), expected);
    assert_eq!(database.number("SELECT count(*) FROM executions").await, 4);
    assert_eq!(database.number("SELECT count(*) FROM execution_payloads").await, 4);
}

async fn a_key_is_its_callers_own(database: Database) {
    let mut invocations = Invocations::of(&database.store, "weather").await;
    let first = database.store.submit(&[invocations.keyed("k", 1)]).await.unwrap();
    invocations.caller = caller(&database.store, "somebody-else").await;
    let second = database.store.submit(&[invocations.keyed("k", 2)]).await.unwrap();
    assert_eq!((first, second), (vec![Submitted::New], vec![Submitted::New]));
}

async fn of_concurrent_submissions_of_a_key_one_is_new(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let tasks = (0..16).map(|_| {
        let (store, new) = (database.store.clone(), invocations.keyed("k", 1));
        tokio::spawn(async move { (new.id, store.submit(&[new]).await.unwrap().remove(0)) })
    });
    let mut found = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        found.push(task.await.unwrap());
    }
    let new: Vec<Uuid> =
        found.iter().filter(|(_, it)| *it == Submitted::New).map(|(id, _)| *id).collect();
    assert_eq!(new.len(), 1, "{found:?}");
    let known = found.iter().filter(|(_, it)| *it == Submitted::Known(new[0])).count();
    assert_eq!(known, 15, "{found:?}");
}

async fn crossing_keys_of_concurrent_batches_are_accepted(database: Database) {
    let invocations = Arc::new(Invocations::of(&database.store, "weather").await);
    for round in 0..10 {
        let tasks = (0..4).map(|task| {
            let (store, invocations) = (database.store.clone(), invocations.clone());
            tokio::spawn(async move {
                let mut batch: Vec<NewExecution> =
                    (0..50).map(|it| invocations.keyed(&format!("{round}-{it}"), 1)).collect();
                if task % 2 == 1 {
                    batch.reverse();
                }
                store.submit(&batch).await.unwrap()
            })
        });
        let mut new = 0;
        for task in tasks.collect::<Vec<_>>() {
            new += task.await.unwrap().iter().filter(|it| **it == Submitted::New).count();
        }
        assert_eq!(new, 50);
    }
}

async fn what_is_sent_again_is_known_by_its_id(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    // Nobody heard that it was accepted, and it is sent once more.
    let batch = [invocations.one(), invocations.keyed("k", 1)];
    assert_eq!(database.store.submit(&batch).await.unwrap(), [Submitted::New; 2]);
    let known = [Submitted::Known(batch[0].id), Submitted::Known(batch[1].id)];
    assert_eq!(database.store.submit(&batch).await.unwrap(), known);
}

async fn what_was_asked_for_is_read_back(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let id = invocations.submitted(&database.store).await;
    let asked = invocations.one().snapshot;
    assert_eq!(database.store.execution_snapshot(id).await.unwrap(), Some(asked));
    assert_eq!(database.store.execution_snapshot(Uuid::nil()).await.unwrap(), None);
}

async fn inputs_are_kept_byte_for_byte(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let deep = "[".repeat(MAX_NESTING) + &"]".repeat(MAX_NESTING);
    let long = format!("{{\"x\": \"{}\"}}", "ü€".repeat(1_000_000));
    let inputs = [
        r#""\ud800""#,
        r#"{"\ud800\ud801": "\u0000"}"#,
        r#""\u0000 and a real ""#,
        "1e400",
        "-0.0",
        "123456789012345678901234567890.10",
        r#"{"b": 1, "a": 2, "b": 3}"#,
        " \r\n\t [ 1 ,2 ] \n",
        "null",
        &deep,
        &long,
    ];
    for text in inputs {
        let input = JsonInput::parse(text.as_bytes().to_vec()).unwrap();
        let new = NewExecution { input, ..invocations.one() };
        let id = new.id;
        store.submit(&[new]).await.unwrap();
        let execution = store.execution(id).await.unwrap().unwrap();
        let runnable = store.runnable(id).await.unwrap().unwrap();
        assert!(runnable.input.as_str() == text, "{:.80}", runnable.input.as_str());
        // White space around a document is no part of the value.
        let shown = execution.input_data.unwrap();
        assert!(shown.get() == text.trim(), "{:.80}", shown.get());
    }
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let variables = pairs.iter().map(|(name, value)| EnvVar::new(*name, *value).unwrap());
    Variables::new(variables.collect()).unwrap()
}

async fn a_summary_says_what_was_submitted(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let new = NewExecution {
        job_id: Some("Jöb 'x' %".to_owned()),
        priority: Priority::new(-10).unwrap(),
        snapshot: ExecutionSnapshot {
            args: vec!["b".to_owned(), "\u{202e}\n".to_owned(), String::new()],
            env: variables(&[("B", "2"), ("A", "1\u{1}"), ("Z", "")]),
            ..invocations.one().snapshot
        },
        ..invocations.one()
    };
    let id = new.id;
    assert_eq!(database.store.execution_summary(id).await.unwrap().map(|it| it.id), None);
    database.store.submit(std::slice::from_ref(&new)).await.unwrap();
    let found: ExecutionSummary = database.store.execution_summary(id).await.unwrap().unwrap();
    assert_eq!((found.id, found.script_id), (id, Some(new.script_id)));
    assert_eq!((found.script_name.as_str(), found.version), ("weather", Some(1)));
    assert_eq!(found.digest, invocations.script.version.definition.digest);
    assert_eq!((found.job_id, found.triggered_by), (new.job_id, Some(new.caller.name)));
    assert_eq!((found.status, found.priority, found.attempt), (State::Pending, -10, 0));
    assert_eq!((found.created_at, found.updated_at), (new.created_at, new.created_at));
    assert!(found.error_kind.is_none() && found.usage.is_none() && found.sandbox.is_none());
    let pending = database.store.pending(None, 10).await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].id, pending[0].priority, pending[0].max_concurrency), (id, -10, None));
    assert_eq!(pending[0].memory_bytes, new.snapshot.limits.memory_bytes as i64);
    assert_eq!(pending[0].nano_cpus, new.snapshot.limits.nano_cpus as i64);
    let runnable = database.store.runnable(id).await.unwrap().unwrap();
    // A worker that is handed them in memory gets the same.
    assert_eq!((runnable.snapshot, runnable.input), (new.snapshot, new.input));
    assert_eq!((runnable.created_at, runnable.script_name.as_str()), (new.created_at, "weather"));
    assert_eq!(runnable.definition, invocations.script.version.definition);
}

async fn a_batch_is_accepted_as_a_whole_or_not_at_all(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let stray = NewExecution { version_id: -1, ..invocations.one() };
    let batch = [invocations.one(), stray, invocations.one()];
    let error = database.store.submit(&batch).await.unwrap_err();
    assert!(!error.is_outage(), "{error:?}");
    assert_eq!(error.to_string(), "the database refused a query");
    assert_eq!(database.number("SELECT count(*) FROM executions").await, 0);
    assert_eq!(database.store.count_executions(&Default::default()).await.unwrap(), 0);
}

//! Taking executions and giving them back.

use gantry::domain::execution::State;
use gantry::domain::outcome::Status;
use gantry::store::ClaimedRow;
use uuid::Uuid;

use crate::database::{Database, on_both};
use crate::samples::{Invocations, NODE, a_claim, claim, now, outcome};

on_both! {
    of_concurrent_claims_one_wins,
    what_waits_has_all_that_is_needed,
    a_claim_whose_answer_was_lost_is_made_again,
    what_is_given_back_is_pending_again,
    only_the_node_and_attempt_that_have_it_give_it_back,
    of_a_claim_and_an_end_one_wins,
    the_pending_are_listed_oldest_first,
    a_node_finds_what_it_had_taken,
    a_wish_to_cancel_is_kept_for_whoever_goes_on,
}

async fn of_concurrent_claims_one_wins(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let id = invocations.submitted(&database.store).await;
    let tasks = (0..16).map(|_| {
        let store = database.store.clone();
        tokio::spawn(async move { claim(&store, id).await.is_some() })
    });
    let mut winners = 0;
    for task in tasks.collect::<Vec<_>>() {
        winners += i32::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert!(claim(&database.store, Uuid::now_v7()).await.is_none());
}

async fn what_waits_has_all_that_is_needed(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    let id = invocations.submitted(&database.store).await;
    let runnable = database.store.runnable(id).await.unwrap().unwrap();
    let script = &invocations.script;
    assert_eq!((runnable.id, runnable.script_id), (id, script.id));
    assert_eq!(runnable.script_name, script.name.as_str());
    assert_eq!(runnable.definition, script.version.definition);
    let found = database.store.execution_summary(id).await.unwrap().unwrap();
    assert_eq!((found.status, found.attempt), (State::Pending, 0));
    assert_eq!(claim(&database.store, id).await, Some(1));
    assert!(database.store.runnable(id).await.unwrap().is_none());
}

async fn a_claim_whose_answer_was_lost_is_made_again(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = invocations.submitted(store).await;
    let claim = a_claim(id, NODE, "mine");
    for _ in 0..3 {
        assert_eq!(store.claim(&claim).await.unwrap(), Some(1));
    }
    assert_eq!(store.claim(&a_claim(id, NODE, "other")).await.unwrap(), None);
    assert_eq!(store.claim(&a_claim(id, "node-2", "mine")).await.unwrap(), None);
    let found = store.execution_summary(id).await.unwrap().unwrap();
    assert_eq!((found.status, found.attempt), (State::Running, 1));
    assert_eq!((found.started_at, found.updated_at), (Some(claim.at), claim.at));
    let sandbox = found.sandbox.unwrap();
    assert_eq!((sandbox.container_id.as_str(), sandbox.image.as_str()), ("mine", "sha256:1"));
    assert!(store.give_back(id, NODE, 1, now()).await.unwrap());
    let found = store.execution_summary(id).await.unwrap().unwrap();
    assert_eq!((found.sandbox, found.started_at), (None, None));
    assert_eq!(store.claim(&claim).await.unwrap(), Some(2));
}

async fn what_is_given_back_is_pending_again(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = invocations.submitted(store).await;
    for attempt in 1..4 {
        assert_eq!(claim(store, id).await, Some(attempt));
        assert!(store.pending(None, 10).await.unwrap().is_empty());
        assert!(store.give_back(id, NODE, attempt, now()).await.unwrap());
        assert!(!store.give_back(id, NODE, attempt, now()).await.unwrap());
        assert_eq!(store.pending(None, 10).await.unwrap().len(), 1);
    }
}

async fn only_the_node_and_attempt_that_have_it_give_it_back(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = invocations.submitted(store).await;
    assert!(!store.give_back(id, NODE, 0, now()).await.unwrap());
    claim(store, id).await.unwrap();
    for (node, attempt) in [("node-2", 1), (NODE, 0), (NODE, 2), ("", 1)] {
        assert!(!store.give_back(id, node, attempt, now()).await.unwrap());
    }
    assert!(store.give_back(id, NODE, 1, now()).await.unwrap());
}

async fn of_a_claim_and_an_end_one_wins(database: Database) {
    let invocations = Invocations::of(&database.store, "weather").await;
    for _ in 0..20 {
        let id = invocations.submitted(&database.store).await;
        let store = database.store.clone();
        let claiming = tokio::spawn(async move { claim(&store, id).await.is_some() });
        let store = database.store.clone();
        let ending = tokio::spawn(async move {
            let mut outcome = outcome(Status::Cancelled);
            outcome.error_message = Some("cancelled\0".to_owned());
            store.end_pending(id, &outcome, now()).await.unwrap()
        });
        let (is_claimed, is_ended) = (claiming.await.unwrap(), ending.await.unwrap());
        assert_ne!(is_claimed, is_ended);
        let status = database.store.execution_summary(id).await.unwrap().unwrap().status;
        let expected = if is_claimed { State::Running } else { State::Ended(Status::Cancelled) };
        assert_eq!(status, expected);
    }
}

async fn the_pending_are_listed_oldest_first(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let batch: Vec<_> = (0..10).map(|_| invocations.one()).collect();
    store.submit(&batch).await.unwrap();
    claim(store, batch[3].id).await.unwrap();
    let mut expected: Vec<Uuid> = batch.iter().map(|it| it.id).collect();
    expected.remove(3);
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.pending(after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page.iter().map(|it| it.id));
    }
    assert_eq!(found, expected);
}

async fn a_node_finds_what_it_had_taken(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let (mine, other) = (invocations.submitted(store).await, invocations.submitted(store).await);
    invocations.submitted(store).await;
    claim(store, mine).await.unwrap();
    store.claim(&a_claim(other, "node-2", "theirs")).await.unwrap().unwrap();
    let found = store.claimed_by(NODE).await.unwrap();
    let ids = |found: &[ClaimedRow]| {
        found.iter().map(|it| (it.pending.id, it.attempt)).collect::<Vec<_>>()
    };
    assert_eq!(ids(&found), [(mine, 1)]);
    assert!(!found[0].is_cancel_requested);
    let theirs = store.claimed_by("node-2").await.unwrap();
    assert_eq!(ids(&theirs), [(other, 1)]);
    assert_eq!(theirs[0].place, Some(("theirs".to_owned(), "sha256:1".to_owned())));
    assert!(theirs[0].is_in("theirs") && !theirs[0].is_in("others"));
    assert!(theirs[0].warm && theirs[0].deadline > theirs[0].begun_at);
    assert!(store.claimed_by("node").await.unwrap().is_empty());
    assert_eq!(store.running(mine, NODE, 1).await.unwrap().unwrap().id, mine);
    for (node, attempt) in [(NODE, 2), ("node-2", 1)] {
        assert!(store.running(mine, node, attempt).await.unwrap().is_none());
    }
}

async fn a_wish_to_cancel_is_kept_for_whoever_goes_on(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let (runs, waits) = (invocations.submitted(store).await, invocations.submitted(store).await);
    claim(store, runs).await.unwrap();
    assert!(store.request_cancel(runs).await.unwrap());
    assert!(!store.request_cancel(waits).await.unwrap(), "it does not run");
    assert!(store.claimed_by(NODE).await.unwrap()[0].is_cancel_requested);
}

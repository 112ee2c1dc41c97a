//! How sandboxes were confined: stored once, however many executions have it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gantry::domain::confinement::{Confinement, SealedConfinement};
use gantry::domain::execution::{Report, SandboxReceipt};
use gantry::domain::outcome::Status;
use gantry::domain::script_type::ScriptType;
use gantry::domain::script_type::python::preload::Preload;
use gantry::store::{NotPreloaded, Store};
use uuid::Uuid;

use crate::database::{Database, on_both};
use crate::samples::{Invocations, NODE, audit, caller, claim, now, report, script};

on_both! {
    a_receipt_is_read_back_with_its_execution_alone,
    executions_that_were_confined_alike_share_a_receipt,
    receipts_that_no_execution_has_any_more_are_forgotten,
    a_receipt_that_was_used_of_late_is_kept,
    scripts_that_were_not_preloaded_are_found_without_a_server,
}

const COUNT: &str = "SELECT count(*) FROM sandbox_receipts";

fn confined(pids: i64) -> SealedConfinement {
    let tmpfs = [("/work\0".to_owned(), "size=1".to_owned())].into();
    SealedConfinement::new(Confinement { pids, tmpfs, ..Confinement::default() }).unwrap()
}

fn ended(pids: i64, completed_at: DateTime<Utc>) -> Report {
    let sandbox = SandboxReceipt {
        image: "sha256:1".to_owned(),
        container_id: "gantry-1".to_owned(),
        node: Some(NODE.to_owned()),
        warm: true,
        preloaded: Some(false),
        preload_reason: Some("it reads EXECUTION_ID".to_owned()),
        confinement: Some(confined(pids)),
    };
    Report { sandbox: Some(sandbox), completed_at, ..report(Status::Completed) }
}

async fn scripts_that_were_not_preloaded_are_found_without_a_server(database: Database) {
    let store = &database.store;
    let mut new = script("thumbs");
    new.version.definition.script_type = ScriptType::Python;
    new.version.definition.preload = Preload::Automatic;
    let id = store.insert_script(&new, &audit("script.create")).await.unwrap();
    let python = store.script(id).await.unwrap().unwrap();
    let python = Invocations { script: python, caller: caller(store, "runner").await };
    // Nobody asked for it: its version has it turned off.
    let shell = Invocations::of(store, "weather").await;
    finish(store, &shell, &ended(1, now())).await;
    finish(store, &python, &ended(1, now())).await;
    let found = database.url.needs().await.unwrap().not_preloaded;
    let expected =
        NotPreloaded { name: "thumbs".into(), preload_reason: "it reads EXECUTION_ID".into() };
    assert_eq!(found, [expected]);
    let mut preloaded = ended(1, now());
    preloaded.sandbox.as_mut().unwrap().note_preload(Ok(()));
    finish(store, &python, &preloaded).await;
    assert_eq!(database.url.needs().await.unwrap().not_preloaded, []);
}

async fn finish(store: &Store, invocations: &Invocations, report: &Report) -> Uuid {
    let id = invocations.submitted(store).await;
    claim(store, id).await.unwrap();
    let ended = store.finish(id, NODE, 1, Duration::ZERO, report).await.unwrap().unwrap();
    assert_eq!(ended.sandbox, report.sandbox, "it answers with what is stored");
    id
}

async fn a_receipt_is_read_back_with_its_execution_alone(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = finish(store, &invocations, &ended(64, now())).await;
    let found = store.execution(id).await.unwrap().unwrap().summary.sandbox.unwrap();
    assert_eq!(found.confinement, Some(confined(64)));
    let listed = store.execution_summary(id).await.unwrap().unwrap().sandbox.unwrap();
    assert_eq!(listed.confinement, None);
    let bare = crate::samples::ended(store, &invocations).await;
    let found = store.execution(bare).await.unwrap().unwrap().summary.sandbox.unwrap();
    assert_eq!(found.confinement, None);
}

async fn executions_that_were_confined_alike_share_a_receipt(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    for pids in [64, 65, 64] {
        finish(store, &invocations, &ended(pids, now())).await;
    }
    assert_eq!(database.number(COUNT).await, 2);
    // Another process does not know what is there.
    let other = Store::open(&database.url).await.unwrap();
    finish(&other, &invocations, &ended(64, now())).await;
    assert_eq!(database.number(COUNT).await, 2);
    other.close().await;
}

async fn receipts_that_no_execution_has_any_more_are_forgotten(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let gone = finish(store, &invocations, &ended(64, now())).await;
    let kept = finish(store, &invocations, &ended(65, now())).await;
    let later = now() + TimeDelta::days(2);
    assert_eq!(store.forget_receipts(later).await.unwrap(), 0);
    store.forget(&[gone]).await.unwrap();
    assert_eq!(store.forget_receipts(now()).await.unwrap(), 0, "somebody may be about to use it");
    assert_eq!(store.forget_receipts(later).await.unwrap(), 1);
    let found = store.execution(kept).await.unwrap().unwrap().summary.sandbox.unwrap();
    assert_eq!(found.confinement, Some(confined(65)));
}

async fn a_receipt_that_was_used_of_late_is_kept(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let long_ago = now() - TimeDelta::days(3);
    let id = finish(store, &invocations, &ended(64, long_ago)).await;
    let other = Store::open(&database.url).await.unwrap();
    let again = finish(&other, &invocations, &ended(64, now())).await;
    other.close().await;
    store.forget(&[id, again]).await.unwrap();
    assert_eq!(store.forget_receipts(now()).await.unwrap(), 0);
}

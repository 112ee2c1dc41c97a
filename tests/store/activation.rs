//! Versions that wait for their environment.

use gantry::domain::registry::EnvironmentStatus;
use gantry::domain::script_type::ScriptType;
use gantry::domain::system_packages::SystemPackages;
use gantry::store::{Activation, NewEnvironment, NewVersion, ScriptChange, Store, VersionChange};

use crate::database::{Database, on_both};
use crate::samples::{audit, change, now, registered, version};

on_both! {
    a_version_waits_until_its_environment_is_ready,
    a_version_that_is_asked_for_now_does_not_wait,
    what_became_ready_unheard_is_activated_later,
    a_later_change_decides,
}

fn needing(content: &str, key: &str) -> NewVersion {
    let environment = NewEnvironment {
        key: key.to_owned(),
        script_type: ScriptType::Shell,
        system_packages: SystemPackages::new(vec!["jq".to_owned()]).unwrap(),
        requirements: None,
        requirements_hash: None,
        python: None,
        sources: false,
        warm_up: None,
        bundle: None,
    };
    NewVersion { environment: Some(environment), ..version(content) }
}

/// The current version and the one that waits.
async fn versions(store: &Store, id: i64) -> (i64, Option<i64>) {
    let script = store.script(id).await.unwrap().unwrap();
    (script.version.number, script.pending_version)
}

async fn changed(store: &Store, id: i64, version: VersionChange, activation: Activation) {
    let seen = store.script(id).await.unwrap().unwrap();
    let changed = ScriptChange { version, activation, ..change(&seen) };
    assert!(store.change_script(&changed, &audit("script.update")).await.unwrap());
}

async fn defined(store: &Store, id: i64, new: NewVersion) {
    changed(store, id, VersionChange::Define(Box::new(new)), Activation::WhenReady).await;
}

async fn a_version_waits_until_its_environment_is_ready(database: Database) {
    let store = &database.store;
    let id = registered(store, "weather").await.id;
    defined(store, id, needing("second", "two")).await;
    assert_eq!(versions(store, id).await, (1, Some(2)));
    assert_eq!(store.scripts_of_environment("two").await.unwrap(), ["weather"]);
    store.set_environment_status("two", EnvironmentStatus::Building, now()).await.unwrap();
    store.set_environment_failed("two", "no", now()).await.unwrap();
    assert_eq!(store.activate_ready_versions(now()).await.unwrap(), Vec::<String>::new());
    assert_eq!(versions(store, id).await, (1, Some(2)));
    let before = store.script(id).await.unwrap().unwrap().updated_at;
    let activated = store.set_environment_ready("two", "sha256:2", None, now()).await.unwrap();
    assert_eq!(activated, ["weather"]);
    assert_eq!(versions(store, id).await, (2, None));
    assert!(store.script(id).await.unwrap().unwrap().updated_at > before);
    // What is ready, or needs nothing, is current at once.
    defined(store, id, needing("third", "two")).await;
    assert_eq!(versions(store, id).await, (3, None));
    defined(store, id, version("fourth")).await;
    assert_eq!(versions(store, id).await, (4, None));
}

async fn a_version_that_is_asked_for_now_does_not_wait(database: Database) {
    let store = &database.store;
    let id = registered(store, "weather").await.id;
    let second = VersionChange::Define(Box::new(needing("second", "two")));
    changed(store, id, second, Activation::Now).await;
    assert_eq!(versions(store, id).await, (2, None));
    // Nor does one beside a version that can't run either.
    defined(store, id, needing("third", "three")).await;
    assert_eq!(versions(store, id).await, (3, None));
}

async fn what_became_ready_unheard_is_activated_later(database: Database) {
    let store = &database.store;
    let id = registered(store, "weather").await.id;
    defined(store, id, needing("second", "two")).await;
    // As a server of an earlier version does.
    database.execute("UPDATE environments SET status = 'ready'").await;
    assert_eq!(versions(store, id).await, (1, Some(2)));
    assert_eq!(store.activate_ready_versions(now()).await.unwrap(), ["weather"]);
    assert_eq!(store.activate_ready_versions(now()).await.unwrap(), Vec::<String>::new());
    assert_eq!(versions(store, id).await, (2, None));
}

async fn a_later_change_decides(database: Database) {
    let store = &database.store;
    let id = registered(store, "weather").await.id;
    defined(store, id, needing("second", "two")).await;
    defined(store, id, needing("third", "three")).await;
    assert_eq!(versions(store, id).await, (1, Some(3)));
    let activated = store.set_environment_ready("two", "sha256:2", None, now()).await.unwrap();
    assert_eq!((activated, versions(store, id).await), (Vec::new(), (1, Some(3))));
    changed(store, id, VersionChange::Activate(1), Activation::WhenReady).await;
    assert_eq!(versions(store, id).await, (1, None));
    store.set_environment_ready("three", "sha256:3", None, now()).await.unwrap();
    assert_eq!(versions(store, id).await, (1, None));
}

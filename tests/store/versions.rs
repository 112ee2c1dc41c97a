//! Versions and the bytes of scripts.

use gantry::store::{ScriptChange, StoreError, VersionChange};

use crate::database::{Database, on_both};
use crate::samples::{audit, change, registered, version};

on_both! { versions_are_listed_newest_first, code_is_kept_once, code_that_is_not_there_is_impossible }

async fn versions_are_listed_newest_first(database: Database) {
    let store = &database.store;
    let script = registered(store, "weather").await;
    for content in ["second", "third"] {
        let seen = store.script(script.id).await.unwrap().unwrap();
        let version = VersionChange::Define(Box::new(version(content)));
        let changed = ScriptChange { version, ..change(&seen) };
        assert!(store.change_script(&changed, &audit("script.update")).await.unwrap());
    }
    let numbers = |limit, offset| async move {
        let found = store.versions(script.id, limit, offset).await.unwrap();
        found.into_iter().map(|version| version.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(10, 0).await, [3, 2, 1]);
    assert_eq!(numbers(2, 1).await, [2, 1]);
    assert_eq!(store.count_versions(script.id).await.unwrap(), 3);
    let second = store.version(script.id, 2).await.unwrap().unwrap();
    assert_eq!(second.definition, version("second").definition);
    assert_eq!(second.created_by, "bob");
    assert_eq!(store.version(script.id, 4).await.unwrap(), None);
    assert_eq!(store.version(script.id + 1, 1).await.unwrap(), None);
}

async fn code_is_kept_once(database: Database) {
    let store = &database.store;
    let mut new = crate::samples::script("binary");
    new.version.code = (0..=255).cycle().take(3_000_000).collect();
    store.insert_script(&new, &audit("script.create")).await.unwrap();
    let mut again = new.clone();
    again.fields.name = gantry::domain::registry::ScriptName::new("again").unwrap();
    store.insert_script(&again, &audit("script.create")).await.unwrap();
    assert_eq!(store.code(&new.version.definition.digest).await.unwrap(), new.version.code);
    assert_eq!(database.number("SELECT count(*) FROM script_code").await, 1);
}

async fn code_that_is_not_there_is_impossible(database: Database) {
    for digest in ["none", "no\0ne"] {
        let error = database.store.code(digest).await.unwrap_err();
        assert!(matches!(error, StoreError::Impossible { .. }), "{error:?}");
    }
}

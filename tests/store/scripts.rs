//! Scripts: registering, changing, finding; the audit log in the same transaction.

use std::num::NonZeroU32;
use std::sync::Arc;

use gantry::domain::limits::{Limits, Timeout};
use gantry::domain::oci_runtime::OciRuntime;
use gantry::domain::registry::settings::Tags;
use gantry::domain::registry::{ScriptFields, ScriptName, ScriptSettings};
use gantry::domain::script_type::ScriptType;
use gantry::store::{Needs, NewScript, ScriptChange, ScriptFilter, StoreError, VersionChange};

use crate::database::{Database, on_both};
use crate::samples::{audit, change, registered, script, version};

on_both! {
    a_script_is_read_back_as_it_was_registered,
    a_name_is_taken_once_and_what_is_refused_leaves_nothing,
    a_change_of_what_was_changed_meanwhile_changes_nothing,
    a_change_of_a_script_that_is_not_there_changes_nothing,
    every_setting_is_changed,
    activating_a_version_that_is_not_there_changes_nothing,
    defining_the_same_content_uses_the_version_again,
    of_concurrent_changes_one_wins,
    a_stamp_differs_after_every_change,
    what_scripts_need_of_a_machine_is_found_without_a_server,
    searches_take_their_text_literally,
    searches_ignore_the_case_of_every_script,
    scripts_of_every_type_are_stored,
    scripts_are_filtered_by_type_state_and_scope,
    scripts_are_filtered_by_all_of_their_tags,
    scripts_are_listed_by_name_page_by_page,
}

async fn a_script_is_read_back_as_it_was_registered(database: Database) {
    let store = &database.store;
    let mut new = script("weather");
    new.fields.description = "Grüße, 世界 \u{1f324}".to_owned();
    new.fields.settings = ScriptSettings {
        max_concurrency: NonZeroU32::new(3),
        warm: 64,
        ..ScriptSettings::default()
    };
    let id = store.insert_script(&new, &audit("script.create")).await.unwrap();
    let found = store.script(id).await.unwrap().unwrap();
    assert_eq!(store.script_named("weather").await.unwrap(), Some(found.clone()));
    assert_eq!(found.fields(), new.fields);
    assert_eq!(found.version.definition, new.version.definition);
    let digest = &new.version.definition.digest;
    assert_eq!(found.version.definition.content_digest(), new.version.definition.content_digest());
    assert_eq!(store.code(digest).await.unwrap(), new.version.code);
    assert_eq!((found.created_at, found.updated_at), (new.created_at, new.created_at));
    assert_eq!(found.version.number, 1);
    for nothing in ["Weather", "weathe_", "", "weather\0"] {
        assert_eq!(store.script_named(nothing).await.unwrap(), None, "{nothing:?}");
    }
    assert_eq!(store.script(id + 1).await.unwrap(), None);
}

async fn a_name_is_taken_once_and_what_is_refused_leaves_nothing(database: Database) {
    let store = &database.store;
    registered(store, "weather").await;
    let new = NewScript { version: version("another"), ..script("weather") };
    let error = store.insert_script(&new, &audit("script.create")).await.unwrap_err();
    assert!(matches!(error, StoreError::NameConflict), "{error:?}");
    let second = registered(store, "second").await;
    let mut renamed = ScriptChange {
        version: VersionChange::Define(Box::new(version("third"))),
        ..change(&second)
    };
    renamed.fields.name = ScriptName::new("weather").unwrap();
    let error = store.change_script(&renamed, &audit("script.update")).await.unwrap_err();
    assert!(matches!(error, StoreError::NameConflict), "{error:?}");
    assert_eq!(store.script(second.id).await.unwrap(), Some(second));
    assert_eq!(store.count_audit(None).await.unwrap(), 2);
    assert_eq!(database.number("SELECT count(*) FROM script_versions").await, 2);
    assert_eq!(database.number("SELECT count(*) FROM script_code").await, 1);
}

async fn a_change_of_what_was_changed_meanwhile_changes_nothing(database: Database) {
    let store = &database.store;
    let script = registered(store, "weather").await;
    assert!(store.change_script(&change(&script), &audit("script.update")).await.unwrap());
    let seen = store.script(script.id).await.unwrap().unwrap();
    let mut late = ScriptChange {
        version: VersionChange::Define(Box::new(version("lost"))),
        ..change(&script)
    };
    late.fields.description = "lost".to_owned();
    assert!(!store.change_script(&late, &audit("script.update")).await.unwrap());
    assert_eq!(store.script(script.id).await.unwrap(), Some(seen));
    assert_eq!(store.count_versions(script.id).await.unwrap(), 1);
    assert_eq!(store.count_audit(None).await.unwrap(), 2);
}

async fn a_change_of_a_script_that_is_not_there_changes_nothing(database: Database) {
    let store = &database.store;
    let script = registered(store, "weather").await;
    let versions = [
        VersionChange::Keep,
        VersionChange::Activate(1),
        VersionChange::Define(Box::new(version("lost"))),
    ];
    for version in versions {
        let nobody = ScriptChange { id: script.id + 1, version, ..change(&script) };
        assert!(!store.change_script(&nobody, &audit("script.update")).await.unwrap());
    }
    assert_eq!(database.number("SELECT count(*) FROM script_code").await, 1);
}

async fn every_setting_is_changed(database: Database) {
    let store = &database.store;
    let script = registered(store, "weather").await;
    let settings = ScriptSettings {
        timeout_secs: Timeout::try_from(7.5).unwrap(),
        limits: Limits { pids: 77, ..Limits::default() },
        max_concurrency: NonZeroU32::new(7),
        warm: 2,
        is_enabled: false,
        tags: tags(&["colour", "v2.0_x"]),
    };
    let changed = ScriptChange {
        fields: ScriptFields {
            name: ScriptName::new("climate").unwrap(),
            description: "NUL \0 in it".to_owned(),
            file_path: None,
            requirements_path: None,
            settings: settings.clone(),
        },
        version: VersionChange::Define(Box::new(version("second"))),
        ..change(&script)
    };
    assert!(store.change_script(&changed, &audit("script.update")).await.unwrap());
    let found = store.script(script.id).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.file_path), ("climate", None));
    assert_eq!(found.requirements_path, None);
    assert_eq!(found.description, "NUL \u{fffd} in it");
    assert_eq!(found.settings, settings);
    assert_eq!((found.version.number, found.version.created_by.as_str()), (2, "bob"));
    assert_eq!((found.created_by.as_str(), found.updated_at), ("alice", changed.changed_at));
}

async fn activating_a_version_that_is_not_there_changes_nothing(database: Database) {
    let store = &database.store;
    let script = registered(store, "weather").await;
    for number in [0, 2, -1, i64::MAX] {
        let version = VersionChange::Activate(number);
        let mut missing = ScriptChange { version, ..change(&script) };
        missing.fields.description = "lost".to_owned();
        assert!(!store.change_script(&missing, &audit("script.activate")).await.unwrap());
    }
    assert_eq!(store.script(script.id).await.unwrap(), Some(script));
    assert_eq!(store.count_audit(None).await.unwrap(), 1);
}

async fn defining_the_same_content_uses_the_version_again(database: Database) {
    let store = &database.store;
    let script = registered(store, "weather").await;
    for (content, number) in [("first", 1), ("second", 2), ("first", 1), ("second", 2)] {
        let seen = store.script(script.id).await.unwrap().unwrap();
        let version = VersionChange::Define(Box::new(version(content)));
        let defined = ScriptChange { version, ..change(&seen) };
        assert!(store.change_script(&defined, &audit("script.update")).await.unwrap());
        assert_eq!(store.script(script.id).await.unwrap().unwrap().version.number, number);
    }
    assert_eq!(store.count_versions(script.id).await.unwrap(), 2);
    let seen = store.script(script.id).await.unwrap().unwrap();
    let activated = ScriptChange { version: VersionChange::Activate(1), ..change(&seen) };
    assert!(store.change_script(&activated, &audit("script.activate")).await.unwrap());
    assert_eq!(store.script(script.id).await.unwrap().unwrap().version.number, 1);
}

async fn of_concurrent_changes_one_wins(database: Database) {
    let database = Arc::new(database);
    let script = registered(&database.store, "weather").await;
    let tasks = (0..8).map(|task| {
        let (database, script) = (database.clone(), script.clone());
        tokio::spawn(async move {
            let version = VersionChange::Define(Box::new(version(&format!("by {task}"))));
            let defined = ScriptChange { version, ..change(&script) };
            database.store.change_script(&defined, &audit("script.update")).await
        })
    });
    let mut winners = 0;
    for task in tasks.collect::<Vec<_>>() {
        winners += i32::from(task.await.unwrap().unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(database.store.count_versions(script.id).await.unwrap(), 2);
}

async fn names(database: &Database, filter: &ScriptFilter) -> Vec<String> {
    let found = database.store.scripts(filter, 100, 0).await.unwrap();
    assert_eq!(database.store.count_scripts(filter).await.unwrap(), found.len() as i64);
    found.iter().map(|script| script.name.to_string()).collect()
}

async fn described(database: &Database, name: &str, description: &str) {
    let mut new = script(name);
    new.fields.description = description.to_owned();
    database.store.insert_script(&new, &audit("script.create")).await.unwrap();
}

async fn search(database: &Database, text: &str) -> Vec<String> {
    names(database, &ScriptFilter { search: Some(text.to_owned()), ..ScriptFilter::default() })
        .await
}

async fn searches_take_their_text_literally(database: Database) {
    described(&database, "percent", "100% sure").await;
    described(&database, "under_score", "nothing").await;
    described(&database, "shout", "now!").await;
    described(&database, "path", r"C:\temp 'quoted' $1").await;
    let cases = [
        ("%", "percent"),
        ("0%", "percent"),
        ("_", "under_score"),
        ("r_s", "under_score"),
        ("!", "shout"),
        (r"\", "path"),
        (r":\t", "path"),
        ("'", "path"),
        ("$1", "path"),
    ];
    for (text, name) in cases {
        assert_eq!(search(&database, text).await, [name], "{text:?}");
    }
    for nothing in ["%%", "0_", "!!", "w%", "[a-z]", "*", "\0"] {
        assert!(search(&database, nothing).await.is_empty(), "{nothing:?}");
    }
    assert_eq!(search(&database, "").await.len(), 4);
}

async fn searches_ignore_the_case_of_every_script(database: Database) {
    described(&database, "Fruit", "Äpfel auf der STRASSE, ΟΔΟΣ, Żółw").await;
    for text in ["fruit", "FRUIT", "äpfel", "ÄPFEL", "straße", "οδος", "οδοσ", "ŻÓŁW", "ruit"]
    {
        assert_eq!(search(&database, text).await, ["Fruit"], "{text:?}");
    }
    assert!(search(&database, "apfel").await.is_empty());
}

async fn scripts_of_every_type_are_stored(database: Database) {
    for script_type in ScriptType::ALL {
        let mut new = script(&format!("a-{script_type}"));
        new.version.definition.script_type = script_type;
        let id = database.store.insert_script(&new, &audit("script.create")).await.unwrap();
        let stored = database.store.script(id).await.unwrap().unwrap();
        assert_eq!(stored.version.definition.script_type, script_type);
    }
}

async fn scripts_are_filtered_by_type_state_and_scope(database: Database) {
    let store = &database.store;
    let first = registered(store, "first").await;
    let second = registered(store, "second").await;
    let mut python = script("third");
    python.version.definition.script_type = ScriptType::Python;
    python.fields.settings.is_enabled = false;
    store.insert_script(&python, &audit("script.create")).await.unwrap();
    let of_type =
        |script_type| ScriptFilter { script_type: Some(script_type), ..Default::default() };
    assert_eq!(names(&database, &of_type(ScriptType::Python)).await, ["third"]);
    assert_eq!(names(&database, &of_type(ScriptType::Shell)).await, ["first", "second"]);
    assert!(names(&database, &of_type(ScriptType::Binary)).await.is_empty());
    let enabled = |it| ScriptFilter { is_enabled: Some(it), ..Default::default() };
    assert_eq!(names(&database, &enabled(false)).await, ["third"]);
    assert_eq!(names(&database, &enabled(true)).await, ["first", "second"]);
    let scope = |ids: &[i64]| ScriptFilter { scope: Some(ids.to_vec()), ..Default::default() };
    assert_eq!(names(&database, &scope(&[second.id, -1, second.id])).await, ["second"]);
    assert!(names(&database, &scope(&[])).await.is_empty());
    let all = ScriptFilter {
        search: Some("WEATHER".to_owned()),
        script_type: Some(ScriptType::Shell),
        is_enabled: Some(true),
        tags: Vec::new(),
        scope: Some(vec![first.id]),
    };
    assert_eq!(names(&database, &all).await, ["first"]);
}

fn tags(tags: &[&str]) -> Tags {
    Tags::new(tags.iter().map(|&tag| tag.to_owned()).collect()).unwrap()
}

async fn scripts_are_filtered_by_all_of_their_tags(database: Database) {
    let store = &database.store;
    for (name, own) in [
        ("none", &[][..]),
        ("one", &["print"]),
        ("two", &["print", "colour"]),
        ("like", &["printer", "p_int", "v2.print", "colours"]),
    ] {
        let mut new = script(name);
        new.fields.settings.tags = tags(own);
        let id = store.insert_script(&new, &audit("script.create")).await.unwrap();
        assert_eq!(store.script(id).await.unwrap().unwrap().settings.tags, tags(own));
    }
    for (wanted, found) in [
        (&[][..], &["like", "none", "one", "two"][..]),
        (&["print"], &["one", "two"]),
        (&["colour", "print"], &["two"]),
        (&["print", "print"], &["one", "two"]),
        (&["p_int"], &["like"]),
        (&["colours", "print"], &[]),
        (&["%"], &[]),
        (&["print colour\0"], &[]),
    ] {
        let wanted = wanted.iter().map(|&tag| tag.to_owned()).collect();
        let filter = ScriptFilter { tags: wanted, ..ScriptFilter::default() };
        assert_eq!(names(&database, &filter).await, found, "{filter:?}");
    }
}

async fn scripts_are_listed_by_name_page_by_page(database: Database) {
    let store = &database.store;
    for name in ["b", "a_b", "B", "a.b", "a", "a-b", "A"] {
        registered(store, name).await;
    }
    // By their bytes, on both databases.
    let sorted = ["A", "B", "a", "a-b", "a.b", "a_b", "b"];
    assert_eq!(names(&database, &ScriptFilter::default()).await, sorted);
    let mut paged = Vec::new();
    for offset in (0..8).step_by(3) {
        let page = store.scripts(&ScriptFilter::default(), 3, offset).await.unwrap();
        paged.extend(page.into_iter().map(|script| script.name.to_string()));
    }
    assert_eq!(paged, sorted);
    assert!(store.scripts(&ScriptFilter::default(), 3, u64::MAX).await.unwrap().is_empty());
}

async fn a_stamp_differs_after_every_change(database: Database) {
    let store = &database.store;
    let empty = store.scripts_stamp().await.unwrap();
    let script = registered(store, "weather").await;
    let first = store.scripts_stamp().await.unwrap();
    assert_eq!(store.scripts_stamp().await.unwrap(), first);
    assert!(store.change_script(&change(&script), &audit("script.update")).await.unwrap());
    let second = store.scripts_stamp().await.unwrap();
    registered(store, "climate").await;
    let third = store.scripts_stamp().await.unwrap();
    assert!(empty != first && first != second && second != third);
}

async fn what_scripts_need_of_a_machine_is_found_without_a_server(database: Database) {
    let store = &database.store;
    let none = Needs { warm: 0, runtimes: Vec::new(), not_preloaded: Vec::new() };
    assert_eq!(database.url.needs().await.unwrap(), none);
    for (name, warm, runtime, is_enabled) in [
        ("a", 2, Some("runsc"), true),
        ("b", 3, None, true),
        ("c", 1, Some("crun"), true),
        ("d", 0, Some("crun"), true),
        ("e", 64, Some("kata"), false),
    ] {
        let mut new = script(name);
        new.fields.settings.warm = warm;
        new.fields.settings.is_enabled = is_enabled;
        new.version.definition.runtime = runtime.map(|it| OciRuntime::new(it).unwrap());
        store.insert_script(&new, &audit("script.create")).await.unwrap();
    }
    let runtimes = vec!["crun".to_owned(), "runsc".to_owned()];
    assert_eq!(database.url.needs().await.unwrap(), Needs { warm: 6, runtimes, ..none });
}

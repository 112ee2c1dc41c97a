//! Environments, from queued to built.

use gantry::domain::file::FileDigest;
use gantry::domain::registry::{EnvironmentRecord, EnvironmentStatus, WarmUpRecord};
use gantry::domain::script_type::ScriptType;
use gantry::domain::script_type::python::PythonVersion;
use gantry::domain::system_packages::SystemPackages;
use gantry::store::{NewEnvironment, NewScript, Store};

use crate::database::{Database, on_both};
use crate::samples::{audit, now, script};

on_both! {
    an_environment_goes_from_queued_to_ready,
    a_failure_keeps_the_lock_and_loses_the_image,
    an_environment_that_is_there_stays_as_it_is,
    all_that_a_rebuild_needs_is_kept,
    sources_are_built_while_one_script_chooses_so,
    logs_are_cut_at_a_character_and_hold_no_nul,
    environments_are_listed_and_counted,
}

const MIB: usize = 1024 * 1024;

fn environment(key: &str) -> NewEnvironment {
    NewEnvironment {
        key: key.to_owned(),
        script_type: ScriptType::Python,
        python: None,
        system_packages: SystemPackages::new(vec!["jq".to_owned()]).unwrap(),
        requirements: Some("requests\n".to_owned()),
        requirements_hash: Some("00".to_owned()),
        sources: false,
        warm_up: None,
        bundle: None,
    }
}

async fn needed(store: &Store, name: &str, key: &str) {
    needs(store, name, environment(key)).await;
}

async fn needs(store: &Store, name: &str, environment: NewEnvironment) {
    let mut new: NewScript = script(name);
    new.version.definition.args.push(name.to_owned());
    new.version.environment = Some(environment);
    store.insert_script(&new, &audit("script.create")).await.unwrap();
}

async fn read(store: &Store, key: &str) -> EnvironmentRecord {
    store.environment(key).await.unwrap().unwrap()
}

async fn an_environment_goes_from_queued_to_ready(database: Database) {
    let store = &database.store;
    needed(store, "weather", "key").await;
    let queued = read(store, "key").await;
    assert_eq!(
        (queued.status, queued.script_type),
        (EnvironmentStatus::Queued, ScriptType::Python)
    );
    assert_eq!(queued.requirements.as_deref(), Some("requests\n"));
    assert_eq!(queued.system_packages, SystemPackages::new(vec!["jq".to_owned()]).unwrap());
    assert_eq!(store.unbuilt_environments().await.unwrap(), [queued]);
    store.set_environment_status("key", EnvironmentStatus::Building, now()).await.unwrap();
    assert_eq!(store.unbuilt_environments().await.unwrap().len(), 1);
    store.set_environment_log("key", "one\ntwo\n", now()).await.unwrap();
    assert_eq!(store.environment_log("key").await.unwrap().as_deref(), Some("one\ntwo\n"));
    let built_at = now();
    store.set_environment_ready("key", "sha256:1", Some("locked"), built_at).await.unwrap();
    let ready = read(store, "key").await;
    assert_eq!((ready.status, ready.built_at), (EnvironmentStatus::Ready, Some(built_at)));
    assert_eq!((ready.image.as_deref(), ready.lock.as_deref()), (Some("sha256:1"), Some("locked")));
    assert!(store.unbuilt_environments().await.unwrap().is_empty());
    let script = store.script_named("weather").await.unwrap().unwrap();
    assert_eq!(script.version.environment_key.as_deref(), Some("key"));
}

async fn a_failure_keeps_the_lock_and_loses_the_image(database: Database) {
    let store = &database.store;
    needed(store, "weather", "key").await;
    store.set_environment_ready("key", "sha256:1", Some("locked"), now()).await.unwrap();
    store.set_environment_failed("key", "no \0 such package", now()).await.unwrap();
    let failed = read(store, "key").await;
    assert_eq!((failed.status, failed.image), (EnvironmentStatus::Failed, None));
    assert_eq!(failed.error.as_deref(), Some("no \u{fffd} such package"));
    store.set_environment_ready("key", "sha256:2", None, now()).await.unwrap();
    let ready = read(store, "key").await;
    assert_eq!((ready.lock.as_deref(), ready.error), (Some("locked"), None));
}

async fn an_environment_that_is_there_stays_as_it_is(database: Database) {
    let store = &database.store;
    needed(store, "weather", "key").await;
    store.set_environment_ready("key", "sha256:1", None, now()).await.unwrap();
    let before = read(store, "key").await;
    needed(store, "climate", "key").await;
    assert_eq!(read(store, "key").await, before);
    assert_eq!(store.count_environments().await.unwrap(), 1);
}

async fn all_that_a_rebuild_needs_is_kept(database: Database) {
    let store = &database.store;
    let warm_up = WarmUpRecord {
        command: ["python3", "a b.py", "", "'\"\\ü"].map(str::to_owned).to_vec(),
        digest: "00".to_owned(),
        file_name: "a b.py".to_owned(),
        entry: Some("x/a b.py".to_owned()),
    };
    let bundle = FileDigest::new([7; 32]);
    for python in PythonVersion::ALL {
        let new = NewEnvironment {
            python: Some(python),
            sources: true,
            warm_up: Some(warm_up.clone()),
            bundle: Some(bundle),
            ..environment(python.name())
        };
        needs(store, &format!("python-{python}"), new).await;
        let found = read(store, python.name()).await;
        assert_eq!((found.python, found.sources), (Some(python), true));
        assert_eq!((found.warm_up.as_ref(), found.bundle), (Some(&warm_up), Some(bundle)));
    }
    needed(store, "weather", "plain").await;
    let plain = read(store, "plain").await;
    assert_eq!((plain.python, plain.sources, plain.warm_up), (None, false, None));
}

async fn sources_are_built_while_one_script_chooses_so(database: Database) {
    let store = &database.store;
    needed(store, "weather", "key").await;
    needs(store, "climate", NewEnvironment { sources: true, ..environment("key") }).await;
    assert!(read(store, "key").await.sources);
    needed(store, "tides", "key").await;
    assert!(read(store, "key").await.sources);
    assert_eq!(store.count_environments().await.unwrap(), 1);
}

async fn logs_are_cut_at_a_character_and_hold_no_nul(database: Database) {
    let store = &database.store;
    needed(store, "weather", "key").await;
    // Three bytes each: 1 MiB is no multiple of them.
    for long in ["€".repeat(2 * MIB / 3), "\0".repeat(2 * MIB)] {
        store.set_environment_log("key", &long, now()).await.unwrap();
        let kept = store.environment_log("key").await.unwrap().unwrap();
        assert!((MIB - 3..=MIB).contains(&kept.len()), "{} bytes", kept.len());
        assert!(long.replace('\0', "\u{fffd}").ends_with(&kept));
    }
    store.set_environment_log("key", "a\0b", now()).await.unwrap();
    assert_eq!(store.environment_log("key").await.unwrap().as_deref(), Some("a\u{fffd}b"));
}

async fn environments_are_listed_and_counted(database: Database) {
    let store = &database.store;
    for key in ["a", "b", "c"] {
        needed(store, &format!("needs-{key}"), key).await;
    }
    store.set_environment_status("a", EnvironmentStatus::Building, now()).await.unwrap();
    let keys = |limit, offset| async move {
        let found = store.environments(limit, offset).await.unwrap();
        found.into_iter().map(|it| it.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(10, 0).await, ["a", "c", "b"]);
    assert_eq!(keys(1, 1).await, ["c"]);
    assert_eq!(store.count_environments().await.unwrap(), 3);
    for nothing in ["d", "a\0"] {
        assert_eq!(store.environment(nothing).await.unwrap(), None);
        assert_eq!(store.environment_log(nothing).await.unwrap(), None);
    }
}

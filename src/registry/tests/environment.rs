//! Environment of a script: Python version, source builds, and warm-up.

use super::draft::draft;
use super::source::Known;
use super::*;
use crate::domain::registry::{Definition, EnvironmentRecord};
use crate::domain::script_type::python::PythonVersion::{Python311, Python312};

fn python(source: &str) -> Value {
    json!({"name": "a", "script_type": "python", "source": source})
}

/// Newest version of a script, pending or current.
async fn newest(world: &World, script: RegisteredScript) -> (Definition, Option<String>) {
    let version = world.registry.newest(script).await.unwrap().version;
    (version.definition, version.environment_key)
}

async fn environment(world: &World, key: Option<String>) -> EnvironmentRecord {
    world.registry.store.environment(&key.unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn all_that_an_environment_is_made_of_stands_with_it() {
    let world = World::new().await;
    let fields = json!({"python": "3.11", "sources": true, "requirements": "six",
        "warm_up": ["python3", "script.py", "--fill"]});
    let script = world.register(with(python("print(1)"), fields)).await.unwrap();
    let (definition, key) = newest(&world, script).await;
    assert_eq!((definition.python, definition.sources), (Some(Python311), true));
    let found = environment(&world, key).await;
    assert_eq!((found.python, found.sources), (Some(Python311), true));
    let warm_up = found.warm_up.unwrap();
    assert_eq!(warm_up.command, ["python3", "script.py", "--fill"]);
    assert_eq!((&warm_up.digest, warm_up.file_name.as_str()), (&definition.digest, "script.py"));
    assert_eq!(world.registry.store.code(&warm_up.digest).await.unwrap(), b"print(1)");
}

#[tokio::test]
async fn each_of_them_makes_a_version_with_an_environment_of_its_own() {
    let world = World::new().await;
    let requirements = json!({"requirements": "six"});
    let script = world.register(with(python("print(1)"), requirements)).await.unwrap();
    let id = script.id;
    let mut keys = vec![script.version.environment_key.clone()];
    for fields in [
        json!({"python": "3.11"}),
        json!({"python": "3.12"}),
        json!({"sources": true}),
        json!({"warm_up": ["python3", "-c", "import six"]}),
        json!({"source": "print(2)"}),
    ] {
        let changed = world.change(id, fields.clone()).await.unwrap();
        let (_, key) = newest(&world, changed).await;
        assert!(!keys.contains(&key), "{fields}");
        keys.push(key);
    }
    let nulls = json!({"python": null, "sources": null, "warm_up": null, "source": "print(1)"});
    let changed = world.change(id, nulls).await.unwrap();
    assert_eq!(newest(&world, changed).await.1, keys[0]);
}

#[tokio::test]
async fn a_version_of_python_is_for_python_scripts() {
    let world = World::new().await;
    let found = world.faults(with(plain("a"), json!({"python": "3.11"}))).await;
    assert_eq!(pointers(&found), ["/python"]);
    assert_eq!(found[0].detail, "a shell script has none; only python scripts do");
    for unknown in ["3", "3.9", "3.11.2", "python3.11", ""] {
        let found = world.faults(with(python("1"), json!({"python": unknown}))).await;
        assert_eq!(pointers(&found), ["/python"]);
        assert!(found[0].detail.ends_with("it is one of 3.10, 3.11, 3.12, 3.13, 3.14"));
    }
    // A shell script has none.
    let script = world.register(with(python("echo 1"), json!({"python": "3.11"}))).await.unwrap();
    let shell = world.change(script.id, json!({"script_type": "shell"})).await.unwrap();
    let (definition, key) = newest(&world, shell).await;
    assert_eq!((definition.python(), key), (None, None));
}

#[tokio::test]
async fn a_shebang_names_a_version_where_none_was_chosen() {
    let world = World::new().await;
    let script = world.register(python("#!/usr/bin/env python3.11\nprint(1)")).await.unwrap();
    let id = script.id;
    let (definition, key) = newest(&world, script).await;
    assert_eq!((definition.python, definition.python()), (None, Some(Python311)));
    assert_eq!(environment(&world, key.clone()).await.python, Some(Python311));
    // It stays with the bytes and is removed with them.
    let kept = world.change(id, json!({"python": null, "description": "d"})).await.unwrap();
    assert_eq!(newest(&world, kept).await.1, key);
    let chosen = world.change(id, json!({"python": "3.12"})).await.unwrap();
    let (definition, _) = newest(&world, chosen).await;
    assert_eq!((definition.python(), definition.python_of_shebang), (Some(Python312), None));
    let back = world.change(id, json!({"python": null})).await.unwrap();
    assert_eq!(newest(&world, back).await.1, key);
    let other = json!({"source": "#!/usr/bin/env python3\nprint(1)"});
    let other = world.change(id, other).await.unwrap();
    let (definition, key) = newest(&world, other).await;
    assert_eq!((definition.python(), key), (None, None));
}

#[tokio::test]
async fn a_shebang_that_can_not_be_honoured_is_a_fault_unless_a_version_is_chosen() {
    let world = World::new().await;
    let source = "#!/usr/bin/python2.7\nprint 1";
    let found = world.faults(python(source)).await;
    assert_eq!(pointers(&found), ["/source"]);
    for words in ["python2.7 in its `#!` line", "3.10, 3.11, 3.12, 3.13 and 3.14", "`python`"] {
        assert!(found[0].detail.contains(words), "{}", found[0].detail);
    }
    let script = world.register(with(python(source), json!({"python": "3.12"}))).await.unwrap();
    assert_eq!(newest(&world, script).await.0.python(), Some(Python312));
}

#[tokio::test]
async fn a_version_from_before_runs_as_before() {
    let world = World::new().await;
    let source = "#!/usr/bin/python3.11\n";
    let script = world.register(python(source)).await.unwrap();
    let (mut definition, _) = newest(&world, script.clone()).await;
    // Registered before `#!` lines were read.
    definition.python_of_shebang = None;
    let kept: Definition =
        serde_json::from_value(serde_json::to_value(&definition).unwrap()).unwrap();
    assert_eq!((kept.python(), kept.sources, kept.warm_up.len()), (None, false, 0));
    let mut before = script;
    before.version.definition = kept;
    let settings = world.registry.settings.clone();
    let drafted = |input: Value| {
        let known = Known { script: &before, code: source.as_bytes() };
        draft(sent(input), Some(known), None, &settings).map(|it| it.definition.python()).unwrap()
    };
    assert_eq!(drafted(json!({"args": ["a"], "python": null})), None);
    assert_eq!(drafted(json!({"source": source})), None);
    assert_eq!(drafted(json!({"source": format!("{source}\n")})), Some(Python311));
    assert_eq!(drafted(json!({"python": "3.12"})), Some(Python312));
}

#[tokio::test]
async fn sources_need_requirements() {
    let world = World::new().await;
    let found = world.faults(with(python("1"), json!({"sources": true}))).await;
    assert_eq!(pointers(&found), ["/sources"]);
    let found = world.faults(with(plain("a"), json!({"sources": true}))).await;
    assert_eq!(pointers(&found), ["/sources"]);
    // Invalid requirements are reported, and no dependent faults.
    let wrong = json!({"sources": true, "requirements": "!"});
    assert_eq!(pointers(&world.faults(with(python("1"), wrong)).await), ["/requirements"]);
    let both = json!({"sources": true, "requirements": "six"});
    let script = world.register(with(python("1"), both)).await.unwrap();
    let kept = world.change(script.id, json!({"args": ["a"]})).await.unwrap();
    assert!(newest(&world, kept).await.0.sources);
    let gone = world.change(script.id, json!({"requirements": null})).await.unwrap();
    assert!(!newest(&world, gone).await.0.sources);
    world.register(with(plain("b"), json!({"sources": false}))).await.unwrap();
}

#[tokio::test]
async fn a_warm_up_is_a_command() {
    let world = World::new().await;
    for (command, words) in [
        (json!(["", "x"]), "its first word is empty"),
        (json!(["x", "a\0"]), "word 2 has a NUL byte"),
        (json!(vec!["x"; 65]), "65 words, at most 64"),
        (json!(["x".repeat(16 * 1024)]), "at most 16384 (16 KiB)"),
    ] {
        let found = world.faults(with(plain("a"), json!({"warm_up": command}))).await;
        assert_eq!(pointers(&found), ["/warm_up"]);
        assert!(found[0].detail.contains(words), "{}", found[0].detail);
    }
    let script = world.register(with(plain("a"), json!({"warm_up": ["fc-cache"]}))).await.unwrap();
    let (definition, key) = newest(&world, script).await;
    assert_eq!(definition.warm_up, ["fc-cache"]);
    assert_eq!(*world.requested.lock().unwrap(), [key.unwrap()]);
}

#[tokio::test]
async fn only_admins_choose_them_and_the_audit_log_has_them() {
    let world = World::new().await;
    let script = world.register(with(python("1"), json!({"requirements": "six"}))).await.unwrap();
    let fields = json!({"python": "3.11", "sources": true, "warm_up": ["true"]});
    let refused = world.registry.change(&operator(), script.id, sent(fields.clone())).await;
    match refused {
        Err(RegistryError::Forbidden(fields)) => {
            assert_eq!(fields, ["python", "sources", "warm_up"]);
        }
        other => panic!("{other:?}"),
    }
    world.change(script.id, fields.clone()).await.unwrap();
    let after = world.audit().await[0].after.clone().unwrap();
    for (name, value) in fields.as_object().unwrap() {
        assert_eq!(&after[name], value, "{after:#}");
    }
}

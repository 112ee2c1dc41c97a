//! Run settings of scripts: held sandboxes, preloading, and OCI runtimes.

use super::*;
use crate::domain::script_type::python::preload::Preload;

fn python(name: &str) -> Value {
    json!({"name": name, "script_type": "python", "source": "print(1)\n"})
}

#[tokio::test]
async fn what_is_held_is_changed_by_operators_and_makes_no_version() {
    let world = World::new().await;
    let script = world.register(plain("a")).await.unwrap();
    assert_eq!(script.settings.warm, 0);
    let input = sent(json!({"warm": 64}));
    let changed = world.registry.change(&operator(), script.id, input).await.unwrap();
    assert_eq!((changed.settings.warm, changed.version.number), (64, 1));
    let kept = world.change(script.id, json!({"description": "d"})).await.unwrap();
    assert_eq!(kept.settings.warm, 64);
    let audit = &world.audit().await[1];
    assert_eq!(audit.before, Some(json!({"warm": 0})));
    assert_eq!(audit.after, Some(json!({"warm": 64})));
    let back = world.change(script.id, json!({"warm": null})).await.unwrap();
    assert_eq!(back.settings.warm, 0);
    let faults = invalid(world.change(script.id, json!({"warm": 65})).await);
    assert_eq!(pointers(&faults), ["/warm"]);
    assert_eq!(faults[0].detail, "65 sandboxes, at most 64 are held for a script");
}

#[tokio::test]
async fn nothing_is_held_with_mounts() {
    let world = World::new().await;
    let mounts = json!({"mounts": [{"source": world.path("data"), "target": "/in"}]});
    let both = with(with(plain("a"), mounts.clone()), json!({"warm": 1}));
    assert_eq!(pointers(&world.faults(both).await), ["/warm"]);
    let script = world.register(with(plain("a"), mounts)).await.unwrap();
    let input = sent(json!({"warm": 1}));
    let refused = world.registry.change(&operator(), script.id, input).await;
    assert_eq!(pointers(&invalid(refused)), ["/warm"]);
    // A script with both through an older version can still be changed otherwise.
    let fields = json!({"mounts": null, "warm": 1});
    world.change(script.id, fields).await.unwrap();
    let back = world.registry.activate(&admin(), script.id, 1).await.unwrap();
    assert_eq!((back.settings.warm, back.version.definition.mounts.len()), (1, 1));
    let input = sent(json!({"is_enabled": false}));
    world.registry.change(&operator(), script.id, input).await.unwrap();
    world.change(script.id, json!({"description": "d"})).await.unwrap();
}

#[tokio::test]
async fn preloading_is_pythons_and_a_version_of_its_own() {
    let world = World::new().await;
    let script = world.register(python("a")).await.unwrap();
    assert_eq!(script.version.definition.preload, Preload::Automatic);
    let off = world.change(script.id, json!({"preload": false})).await.unwrap();
    assert_eq!((off.version.number, &off.version.definition.preload), (2, &Preload::Off));
    let kept = world.change(script.id, json!({"description": "d"})).await.unwrap();
    assert_eq!(kept.version.number, 2);
    let listed = world.change(script.id, json!({"preload": ["json", "os.path"]})).await.unwrap();
    assert_eq!(listed.version.number, 3);
    let back = world.change(script.id, json!({"preload": null})).await.unwrap();
    assert_eq!(back.version.number, 1);
}

#[tokio::test]
async fn nothing_else_is_preloaded() {
    let world = World::new().await;
    for preload in [json!(true), json!(false), json!(["os"])] {
        let faults = world.faults(with(plain("a"), json!({"preload": preload}))).await;
        assert_eq!(pointers(&faults), ["/preload"]);
        assert_eq!(faults[0].detail, "a shell script has none; only python scripts do");
    }
    let shell = world.register(with(plain("a"), json!({"preload": null}))).await.unwrap();
    assert_eq!(shell.version.definition.preload, Preload::Off);
    // A script that becomes Python gets Python's default; one that stops being Python has none.
    let python = world.change(shell.id, json!({"script_type": "python"})).await.unwrap();
    assert_eq!(python.version.definition.preload, Preload::Automatic);
    let shell = world.change(shell.id, json!({"script_type": "shell"})).await.unwrap();
    assert_eq!(shell.version.number, 1);
}

#[tokio::test]
async fn an_oci_runtime_is_one_that_the_engine_has() {
    let world = World::new().await;
    let with_runtime = |name: &str| with(plain("a"), json!({"runtime": name}));
    let faults = world.faults(with_runtime("runsc")).await;
    assert_eq!(pointers(&faults), ["/runtime"]);
    assert_eq!(faults[0].detail, "the engine has no OCI runtime named runsc; it has runc");
    for name in ["", "/bin/sh", "a b", &"r".repeat(65)] {
        let faults = world.faults(with_runtime(name)).await;
        assert_eq!(pointers(&faults), ["/runtime"], "{name}");
    }
    let script = world.register(with_runtime("runc")).await.unwrap();
    let name = |script: &RegisteredScript| {
        script.version.definition.runtime.as_ref().map(ToString::to_string)
    };
    assert_eq!(name(&script).as_deref(), Some("runc"));
    let none = world.change(script.id, json!({"runtime": null})).await.unwrap();
    assert_eq!((none.version.number, name(&none)), (2, None));
}

#[tokio::test]
async fn preloading_and_the_oci_runtime_are_for_admins() {
    let world = World::new().await;
    let script = world.register(python("a")).await.unwrap();
    let input = sent(json!({"preload": false, "runtime": "runc", "warm": 1}));
    match world.registry.change(&operator(), script.id, input).await {
        Err(RegistryError::Forbidden(fields)) => assert_eq!(fields, ["preload", "runtime"]),
        other => panic!("{other:?}"),
    }
}

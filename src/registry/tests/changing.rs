use super::*;

#[tokio::test]
async fn what_is_not_sent_stays_as_it_is() {
    let world = World::new().await;
    let rich = json!({
        "description": "d", "args": ["a"], "env": {"A": "1"}, "limits": {"cpus": 2},
        "argument_schema": {"minimum": 1.0}, "max_concurrency": 2
    });
    let before = world.register(with(plain("a"), rich)).await.unwrap();
    let after = world.change(before.id, json!({"timeout_secs": 5})).await.unwrap();
    assert_eq!(after.version, before.version);
    assert_eq!(after.settings.limits, before.settings.limits);
    assert_eq!(after.description, "d");
    assert_eq!(after.settings.timeout_secs.as_millis(), 5_000);
    let nulls = json!({"description": null, "args": null, "env": null, "limits": null, "max_concurrency": null});
    let after = world.change(before.id, nulls).await.unwrap();
    assert_eq!((after.description.as_str(), after.version.definition.args.len()), ("", 0));
    assert_eq!(after.settings.limits, Default::default());
    assert_eq!(after.settings.max_concurrency, None);
    assert_eq!(after.version.number, 2);
}

#[tokio::test]
async fn limits_are_merged() {
    let world = World::new().await;
    let limits = json!({"limits": {"cpus": 0.5, "pids": 100}});
    let before = world.register(with(plain("a"), limits)).await.unwrap();
    let after =
        world.change(before.id, json!({"limits": {"memory_bytes": 64 << 20}})).await.unwrap();
    let limits = after.settings.limits;
    assert_eq!((limits.nano_cpus, limits.pids), (NANO_CPUS_PER_CPU / 2, 100));
    assert_eq!((limits.memory_bytes, limits.scratch_bytes), (64 << 20, 32 << 20));
}

#[tokio::test]
async fn what_shapes_the_run_makes_a_version_and_going_back_finds_the_old_one() {
    let world = World::new().await;
    let script = world.register(plain("a")).await.unwrap();
    let changed = world.change(script.id, json!({"source": "echo 2\n"})).await.unwrap();
    assert_eq!(changed.version.number, 2);
    let changed = world.change(script.id, json!({"env": {"A": "1"}})).await.unwrap();
    assert_eq!(changed.version.number, 3);
    let back = world.change(script.id, json!({"source": "echo 1\n", "env": {}})).await.unwrap();
    assert_eq!(back.version.number, 1);
    assert_eq!(world.registry.store.count_versions(script.id).await.unwrap(), 3);
}

#[tokio::test]
async fn a_changed_file_is_a_new_version_at_the_next_change() {
    let world = World::new().await;
    let path = world.write("scripts/a.sh", "echo 1");
    let by_path = json!({"name": "a", "script_type": "shell", "file_path": path});
    let script = world.register(by_path).await.unwrap();
    assert_eq!(world.change(script.id, json!({})).await.unwrap().version.number, 1);
    world.write("scripts/a.sh", "echo 2");
    assert_eq!(world.change(script.id, json!({})).await.unwrap().version.number, 2);
    world.write("scripts/a.sh", "echo 3");
    let operated = json!({"timeout_secs": 9});
    let operated = world.registry.change(&operator(), script.id, sent(operated)).await.unwrap();
    assert_eq!(operated.version.number, 2);
    fs::remove_file(world.path("scripts/a.sh")).unwrap();
    let found = invalid(world.change(script.id, json!({})).await);
    assert_eq!(pointers(&found), ["/file_path"]);
    // A script can be disabled whatever the state of its file.
    assert!(
        !world.change(script.id, json!({"is_enabled": false})).await.unwrap().settings.is_enabled
    );
    let sent = world.change(script.id, json!({"source": "echo"})).await.unwrap();
    assert_eq!(sent.file_path, None);
}

#[tokio::test]
async fn changed_requirements_are_a_new_version_at_the_next_change() {
    let world = World::new().await;
    let path = world.write("scripts/r.txt", "six\n");
    let by_path =
        json!({"name": "a", "script_type": "python", "source": "1", "requirements_path": path});
    let script = world.register(by_path).await.unwrap();
    assert_eq!(world.change(script.id, json!({})).await.unwrap().version.number, 1);
    world.write("scripts/r.txt", "idna\n");
    let changed = world.change(script.id, json!({"description": "b"})).await.unwrap();
    assert_eq!(changed.version.number, 2);
    assert_eq!(changed.version.definition.requirements.as_deref(), Some("idna\n"));
    fs::remove_file(world.path("scripts/r.txt")).unwrap();
    let found = invalid(world.change(script.id, json!({})).await);
    assert_eq!(pointers(&found), ["/requirements_path"]);
    assert!(
        !world.change(script.id, json!({"is_enabled": false})).await.unwrap().settings.is_enabled
    );
    let none = world.change(script.id, json!({"requirements": null})).await.unwrap();
    assert_eq!((none.requirements_path, none.version.definition.requirements), (None, None));
    assert_eq!(world.change(script.id, json!({})).await.unwrap().version.number, 3);
}

#[tokio::test]
async fn operators_change_how_it_is_run_and_nothing_else() {
    let world = World::new().await;
    let script = world.register(plain("a")).await.unwrap();
    let allowed = json!({"limits": {"cpus": 2}, "timeout_secs": 1, "max_concurrency": 1, "is_enabled": false});
    world.registry.change(&operator(), script.id, sent(allowed)).await.unwrap();
    let refused = json!({"env": {"A": "1"}, "description": null, "timeout_secs": 1});
    match world.registry.change(&operator(), script.id, sent(refused)).await {
        Err(RegistryError::Forbidden(fields)) => assert_eq!(fields, ["description", "env"]),
        other => panic!("{other:?}"),
    }
    let deactivated = world.registry.deactivate(&operator(), script.id).await;
    assert!(matches!(deactivated, Err(RegistryError::Forbidden(_))));
    let viewer = Actor { name: "v".to_owned(), role: Role::Viewer };
    let changed = world.registry.change(&viewer, script.id, ScriptInput::default()).await;
    assert!(matches!(changed, Err(RegistryError::Forbidden(_))));
}

#[tokio::test]
async fn versions_are_activated() {
    let world = World::new().await;
    let script = world.register(plain("a")).await.unwrap();
    let jq = json!({"source": "jq", "system_packages": ["jq"]});
    let waiting = world.change(script.id, jq).await.unwrap();
    assert_eq!((waiting.version.number, waiting.pending_version), (1, Some(2)));
    let second = world.registry.store.version(script.id, 2).await.unwrap().unwrap();
    let key = second.environment_key.unwrap();
    let first = world.registry.activate(&admin(), script.id, 1).await.unwrap();
    assert_eq!(first.version, script.version);
    assert_eq!(first.pending_version, None);
    let again = world.registry.activate(&admin(), script.id, 2).await.unwrap();
    assert_eq!((again.version.number, again.pending_version), (1, Some(2)));
    assert_eq!(*world.requested.lock().unwrap(), [key.clone(), key]);
    let missing = world.registry.activate(&admin(), script.id, 3).await;
    assert!(matches!(missing, Err(RegistryError::NoSuchVersion(3))));
    let missing = world.registry.activate(&admin(), 99, 1).await;
    assert!(matches!(missing, Err(RegistryError::NotFound)));
}

#[tokio::test]
async fn a_name_that_is_taken_is_not_taken_over() {
    let world = World::new().await;
    world.register(plain("a")).await.unwrap();
    let other = world.register(plain("b")).await.unwrap();
    let renamed = world.change(other.id, json!({"name": "a"})).await;
    assert!(matches!(renamed, Err(RegistryError::NameConflict(name)) if name == "a"));
    world.change(other.id, json!({"name": "c"})).await.unwrap();
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_kept() {
    let world = World::new().await;
    let id = world.register(plain("a")).await.unwrap().id;
    let (one, two, three) = tokio::join!(
        world.change(id, json!({"description": "new"})),
        world.change(id, json!({"args": ["x"]})),
        world.change(id, json!({"timeout_secs": 7})),
    );
    for answer in [one, two, three] {
        answer.unwrap();
    }
    let script = world.registry.script(id).await.unwrap();
    assert_eq!(script.description, "new");
    assert_eq!(script.version.definition.args, ["x"]);
    assert_eq!(script.settings.timeout_secs.as_millis(), 7_000);
    assert_eq!(world.audit().await.len(), 4);
}

#[tokio::test]
async fn the_audit_log_says_who_changed_what_and_keeps_secrets() {
    let world = World::new().await;
    let secret = json!({"source": "echo HIDDEN", "env": {"KEY": "HIDDEN"}});
    let id = world.register(with(plain("a"), secret)).await.unwrap().id;
    world.change(id, json!({"timeout_secs": 7, "env": {"KEY": "HIDDEN2"}})).await.unwrap();
    world.change(id, json!({"is_enabled": false})).await.unwrap();
    world.change(id, json!({"is_enabled": true})).await.unwrap();
    world.registry.activate(&admin(), id, 1).await.unwrap();
    world.registry.deactivate(&admin(), id).await.unwrap();
    let entries = world.audit().await;
    let actions: Vec<_> = entries.iter().rev().map(|it| it.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "script.register",
            "script.update",
            "script.disable",
            "script.enable",
            "script.activate",
            "script.deactivate"
        ]
    );
    let update = &entries[4];
    assert_eq!((update.actor.as_str(), update.subject.as_str()), ("root", "script:a"));
    assert_eq!(update.before.as_ref().unwrap()["timeout_secs"], json!(300));
    assert_eq!(update.after.as_ref().unwrap()["timeout_secs"], json!(7));
    assert_eq!(entries[5].after.as_ref().unwrap()["env"], json!(["KEY"]));
    assert!(!format!("{entries:?}").contains("HIDDEN"));
}

#[tokio::test]
async fn every_command_reports_the_script_once() {
    let world = World::new().await;
    let reported = || std::mem::take(&mut *world.changed.lock().unwrap());
    let id = world.register(with(plain("a"), json!({"max_concurrency": 2}))).await.unwrap().id;
    assert_eq!(reported(), [(id, Some(2))]);
    world.change(id, json!({"max_concurrency": 3, "source": "echo 2\n"})).await.unwrap();
    assert_eq!(reported(), [(id, Some(3))]);
    world.registry.activate(&admin(), id, 1).await.unwrap();
    assert_eq!(reported(), [(id, Some(3))]);
    let operated = sent(json!({"max_concurrency": null}));
    world.registry.change(&operator(), id, operated).await.unwrap();
    assert_eq!(reported(), [(id, None)]);
    world.change(id, json!({"is_enabled": false})).await.unwrap();
    world.change(id, json!({"is_enabled": true})).await.unwrap();
    world.registry.deactivate(&admin(), id).await.unwrap();
    assert_eq!(reported(), [(id, None); 3]);
    world.change(id, json!({"timeout_secs": 0})).await.unwrap_err();
    world.registry.activate(&admin(), id, 9).await.unwrap_err();
    world.registry.deactivate(&operator(), id).await.unwrap_err();
    world.register(plain("a")).await.unwrap_err();
    assert_eq!(reported(), []);
}

use super::*;

/// Writes a folder of a bundle below the roots.
fn folder(world: &World) -> String {
    let folder = world.path("scripts/tool");
    fs::create_dir_all(format!("{folder}/lib")).unwrap();
    world.write("scripts/tool/main.sh", "#!/bin/sh\n");
    world.write("scripts/tool/lib/a.sh", "a");
    folder
}

#[tokio::test]
async fn a_folder_becomes_a_bundle_with_an_environment_of_its_own() {
    let world = World::new().await;
    let new = json!({"name": "tool", "file_path": folder(&world)});
    let script = world.register(new).await.unwrap();
    let definition = &script.version.definition;
    assert_eq!(definition.entry.as_deref(), Some("main.sh"));
    assert_eq!(definition.file_name, "main.sh");
    let bundle = definition.bundle.unwrap();
    let manifest = world.registry.store.bundle(bundle).await.unwrap();
    assert_eq!(manifest.files().len(), 2);
    assert!(world.registry.settings.bundles.place(bundle).exists());
    let key = script.version.environment_key.clone().unwrap();
    let environment = world.registry.store.environment(&key).await.unwrap().unwrap();
    assert_eq!(environment.bundle, Some(bundle));
    assert_eq!(world.registry.file_state(&script).await, FileState::Same);
    world.write("scripts/tool/lib/a.sh", "b");
    assert_eq!(world.registry.file_state(&script).await, FileState::Differs);
}

#[tokio::test]
async fn a_kept_bundle_takes_another_entry_and_no_other_files() {
    let world = World::new().await;
    let script =
        world.register(json!({"name": "tool", "file_path": folder(&world)})).await.unwrap();
    let bundle = script.version.definition.bundle.unwrap();
    let copy = json!({"name": "copy", "bundle": bundle, "entry": "lib/a.sh"});
    let copy = world.register(copy).await.unwrap();
    assert_eq!(copy.version.definition.bundle, Some(bundle));
    assert_eq!(copy.version.definition.file_name, "a.sh");
    assert_eq!(copy.file_path, None);
    assert_eq!(copy.version.environment_key, script.version.environment_key);
    let found = world.faults(json!({"name": "x", "bundle": bundle, "entry": "none"})).await;
    assert_eq!(pointers(&found), ["/entry"]);
    let both = json!({"name": "x", "bundle": bundle, "source": "echo"});
    assert_eq!(pointers(&world.faults(both).await), ["/bundle"]);
    let alone = json!({"name": "x", "script_type": "shell", "source": "echo", "entry": "x"});
    assert_eq!(pointers(&world.faults(alone).await), ["/entry"]);
    let windows = world.path("scripts/windows");
    fs::create_dir(&windows).unwrap();
    world.write("scripts/windows/main.sh", "#!/bin/sh\r\necho\r\n");
    let found = world.faults(json!({"name": "x", "file_path": windows})).await;
    assert!(found[0].detail.contains("Windows"), "{found:?}");
}

use super::*;
use crate::domain::script_type::ScriptType;

#[tokio::test]
async fn a_script_is_registered_with_all_that_was_sent() {
    let world = World::new().await;
    let data = world.path("data");
    let script = world
        .register(json!({
            "name": "weather", "description": "d", "script_type": "python", "source": "print(1)",
            "file_name": "w.py", "requirements": "Six==1.16\n", "system_packages": ["jq"],
            "argument_schema": {"type": "object"}, "output_schema": {"minimum": 1e2},
            "args": ["-v"], "env": {"B": "2", "A": "1"}, "output_file": "out/r.json",
            "working_directory": "x", "timeout_secs": 1.5, "limits": {"cpus": 0.5},
            "network": "egress", "mounts": [{"source": data, "target": "/in"}],
            "max_concurrency": 3, "is_enabled": false
        }))
        .await
        .unwrap();
    let definition = &script.version.definition;
    assert_eq!((script.version.number, script.settings.is_enabled), (1, false));
    assert_eq!(definition.file_name, "w.py");
    assert_eq!(definition.requirements_hash.as_ref().unwrap().len(), 64);
    assert_eq!(definition.output_schema, json!({"minimum": 100}));
    assert!(definition.mounts[0].read_only);
    assert_eq!(script.settings.limits.nano_cpus, NANO_CPUS_PER_CPU / 2);
    assert_eq!(world.registry.store.code(&definition.digest).await.unwrap(), b"print(1)");
    let key = script.version.environment_key.unwrap();
    assert_eq!(*world.requested.lock().unwrap(), [key]);
}

#[tokio::test]
async fn a_plain_script_needs_no_environment() {
    let world = World::new().await;
    let script = world.register(plain("a")).await.unwrap();
    assert_eq!(script.version.environment_key, None);
    assert_eq!(script.version.definition.file_name, "script.sh");
    let empty =
        json!({"name": "b", "script_type": "python", "source": "1", "requirements": "# no\n"});
    assert_eq!(world.register(empty).await.unwrap().version.environment_key, None);
    assert!(world.requested.lock().unwrap().is_empty());
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let world = World::new().await;
    let found = world
        .faults(json!({
            "name": "1", "description": "a\0", "script_type": "shell", "source": "a", "source_base64": "!",
            "working_directory": "../x", "requirements": "six", "system_packages": ["-x"],
            "argument_schema": {"$ref": "https://example.com/x"}, "output_schema": {"pattern": "(?=a)"},
            "args": ["a\0"], "env": {"PATH": "x", "a/b": "y", "OK": "secret"},
            "output_file": "/etc/passwd", "timeout_secs": 0, "limits": {"memory_bytes": 1},
            "mounts": [{"source": "/etc", "target": "/in"}], "max_concurrency": 0
        }))
        .await;
    let found_at = pointers(&found);
    for wanted in [
        "/name",
        "/description",
        "/source_base64",
        "/requirements",
        "/system_packages",
        "/args",
        "/env/PATH",
        "/env/a~1b",
        "/timeout_secs",
        "/limits/memory_bytes",
        "/max_concurrency",
        "/working_directory",
        "/output_file",
        "/argument_schema",
        "/output_schema",
        "/mounts/0/source",
    ] {
        assert!(found_at.contains(&wanted), "{wanted} is not in {found_at:?}");
    }
    assert!(found.iter().all(|it| !it.detail.contains("secret")));
}

#[tokio::test]
async fn what_shapes_the_run_is_checked() {
    let world = World::new().await;
    for (field, value) in [
        ("working_directory", json!("../x")),
        ("working_directory", json!("a\0b")),
        ("output_file", json!("/etc/passwd")),
        ("output_file", json!("a/./b")),
        ("argument_schema", json!({"$ref": "https://example.com/x"})),
        ("output_schema", json!({"pattern": "(?=a)"})),
        ("argument_schema", json!(7)),
        ("args", json!(["x".repeat(200_000)])),
        ("args", json!(vec![""; 10_001])),
        ("file_name", json!("a/b")),
        ("file_name", json!("")),
        ("timeout_secs", json!(1e300)),
        ("source_base64", json!("x")),
        ("mounts", json!(vec![json!({"source": "/", "target": "/in"}); 17])),
    ] {
        let found = world.faults(with(plain("a"), json!({field: value}))).await;
        assert!(found[0].pointer.starts_with(&format!("/{field}")), "{field}: {found:?}");
    }
}

#[tokio::test]
async fn names_are_safe_and_bounded() {
    let world = World::new().await;
    // One of each harmful general category, and more.
    let odd = [
        "",
        " ",
        "ä",
        "a\u{300}",
        "a\u{200b}",
        "a\u{202e}b",
        "a\u{0}",
        "a\n",
        "\u{e000}",
        "a😀",
        "a\u{2028}",
        "a\u{feff}",
        "Ａ",
        "а",
        "a/b",
        "..",
        "-a",
        "1",
        "a b",
        "a\u{fffe}",
    ];
    for name in odd {
        assert_eq!(pointers(&world.faults(plain(name)).await), ["/name"], "{name:?}");
    }
    let found = world.faults(plain(&"a".repeat(10 * 1024 * 1024))).await;
    assert!(found[0].detail.len() < 1_000);
    let long = with(plain("a"), json!({"description": "x".repeat(65 * 1024)}));
    assert_eq!(pointers(&world.faults(long).await), ["/description"]);
}

#[tokio::test]
async fn exactly_one_source_is_wanted() {
    let world = World::new().await;
    let path = world.write("scripts/a.sh", "echo");
    let none = json!({"name": "a", "script_type": "shell"});
    assert_eq!(pointers(&world.faults(none).await), ["/source"]);
    let two = with(plain("a"), json!({"file_path": path}));
    assert_eq!(pointers(&world.faults(two).await), ["/source"]);
    let untyped = json!({"name": "a", "source": "x"});
    assert_eq!(pointers(&world.faults(untyped).await), ["/script_type"]);
    let told = world.write("scripts/b.py", "print(1)");
    let told = world.register(json!({"name": "b", "file_path": told})).await.unwrap();
    assert_eq!(told.version.definition.script_type, ScriptType::Python);
    let coded = json!({"name": "a", "script_type": "shell", "source_base64": "ZWNobwo="});
    let script = world.register(coded).await.unwrap();
    let code = world.registry.store.code(&script.version.definition.digest).await.unwrap();
    assert_eq!(code, b"echo\n");
}

#[tokio::test]
async fn files_come_from_below_the_roots_alone() {
    let world = World::new().await;
    let by = |path: &str| json!({"name": "a", "script_type": "shell", "file_path": path});
    world.write("secret", "SECRET");
    symlink(world.path("secret"), world.path("scripts/link")).unwrap();
    let dotted = world.path("scripts/../secret");
    for path in ["/etc/passwd", &world.path("secret"), &world.path("scripts/link"), &dotted, "a\0"]
    {
        let found = world.faults(by(path)).await;
        assert_eq!(pointers(&found), ["/file_path"], "{path}");
        assert!(!found[0].detail.contains("SECRET"));
    }
    let file = world.write("scripts/a.sh", "echo");
    let script = world.register(by(&file)).await.unwrap();
    assert_eq!(script.file_path.as_deref(), Some(file.as_str()));
    assert_eq!(script.version.definition.file_name, "a.sh");
    let requirements = with(
        json!({"name": "b", "script_type": "python", "source": "1"}),
        json!({"requirements_path": world.write("scripts/r.txt", "six\n")}),
    );
    let script = world.register(requirements).await.unwrap();
    assert_eq!(script.version.definition.requirements.as_deref(), Some("six\n"));
    assert_eq!(script.requirements_path, Some(world.write("scripts/r.txt", "six\n")));
    let outside = json!({"name": "c", "script_type": "python", "source": "1", "requirements_path": "/etc/hosts"});
    assert_eq!(pointers(&world.faults(outside).await), ["/requirements_path"]);
}

/// Head of a static executable for a machine, by its number (ELF-64).
fn elf(machine: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(16, &[2, 0, machine, 0, 1]);
    put(32, &[64]);
    put(52, &[64, 0, 56, 0, 1, 0, 64]);
    put(64, &[1, 0, 0, 0, 5]);
    bytes
}

#[tokio::test]
async fn binaries_are_looked_into() {
    let world = World::new().await;
    let by = |path: &str| json!({"name": "a", "script_type": "binary", "file_path": path});
    let script = world.write("scripts/no", "#!/bin/sh\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(world.faults(by(&script)).await[0].detail.contains("not an ELF file"));
    let foreign = world.write("scripts/arm", elf(183));
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(world.faults(by(&foreign)).await[0].detail.contains("aarch64"));
    let program = world.write("scripts/x86", elf(62));
    let found = world.faults(by(&program)).await;
    assert!(found[0].detail.contains("chmod +x"), "{found:?}");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    world.register(by(&program)).await.unwrap();
}

#[tokio::test]
async fn limits_stay_inside_what_the_machine_has() {
    let world = World::new().await;
    let limited = |limits: Value| with(plain("a"), json!({"limits": limits}));
    let found = world.faults(limited(json!({"cpus": 3, "memory_bytes": 1_u64 << 31}))).await;
    assert_eq!(pointers(&found), ["/limits/memory_bytes", "/limits/cpus"]);
    let found = world.faults(limited(json!({"pids": 1}))).await;
    assert_eq!(pointers(&found), ["/limits/pids"]);
    let script = world.register(limited(json!({"memory_bytes": 64 << 20}))).await.unwrap();
    assert_eq!(script.settings.limits.scratch_bytes, 32 << 20);
}

#[tokio::test]
async fn mounts_are_resolved_and_tell_nothing_of_elsewhere() {
    let world = World::new().await;
    fs::create_dir(world.path("data/real")).unwrap();
    symlink("real", world.path("data/link")).unwrap();
    symlink(world.path("scripts"), world.path("data/out")).unwrap();
    let mounted = |name: &str, sources: &[String]| {
        let mount = |(at, source): (usize, &String)| json!({"source": source, "target": format!("/in{at}"), "read_only": false});
        let mounts: Vec<_> = sources.iter().enumerate().map(mount).collect();
        with(plain(name), json!({"mounts": mounts}))
    };
    let script = world.register(mounted("a", &[world.path("data/link")])).await.unwrap();
    let real = PathBuf::from(world.path("data/real")).canonicalize().unwrap();
    assert_eq!(script.version.definition.mounts[0].source, real);
    let wrong = [world.path("data/out"), world.path("scripts"), world.path("data/none")];
    let found = world.faults(mounted("b", &wrong)).await;
    assert_eq!(pointers(&found), ["/mounts/0/source", "/mounts/1/source", "/mounts/2/source"]);
    let twice = json!([
        {"source": world.path("data"), "target": "/in"},
        {"source": world.path("data/real"), "target": "/in/x"}
    ]);
    let found = world.faults(with(plain("c"), json!({"mounts": twice}))).await;
    assert_eq!(pointers(&found), ["/mounts"]);
}

#[tokio::test]
async fn of_two_that_want_one_name_one_gets_it() {
    let world = World::new().await;
    let (one, other) = tokio::join!(world.register(plain("a")), world.register(plain("a")));
    let is_taken =
        |it: &Result<_, _>| matches!(it, Err(RegistryError::NameConflict(name)) if name == "a");
    assert!(one.is_ok() != other.is_ok());
    assert!(is_taken(&one) != is_taken(&other));
    assert_eq!(world.audit().await.len(), 1);
}

#[tokio::test]
async fn only_admins_register() {
    let world = World::new().await;
    for role in [Role::Operator, Role::Runner, Role::Viewer] {
        let actor = Actor { name: "x".to_owned(), role };
        let answer = world.registry.register(&actor, sent(plain("a"))).await;
        assert!(matches!(answer, Err(RegistryError::Forbidden(_))));
    }
}

#[test]
fn fields_that_are_not_known_are_refused() {
    let unknown = json!({"nmae": "a"});
    assert!(serde_json::from_value::<ScriptInput>(unknown).is_err());
    let unknown = json!({"limits": {"cpu": 1}});
    assert!(serde_json::from_value::<ScriptInput>(unknown).is_err());
    assert_eq!(sent(json!({"description": null})).description, Some(None));
    assert_eq!(sent(json!({})).description, None);
}

#[test]
fn objects_are_read_by_their_names_alone_and_names_stand_once() {
    let read = |json: &str| serde_json::from_str::<ScriptInput>(json);
    let mount = r#"{"source": "/a", "target": "/b", "read_only": true}"#;
    for taken in [
        r#"{"limits": {"cpus": 1}}"#.to_owned(),
        r#"{"limits": null, "mounts": null, "env": null}"#.to_owned(),
        format!(r#"{{"mounts": [{mount}]}}"#),
        r#"{"env": {"A": "1", "B": "1"}}"#.to_owned(),
    ] {
        assert!(read(&taken).is_ok(), "{taken}");
    }
    let null = read(r#"{"limits": null, "mounts": null, "env": null}"#).unwrap();
    assert_eq!((null.limits, null.mounts, null.env), (Some(None), Some(None), Some(None)));
    for refused in [
        r#"{"limits": [1, 2]}"#,
        r#"{"limits": [null, null]}"#,
        r#"{"limits": []}"#,
        r#"{"mounts": [["/a", "/b", true]]}"#,
        r#"{"mounts": {}}"#,
        r#"{"limits": {"cpus": 1, "cpus": 2}}"#,
        r#"{"env": {"A": "1", "A": "2"}}"#,
        r#"{"env": []}"#,
    ] {
        assert!(read(refused).is_err(), "{refused}");
    }
}

#[tokio::test]
async fn a_script_runs_as_an_owner_that_the_operator_allows_and_no_other() {
    let world = World::new().await;
    let owned = with(plain("a"), json!({"owner": "1000:1000"}));
    let script = world.register(owned).await.unwrap();
    assert_eq!(script.version.definition.owner.unwrap().to_string(), "1000:1000");
    let kept = world.change(script.id, json!({"description": "x"})).await.unwrap();
    assert_eq!((kept.version.number, kept.version.definition.owner.is_some()), (1, true));
    let none = world.change(script.id, json!({"owner": null})).await.unwrap();
    assert_eq!((none.version.number, none.version.definition.owner), (2, None));
    for (owner, words) in [
        ("1000:1001", "GANTRY_OWNERS does not have it"),
        ("65534:65534", "GANTRY_OWNERS does not have it"),
        ("0:0", "no script runs as root"),
        ("ann", "is not UID:GID"),
    ] {
        let found = world.faults(with(plain("b"), json!({"owner": owner}))).await;
        assert_eq!(pointers(&found), ["/owner"], "{owner}");
        assert!(found[0].detail.contains(words), "{owner}: {}", found[0].detail);
    }
}

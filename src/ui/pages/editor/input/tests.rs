use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::domain::registry::settings::Tags;
use crate::domain::registry::{Definition, RegisteredScript, ScriptName, ScriptVersion};
use crate::ui::address::encoded;

fn fields(pairs: &[(&str, &str)]) -> FormFields {
    let mut text = String::new();
    for (name, value) in pairs {
        let pair = format!("{}={}", encoded(name), encoded(value));
        text.push_str(&pair);
        text.push('&');
    }
    FormFields::of_query(&text)
}

/// Form as sent with only these fields changed.
fn sent(before: &Values, changed: &[(&str, &str)]) -> FormFields {
    let is_left = |name: &str| !changed.iter().any(|(other, _)| *other == name);
    let kept = names().filter(|name| is_left(name));
    let mut pairs: Vec<_> = kept.map(|name| (name, before.text(name))).collect();
    // Browsers do not send unticked boxes.
    pairs.retain(|(name, value)| *name != "is_enabled" || !value.is_empty());
    pairs.extend(changed.iter().filter(|(name, value)| *name != "is_enabled" || !value.is_empty()));
    fields(&pairs)
}

fn as_json(input: Result<ScriptInput, Vec<Fault>>) -> Value {
    serde_json::to_value(input.unwrap()).unwrap()
}

fn script() -> RegisteredScript {
    let definition: Definition = serde_json::from_value(json!({
        "script_type": "python", "digest": "d", "file_name": "a.py", "working_directory": null,
        "requirements": "six\n", "requirements_hash": "h", "system_packages": ["jq"],
        "argument_schema": {"type": "object"}, "output_schema": {}, "args": ["-v", ""],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "x\ny"}],
        "output_file": null, "network": "none",
        "mounts": [{"source": "/data/in", "target": "/in", "read_only": false}],
        "preload": ["numpy"], "runtime": null
    }))
    .unwrap();
    let created_at = DateTime::from_timestamp(0, 0).unwrap();
    RegisteredScript {
        id: 1,
        name: ScriptName::new("weather").unwrap(),
        description: "one\r\ntwo".to_owned(),
        file_path: None,
        requirements_path: None,
        settings: Default::default(),
        version: ScriptVersion {
            id: 1,
            number: 1,
            definition,
            environment_key: None,
            created_by: "root".to_owned(),
            created_at,
        },
        pending_version: None,
        created_by: "root".to_owned(),
        created_at,
        updated_at: created_at,
    }
}

#[test]
fn a_registration_has_what_was_filled_in_and_nothing_else() {
    let before = Values::of_new();
    let form = sent(&before, &[("name", " weather "), ("source", "echo 1\r\necho 2\r\n")]);
    assert_eq!(
        as_json(input_of(&form, &before, Purpose::Register)),
        json!({"name": "weather", "script_type": "shell", "source": "echo 1\necho 2\n"})
    );
}

#[test]
fn a_registration_has_all_that_can_be_said() {
    let before = Values::of_new();
    let form = sent(
        &before,
        &[
            ("name", "a"),
            ("description", "d"),
            ("script_type", "python"),
            ("source_from", "path"),
            ("file_path", "/srv/a.py"),
            ("requirements_from", "path"),
            ("requirements_path", "/srv/r.txt"),
            ("python", "3.11"),
            ("sources", "on"),
            ("warm_up", "python3\r\na.py\r\n\"\""),
            ("system_packages", "jq\r\n curl \r\n"),
            ("argument_schema", "{\"type\": \"object\"}"),
            ("output_schema", "true"),
            ("outputs", "{\"v\": {\"path\": \"a.mp4\", \"required\": true}}"),
            ("args", "-v\r\n\"\""),
            ("env", "A=1\r\nB=\"x\\ny\"\r\nC="),
            ("env_allowed", "MODE\r\nAPP_*"),
            ("exec", "off"),
            ("working_directory", "x"),
            ("output_file", "out/r.json"),
            ("network", "egress"),
            ("mounts", "/data/in:/in\r\n/data/out:/out:rw"),
            ("preload_mode", "list"),
            ("preload", "numpy\r\nPIL.Image"),
            ("runtime", "runsc"),
            ("timeout_secs", "1.5"),
            ("cpus", "0.5"),
            ("memory_mib", "256"),
            ("max_concurrency", "3"),
            ("warm", "2"),
            ("tags", " print, colour  v2,"),
            ("is_enabled", ""),
        ],
    );
    assert_eq!(
        as_json(input_of(&form, &before, Purpose::Register)),
        json!({
            "name": "a", "description": "d", "script_type": "python", "file_path": "/srv/a.py",
            "requirements_path": "/srv/r.txt", "system_packages": ["jq", "curl"],
            "argument_schema": {"type": "object"}, "output_schema": true, "args": ["-v", ""],
            "env": {"A": "1", "B": "x\ny", "C": ""}, "working_directory": "x",
            "env_allowed": ["MODE", "APP_*"], "exec": false,
            "python": "3.11", "sources": true, "warm_up": ["python3", "a.py", ""],
            "outputs": {"v": {"path": "a.mp4", "required": true}},
            "output_file": "out/r.json", "network": "egress", "mounts": [
                {"source": "/data/in", "target": "/in", "read_only": true},
                {"source": "/data/out", "target": "/out", "read_only": false}
            ],
            "preload": ["numpy", "PIL.Image"], "runtime": "runsc", "timeout_secs": 1.5,
            "limits": {"cpus": 0.5, "memory_bytes": 268_435_456}, "max_concurrency": 3, "warm": 2,
            "tags": ["print", "colour", "v2"], "is_enabled": false
        })
    );
}

#[test]
fn a_script_that_nobody_touched_stays_as_it_is() {
    for source in [Some("print(1)\r\n".to_owned()), None] {
        let before = Values::of_script(&script(), source);
        let form = sent(&before, &[]);
        assert_eq!(input_of(&form, &before, Purpose::Change).unwrap(), ScriptInput::default());
        assert_eq!(input_of(&form, &before, Purpose::Operate).unwrap(), ScriptInput::default());
    }
}

#[test]
fn what_was_cleared_is_set_back_to_its_default() {
    let before = Values::of_script(&script(), Some("print(1)".to_owned()));
    let cleared = [
        ("description", ""),
        ("requirements", ""),
        ("system_packages", "\r\n"),
        ("argument_schema", " "),
        ("args", ""),
        ("env", ""),
        ("mounts", ""),
        ("timeout_secs", ""),
        ("preload_mode", "off"),
        ("is_enabled", ""),
    ];
    assert_eq!(
        as_json(input_of(&sent(&before, &cleared), &before, Purpose::Change)),
        json!({
            "description": null, "requirements": null, "system_packages": null,
            "argument_schema": null, "args": null, "env": null, "mounts": null,
            "timeout_secs": null, "preload": false, "is_enabled": false
        })
    );
}

#[test]
fn an_operator_sends_nothing_that_is_for_admins() {
    let before = Values::of_script(&script(), None);
    let form = sent(&before, &[("name", "other"), ("env", "A=2"), ("memory_mib", "64")]);
    assert_eq!(
        as_json(input_of(&form, &before, Purpose::Operate)),
        json!({"limits": {"memory_bytes": 67_108_864}})
    );
}

#[test]
fn a_file_on_the_server_keeps_the_name_that_was_given_to_it() {
    let of = |path: &str, name: &str| {
        let mut script = script();
        script.file_path = Some("/srv/a.py".to_owned());
        script.version.definition.file_name = "b.py".to_owned();
        let before = Values::of_script(&script, None);
        let form = sent(&before, &[("file_path", path), ("file_name", name)]);
        as_json(input_of(&form, &before, Purpose::Change))
    };
    assert_eq!(of("/srv/a.py", "b.py"), json!({"file_name": "b.py"}));
    assert_eq!(of("/srv/c.py", "b.py"), json!({"file_path": "/srv/c.py"}));
    assert_eq!(of("/srv/c.py", "d.py"), json!({"file_path": "/srv/c.py", "file_name": "d.py"}));
}

#[test]
fn what_can_not_be_read_is_said_where_it_stands() {
    let before = Values::of_script(&script(), Some("print(1)".to_owned()));
    let form = sent(
        &before,
        &[
            ("source", ""),
            ("argument_schema", "{\"a\": 1, \"a\": 2}"),
            ("output_schema", "{"),
            ("args", "\"x"),
            ("env", "secret\r\nA=1\r\nA=2"),
            ("network", "all"),
            ("mounts", "/data"),
            ("preload", "1"),
            ("timeout_secs", "soon"),
            ("cpus", "inf"),
            ("memory_mib", ""),
            ("pids", "1.5"),
            ("scratch_mib", "-1"),
            ("output_mib", "1e300"),
            ("warm", "x"),
        ],
    );
    let faults = input_of(&form, &before, Purpose::Change).unwrap_err();
    let pointers: Vec<_> = faults.iter().map(|it| it.pointer.as_str()).collect();
    for pointer in [
        "/source",
        "/argument_schema",
        "/output_schema",
        "/args",
        "/env",
        "/env/A",
        "/network",
        "/mounts",
        "/preload",
        "/timeout_secs",
        "/limits/cpus",
        "/limits/memory_bytes",
        "/limits/pids",
        "/limits/scratch_bytes",
        "/limits/output_bytes",
        "/warm",
    ] {
        assert!(pointers.contains(&pointer), "{pointer} is not in {pointers:?}");
        assert!(field_of(pointer, "text").is_some(), "{pointer} has no field");
    }
    assert!(faults.iter().all(|it| !it.detail.contains("secret")), "{faults:?}");
}

#[test]
fn a_pointer_leads_to_the_field_that_was_filled_in() {
    assert_eq!(field_of("/source_base64", "file").as_deref(), Some("upload"));
    assert_eq!(field_of("/source_base64", "text").as_deref(), Some("source"));
    assert_eq!(field_of("/tags", "text").as_deref(), Some("tags"));
    assert_eq!(field_of("/mounts/0/source", "text").as_deref(), Some("mounts"));
    assert_eq!(field_of("", "text"), None);
    assert_eq!(field_of("/other", "text"), None);
}

#[test]
fn tags_that_were_cleared_are_none() {
    let mut script = script();
    script.settings.tags = Tags::new(vec!["print".to_owned(), "v2".to_owned()]).unwrap();
    let before = Values::of_script(&script, None);
    assert_eq!(before.text("tags"), "print v2");
    let of = |text: &str| {
        as_json(input_of(&sent(&before, &[("tags", text)]), &before, Purpose::Operate))
    };
    assert_eq!(of(" "), json!({"tags": null}));
    assert_eq!(of("print v2"), json!({}));
    // The registry says what is wrong with them.
    assert_eq!(of("Print"), json!({"tags": ["Print"]}));
}

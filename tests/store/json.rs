//! JSON of Gantry's own: JSONB in PostgreSQL, text in SQLite, the same when it is
//! read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry::bundles::Shelf;
use gantry::domain::elf::Architecture;
use gantry::domain::execution::{ExecutionSnapshot, FilesSnapshot, NewExecution};
use gantry::domain::limits::{Limits, Timeout};
use gantry::domain::registry::Definition;
use gantry::domain::script_type::python::requirements::RequirementsPolicy;
use gantry::domain::token::Role;
use gantry::domain::variables::{EnvVar, Variables};
use gantry::registry::{Actor, EngineFacts, HostLimits, Registry, RegistrySettings, ScriptInput};
use gantry::store::{NewToken, StoreError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::database::{Database, on_both};
use crate::samples::{Invocations, audit, script, token};

on_both! {
    postgres_knows_that_it_is_json,
    what_the_registry_accepts_has_the_same_digest_when_it_is_read,
    what_is_frozen_is_claimed_as_it_was,
    what_no_database_keeps_is_refused_by_the_registry,
}

/// Columns of Gantry's own JSON, and of scripts' JSON.
const OWN: [(&str, &str); 9] = [
    ("audit_log", "after"),
    ("audit_log", "before"),
    ("environments", "system_packages"),
    ("environments", "warm_up"),
    ("execution_payloads", "frozen"),
    ("script_versions", "definition"),
    ("scripts", "limits"),
    ("tokens", "scope"),
    ("tokens", "shares"),
];

async fn postgres_knows_that_it_is_json(database: Database) {
    let store = &database.store;
    let new = script("weather");
    store.insert_script(&new, &audit("script.create")).await.unwrap();
    let scoped = NewToken { scope: Some(vec![1, i64::MAX]), ..token("scoped") };
    let id = store.insert_token(&scoped, &audit("token.create")).await.unwrap();
    assert_eq!(store.token(id).await.unwrap().unwrap().scope, scoped.scope);
    if database.is_sqlite() {
        return;
    }
    for (table, column) in OWN {
        let of_type = format!(
            "SELECT count(*) FROM information_schema.columns WHERE data_type = 'jsonb' \
             AND table_name = '{table}' AND column_name = '{column}'"
        );
        assert_eq!(database.number(&of_type).await, 1, "{table}.{column}");
    }
    let all = "SELECT count(*) FROM information_schema.columns WHERE data_type = 'jsonb'";
    assert_eq!(database.number(all).await, OWN.len() as i64);
    let found = "SELECT count(*) FROM script_versions \
         WHERE definition @> '{\"args\": [\"--loud\"]}' AND definition->>'script_type' = 'shell'";
    assert_eq!(database.number(found).await, 1);
    let found = "SELECT count(*) FROM tokens WHERE scope @> '[9223372036854775807]'";
    assert_eq!(database.number(found).await, 1);
}

fn registry(database: &Database) -> Registry {
    let settings = RegistrySettings {
        script_roots: Vec::new(),
        mount_roots: Vec::new(),
        owners: Vec::new(),
        requirements: RequirementsPolicy::default(),
        host_limits: HostLimits { nano_cpus: 2_000_000_000, memory_bytes: 1 << 30 },
        is_engine_local: true,
        bundles: Shelf::new(&std::env::temp_dir().join("gantry-tests-keep-no-bundle")),
    };
    let engine = EngineFacts::fixed(Architecture::X86_64, |it| format!("gantry/{it}:1"));
    Registry::new(database.store.clone(), settings, engine, Arc::new(|_| ()), Arc::new(|_, _| ()))
}

fn admin() -> Actor {
    Actor { name: "root".to_owned(), role: Role::Admin }
}

/// Text as people send it, with everything that JSON escapes and databases dislike.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9 ]{0,8}",
        "[\u{1}-\u{1f}\u{7f}\\\\\"'$%/\u{80}-\u{ff}\u{2028}\u{fffd}\u{10ffff}]{0,8}",
        any::<String>().prop_map(|text| text.replace('\0', "0")),
    ]
}

/// Numbers as they are sent: doubles of every size, whole ones, and integers.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_filter("JSON has no others", |it| it.is_finite()).prop_map(Value::from),
        any::<u64>()
            .prop_map(f64::from_bits)
            .prop_filter("as before", |it| it.is_finite())
            .prop_map(Value::from),
        any::<i64>().prop_map(|it| Value::from(it as f64)),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-400_i64..400).prop_map(|it| Value::from(it as f64 / 4.0)),
        prop::sample::select(vec![
            "-0.0",
            "-0",
            "0.0",
            "1.10",
            "1e16",
            "1e-7",
            "1E5",
            "1e19",
            "1e20",
            "1e300",
            "5e-324",
            "1.7976931348623157e308",
            "2.2250738585072011e-308",
            "9007199254740993.0",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "18446744073709551616",
            "123456789012345678901234567890.10",
            "0.1000000000000000055",
        ])
        .prop_map(|text| serde_json::from_str(text).unwrap()),
    ]
}

/// Anything that can stand in a schema and means nothing.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn schema() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!({})),
        (anything(), anything(), number()).prop_map(|(constant, default, maximum)| json!({
            "const": constant, "default": default, "maximum": maximum,
        })),
        (text(), anything(), any::<u16>()).prop_map(|(name, element, length)| json!({
            "properties": { name: { "enum": [element], "maxLength": f64::from(length) } },
        })),
    ]
}

fn sent() -> impl Strategy<Value = Value> {
    let texts = prop::collection::vec(text(), 0..4);
    let env = prop::collection::btree_map("[A-Z]{4}_[A-Z0-9]{1,4}", text(), 0..4);
    let working = prop::option::of("[a-z \"'\\\\é]{1,4}(/[a-z%]{1,4})?");
    let cpus = prop_oneof![Just(0.1), 0.01..2.0_f64];
    (text(), schema(), schema(), texts, env, working, cpus, 0.001..3600.0_f64).prop_map(
        |(description, argument_schema, output_schema, args, env, directory, cpus, timeout)| {
            json!({
                "script_type": "shell", "source": "echo 1\n", "description": description,
                "argument_schema": argument_schema, "output_schema": output_schema,
                "args": args, "env": env, "working_directory": directory,
                "limits": { "cpus": cpus }, "timeout_secs": timeout,
            })
        },
    )
}

/// The digest that was written, of the content that was there then.
async fn written_digest(database: &Database, version_id: i64, digest: &str) -> bool {
    let found = "SELECT count(*) FROM script_versions";
    let found = format!("{found} WHERE id = {version_id} AND content_digest = '{digest}'");
    database.number(&found).await == 1
}

async fn is_read_as_it_was_written(
    database: &Database,
    registry: &Registry,
    input: Value,
    name: String,
) -> Result<(), TestCaseError> {
    let mut input: ScriptInput = serde_json::from_value(input).unwrap();
    input.name = Some(name);
    let script = registry
        .register(&admin(), input.clone())
        .await
        .map_err(|error| TestCaseError::reject(error.to_string()))?;
    let definition: &Definition = &script.version.definition;
    let digest = definition.content_digest();
    prop_assert!(written_digest(database, script.version.id, &digest).await, "{definition:?}");
    // The same again is no other version, and changes nothing.
    input.name = None;
    let again = registry.change(&admin(), script.id, input).await.unwrap();
    prop_assert_eq!(&again.version, &script.version);
    prop_assert_eq!(again.settings, script.settings);
    prop_assert_eq!(database.store.count_versions(script.id).await.unwrap(), 1);
    Ok(())
}

async fn what_the_registry_accepts_has_the_same_digest_when_it_is_read(database: Database) {
    let registry = registry(&database);
    let next = std::cell::Cell::new(0);
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let checked = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&sent(), |input| {
            next.set(next.get() + 1);
            let name = format!("script-{}", next.get());
            let check = is_read_as_it_was_written(&database, &registry, input, name);
            Handle::current().block_on(check)
        })
    });
    checked.unwrap();
}

async fn what_is_frozen_is_claimed_as_it_was(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let strategy = (prop::collection::vec(text(), 0..4), text(), 0.01..64.0_f64, 0.001..3600.0_f64);
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let checked = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&strategy, |(args, value, cpus, timeout)| {
            let snapshot = ExecutionSnapshot {
                args,
                env: Variables::new(vec![EnvVar::new("WORD", value).unwrap()]).unwrap(),
                limits: Limits { nano_cpus: (cpus * 1e9) as u64, ..Limits::default() },
                timeout_secs: Timeout::try_from(timeout).unwrap(),
                files: FilesSnapshot::default(),
            };
            let new = NewExecution { snapshot: snapshot.clone(), ..invocations.one() };
            let (id, batch) = (new.id, [new]);
            Handle::current().block_on(async {
                store.submit(&batch).await.unwrap();
                prop_assert_eq!(store.runnable(id).await.unwrap().unwrap().snapshot, snapshot);
                Ok(())
            })
        })
    });
    checked.unwrap();
}

async fn what_no_database_keeps_is_refused_by_the_registry(database: Database) {
    let registry = registry(&database);
    let nul = "a\u{0}b";
    let fields = [
        ("description", json!(nul)),
        ("args", json!([nul])),
        ("env", json!({ "WORD": nul })),
        ("env", json!({ nul: "word" })),
        ("argument_schema", json!({ "const": nul })),
        ("argument_schema", json!({ "properties": { nul: {} } })),
        ("output_schema", json!({ "default": [{ "x": nul }] })),
        ("working_directory", json!(nul)),
        ("output_file", json!(nul)),
        ("file_name", json!(nul)),
        ("system_packages", json!([nul])),
        ("file_path", json!(nul)),
    ];
    for (field, value) in fields {
        let source = json!("echo 1\n");
        let mut input =
            BTreeMap::from([("name", json!("weather")), ("script_type", json!("shell"))]);
        if field != "file_path" {
            input.insert("source", source);
        }
        input.insert(field, value);
        let input = serde_json::from_value(json!(input)).unwrap();
        let refused = registry.register(&admin(), input).await.unwrap_err();
        let gantry::registry::RegistryError::Invalid(faults) = refused else {
            panic!("{field}: {refused:?}");
        };
        assert!(faults.iter().any(|it| it.pointer.contains(field)), "{field}: {faults:?}");
    }
    // Past the registry it is no outage, and nothing is half there.
    let mut new = script("weather");
    new.version.definition.argument_schema = json!({ "const": nul });
    let written = database.store.insert_script(&new, &audit("script.create")).await;
    if !database.is_sqlite() {
        assert!(matches!(written, Err(StoreError::Refused(_))), "{written:?}");
        assert_eq!(database.number("SELECT count(*) FROM scripts").await, 0);
    }
}

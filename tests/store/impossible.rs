//! Rows that no version of Gantry has written: the error says where they are, and
//! nothing goes on with them.

use gantry::domain::system_packages::SystemPackages;
use gantry::store::{NewEnvironment, Page, StoreError};

use crate::database::{Database, on_both};
use crate::samples::{Invocations, audit, claim, ended};

on_both! {
    impossible_scripts_are_named,
    impossible_versions_are_named,
    impossible_environments_are_named,
    impossible_tokens_are_named,
    impossible_audit_entries_are_named,
    impossible_executions_are_named,
    impossible_payloads_are_named,
    what_can_not_be_read_stays_pending,
}

fn check<T>(answer: Result<T, StoreError>, table: &str, column: &str, id: &str) {
    let error = answer.err().unwrap();
    assert!(matches!(error, StoreError::Impossible { .. }), "{table}.{column}: {error:?}");
    let place = format!("the database has an impossible value: {table}.{column} of {id}");
    assert_eq!(error.to_string(), place);
    assert!(error.hint().is_some() && !error.is_outage());
}

/// Puts a value there for the time of a look.
macro_rules! with_each {
    ($database:expr, $table:literal, $id_column:literal, $id:expr, $cases:expr, $look:expr) => {
        for (column, value) in $cases {
            let (table, key, id) = ($table, $id_column, $id);
            let keep =
                format!("CREATE TABLE kept AS SELECT {column} FROM {table} WHERE {key} = {id}");
            $database.execute(&keep).await;
            let set = format!("UPDATE {table} SET {column} = {value} WHERE {key} = {id}");
            $database.execute(&set).await;
            let answer = $look.await;
            check(answer, table, column, &id.to_string());
            let back = format!(
                "UPDATE {table} SET {column} = (SELECT {column} FROM kept) WHERE {key} = {id}; \
                 DROP TABLE kept"
            );
            $database.execute(&back).await;
        }
    };
}

/// Values of columns of JSON that text may be, and JSONB not.
const NO_JSON: [&str; 2] = ["'no json'", "''"];

/// The values that a database lets anybody put into columns of JSON.
async fn possible<const CASES: usize>(
    database: &Database,
    table: &str,
    cases: [(&'static str, &'static str); CASES],
) -> Vec<(&'static str, &'static str)> {
    let mut possible = Vec::new();
    for (column, value) in cases {
        if database.is_sqlite() || !NO_JSON.contains(&value) {
            possible.push((column, value));
            continue;
        }
        let refusal = database.refusal(&format!("UPDATE {table} SET {column} = {value}")).await;
        // invalid_text_representation (PostgreSQL, appendix A)
        assert_eq!(refusal, "22P02", "{table}.{column}");
    }
    possible
}

async fn impossible_scripts_are_named(database: Database) {
    let store = &database.store;
    let script = Invocations::of(store, "weather").await.script;
    let cases = [
        ("name", "'no name'"),
        ("timeout_ms", "-1"),
        ("timeout_ms", "0"),
        ("timeout_ms", "9223372036854775807"),
        ("max_concurrency", "0"),
        ("max_concurrency", "-1"),
        ("max_concurrency", "4294967296"),
        ("warm", "-1"),
        ("warm", "65"),
        ("warm", "4294967296"),
        ("tags", "'Colour'"),
        ("tags", "'a a'"),
    ];
    let limits = ["'no json'", "'[1]'", "'null'"].map(|value| ("limits", value));
    let limits = possible(&database, "scripts", limits).await;
    let cases = cases.into_iter().chain(limits);
    with_each!(database, "scripts", "id", script.id, cases, store.script(script.id));
    assert_eq!(store.script(script.id).await.unwrap(), Some(script));
}

async fn impossible_versions_are_named(database: Database) {
    let store = &database.store;
    let script = Invocations::of(store, "weather").await.script;
    let cases = ["'no json'", "'{}'", "'[1]'", "'null'"].map(|value| ("definition", value));
    let cases = possible(&database, "script_versions", cases).await;
    let id = script.version.id;
    with_each!(database, "script_versions", "id", id, &cases, store.script(script.id));
    with_each!(database, "script_versions", "id", id, &cases, store.version(script.id, 1));
    with_each!(database, "script_versions", "id", id, &cases, store.versions(script.id, 1, 0));
}

async fn impossible_environments_are_named(database: Database) {
    let store = &database.store;
    let mut new = crate::samples::script("weather");
    new.version.environment = Some(NewEnvironment {
        key: "7".to_owned(),
        script_type: gantry::domain::script_type::ScriptType::Python,
        system_packages: SystemPackages::default(),
        requirements: None,
        requirements_hash: None,
        python: None,
        sources: false,
        warm_up: None,
        bundle: None,
    });
    store.insert_script(&new, &audit("script.create")).await.unwrap();
    database.execute("INSERT INTO script_types (name, description) VALUES ('perl', '')").await;
    let packages = ["'no json'", "'[1]'", "'[\"--force\"]'"];
    let packages = packages.map(|value| ("system_packages", value));
    let packages = possible(&database, "environments", packages).await;
    let warm_ups = ["'no json'", "'{}'", "'[\"x\"]'"].map(|value| ("warm_up", value));
    let warm_ups = possible(&database, "environments", warm_ups).await;
    let words = [("script_type", "'perl'"), ("python", "'3.9'")];
    for (column, value) in words.into_iter().chain(packages).chain(warm_ups) {
        database.execute(&format!("UPDATE environments SET {column} = {value}")).await;
        check(store.environment("7").await, "environments", column, "7");
        check(store.environments(1, 0).await, "environments", column, "7");
        database
            .execute(
                "UPDATE environments SET script_type = 'python', system_packages = '[]', \
                 python = NULL, warm_up = NULL",
            )
            .await;
    }
}

async fn impossible_tokens_are_named(database: Database) {
    let store = &database.store;
    let id = Invocations::of(store, "weather").await.caller.token_id;
    let short = if database.is_sqlite() { "x'00'" } else { "'\\x00'" };
    let scopes = ["'no json'", "'{}'", "'[\"1\"]'"].map(|value| ("scope", value));
    let mut cases = possible(&database, "tokens", scopes).await;
    cases.push(("hash", short));
    with_each!(database, "tokens", "id", id, &cases, store.token(id));
    with_each!(database, "tokens", "id", id, &cases, store.tokens(1, 0));
}

async fn impossible_audit_entries_are_named(database: Database) {
    let store = &database.store;
    store.note(&audit("script.update")).await.unwrap();
    let id = store.audit(None, 1, 0).await.unwrap()[0].id;
    let cases = [("before", "'no json'"), ("after", "''")];
    let cases = possible(&database, "audit_log", cases).await;
    with_each!(database, "audit_log", "id", id, cases, store.audit(None, 1, 0));
}

async fn impossible_executions_are_named(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = ended(store, &invocations).await;
    let cases = [
        ("error_kind", "'boredom'"),
        ("stdout_bytes", "-1"),
        ("stderr_bytes", "-1"),
        ("duration_us", "-1"),
        ("queue_us", "-1"),
        ("overhead_us", "-1"),
        ("cpu_us", "-1"),
        ("attempt", "-1"),
    ];
    let page = Page { limit: 1, offset: 0 };
    for (column, value) in cases {
        database.execute(&format!("UPDATE executions SET {column} = {value}")).await;
        let id = id.to_string();
        check(store.execution_summary(id.parse().unwrap()).await, "executions", column, &id);
        check(store.execution(id.parse().unwrap()).await, "executions", column, &id);
        check(store.executions(&Default::default(), page).await, "executions", column, &id);
        database
            .execute(
                "UPDATE executions SET error_kind = NULL, stdout_bytes = 0, stderr_bytes = 0, \
                 duration_us = 1, queue_us = 1, overhead_us = 1, cpu_us = 1, attempt = 1",
            )
            .await;
    }
    for column in ["peak_memory_bytes", "oom_kills"] {
        database.execute(&format!("UPDATE executions SET {column} = -1")).await;
        check(store.execution_summary(id).await, "executions", column, &id.to_string());
        database.execute(&format!("UPDATE executions SET {column} = 1")).await;
    }
    store.execution(id).await.unwrap().unwrap();
}

async fn impossible_payloads_are_named(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = ended(store, &invocations).await;
    for column in ["input", "output"] {
        database.execute(&format!("UPDATE execution_payloads SET {column} = '{{'")).await;
        check(store.execution(id).await, "execution_payloads", column, &id.to_string());
        database.execute(&format!("UPDATE execution_payloads SET {column} = '1'")).await;
    }
    database
        .execute(&format!(
            "INSERT INTO artifacts (execution_id, position, name, bytes) VALUES ({}, 0, 'a', -1)",
            database.id(id)
        ))
        .await;
    check(store.artifacts(id).await, "artifacts", "bytes", &id.to_string());
}

async fn what_can_not_be_read_stays_pending(database: Database) {
    let store = &database.store;
    let invocations = Invocations::of(store, "weather").await;
    let id = invocations.submitted(store).await;
    let read_it = || store.runnable(id);
    let was = database.number("SELECT count(*) FROM execution_payloads WHERE input = '{}'").await;
    assert_eq!(was, 1);
    let frozen = [("frozen", "'{}'"), ("frozen", "'no json'"), ("frozen", "'null'")];
    let frozen = possible(&database, "execution_payloads", frozen).await;
    for (column, value) in frozen.into_iter().chain([("input", "'['")]) {
        database
            .execute(&format!(
                "CREATE TABLE kept AS SELECT {column} FROM execution_payloads; \
                 UPDATE execution_payloads SET {column} = {value}"
            ))
            .await;
        check(read_it().await, "execution_payloads", column, &id.to_string());
        database
            .execute(&format!(
                "UPDATE execution_payloads SET {column} = (SELECT {column} FROM kept); \
                 DROP TABLE kept"
            ))
            .await;
        assert_eq!(store.pending(None, 1).await.unwrap().len(), 1);
    }
    let version = invocations.script.version.id;
    let cases = [("definition", "'{}'")];
    with_each!(database, "script_versions", "id", version, cases, read_it());
    assert_eq!(claim(store, id).await, Some(1));
}

//! One execution of each type, and what is known of it afterwards.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::gate::gated;
use crate::testkit::engine;
use crate::testkit::server::server;

/// All fields of an execution, in the order of the alphabet.
const FIELDS: [&str; 30] = [
    "artifacts",
    "attempt",
    "completed_at",
    "created_at",
    "digest",
    "duration_ms",
    "error_kind",
    "error_message",
    "exit_code",
    "id",
    "input_data",
    "job_id",
    "output_data",
    "overhead_ms",
    "queue_ms",
    "sandbox",
    "script_id",
    "script_name",
    "signal",
    "started_at",
    "status",
    "stderr_bytes",
    "stderr_log",
    "stderr_truncated",
    "stdout_bytes",
    "stdout_log",
    "stdout_truncated",
    "triggered_by",
    "updated_at",
    "usage",
];

#[tokio::test]
async fn a_shell_script_leaves_a_whole_execution() {
    let server = server().start();
    let source = "jq -c '{sum: (.a + .b)}'; echo worked >&2";
    let script = server.register("add", "shell", source, json!({})).await;
    let request = json!({"script": "add", "input": {"a": 1, "b": 2}, "job_id": "nightly"});
    let execution = server.run(&request).await;
    for field in FIELDS {
        assert!(execution.get(field).is_some(), "{field} is missing: {execution:#}");
    }
    let expected = json!({
        "script_id": script["id"], "script_name": "add", "version": 1, "digest": script["digest"],
        "job_id": "nightly", "triggered_by": "admin", "status": "completed",
        "error_kind": null, "error_message": null, "input_data": {"a": 1, "b": 2},
        "output_data": {"sum": 3}, "stdout_log": "{\"sum\":3}\n", "stderr_log": "worked\n",
        "stdout_bytes": 10, "stderr_bytes": 7, "stdout_truncated": false,
        "stderr_truncated": false, "exit_code": 0, "signal": null, "artifacts": [], "attempt": 1,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&execution[field], value, "{field}: {execution:#}");
    }
    for field in ["duration_ms", "queue_ms", "overhead_ms"] {
        assert!(execution[field].as_f64().unwrap() >= 0.0, "{field}: {execution:#}");
    }
    assert!(execution["usage"]["cpu_ms"].as_f64().unwrap() > 0.0, "{execution:#}");
    assert!(execution["usage"]["peak_memory_bytes"].as_u64().unwrap() > 0, "{execution:#}");
    assert_eq!(execution["sandbox"]["node"], "test");
    assert_ne!(execution["sandbox"]["container_id"].as_str().unwrap(), "");
    assert!(engine::has_image(execution["sandbox"]["image"].as_str().unwrap()));
    let time = |field: &str| {
        chrono::DateTime::parse_from_rfc3339(execution[field].as_str().unwrap()).unwrap()
    };
    assert!(time("created_at") <= time("started_at"), "{execution:#}");
    assert!(time("started_at") <= time("completed_at"), "{execution:#}");
    // Everybody is told the same afterwards.
    let id = execution["id"].as_str().unwrap();
    for path in ["/api/v1/executions", "/api/v1/admin/scripts/executions"] {
        assert_eq!(server.get(&format!("{path}/{id}")).await.1, execution);
    }
}

#[tokio::test]
async fn a_python_script_reads_its_input_and_answers() {
    let server = server().start();
    let source = "import json, sys\nprint(json.dumps([n * n for n in json.load(sys.stdin)]))";
    server.register("squares", "python", source, json!({})).await;
    let execution = server.run(&json!({"script": "squares", "input": [1, 2, 3]})).await;
    assert_eq!(execution["output_data"], json!([1, 4, 9]), "{execution:#}");
}

#[tokio::test]
async fn a_program_reads_its_input_and_answers() {
    let server = server().start();
    let cat = base64::engine::general_purpose::STANDARD.encode(std::fs::read("/bin/cat").unwrap());
    let body = json!({"name": "cat", "script_type": "binary", "source_base64": cat});
    let (status, script) = server.post("/api/v1/admin/scripts", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{script:#}");
    let execution = server.run(&json!({"script": "cat", "input": {"ä": [null, 1e3]}})).await;
    assert_eq!(execution["stdout_log"], r#"{"ä":[null,1000.0]}"#, "{execution:#}");
}

#[tokio::test]
async fn a_script_knows_who_it_is() {
    let server = server().start();
    let source = r#"printf '%s\n' "$SCRIPT_ID" "$SCRIPT_NAME" "$EXECUTION_ID" "${JOB_ID-none}""#;
    let script = server.register("who", "shell", source, json!({})).await;
    for (job, shown) in [(json!("j 1"), "j 1"), (Value::Null, "none")] {
        let execution = server.run(&json!({"script": "who", "job_id": job})).await;
        let id = execution["id"].as_str().unwrap();
        let expected = format!("{}\nwho\n{id}\n{shown}\n", script["id"]);
        assert_eq!(execution["stdout_log"], expected);
    }
}

#[tokio::test]
async fn a_requests_arguments_and_variables_come_behind_the_scripts() {
    let server = server().start();
    let source = r#"printf '[%s]' "$@" "$A" "$B" "$C""#;
    let others = json!({"args": ["a b", "$A"], "env": {"A": "script", "B": "script"}});
    server.register("order", "shell", source, others).await;
    let request = json!({"script": "order", "args": ["", "*"], "env": {"B": "me", "C": "`x`"}});
    let execution = server.run(&request).await;
    assert_eq!(execution["stdout_log"], "[a b][$A][][*][script][me][`x`]");
}

#[tokio::test]
async fn a_script_without_exec_executes_nothing_that_it_writes() {
    let server = server().start();
    let source = "printf '#!/bin/sh\\necho ran\\n' > it; chmod +x it; ./it";
    server.register("may", "shell", source, json!({})).await;
    server.register("may-not", "shell", source, json!({"exec": false})).await;
    let execution = server.run(&json!({"script": "may"})).await;
    assert_eq!(execution["stdout_log"], "ran\n", "{execution:#}");
    let execution = server.run(&json!({"script": "may-not"})).await;
    assert_eq!(execution["exit_code"], 126, "{execution:#}");
    let message = execution["error_message"].as_str().unwrap();
    assert!(message.contains("code 126\n") && message.contains("hint: an admin can"), "{message}");
    let tmpfs = &execution["sandbox"]["confinement"]["tmpfs"];
    for place in ["/work", "/tmp", "/run/gantry", "/dev/shm"] {
        assert!(tmpfs[place].as_str().unwrap().contains("noexec"), "{tmpfs:#}");
    }
}

#[tokio::test]
async fn a_program_without_exec_runs_from_memory() {
    let server = server().start();
    let readlink = STANDARD.encode(std::fs::read("/usr/bin/readlink").unwrap());
    for (name, exec, place) in
        [("placed", true, "/run/gantry/script\n"), ("unplaced", false, "/memfd:script (deleted)\n")]
    {
        let body = json!({"name": name, "script_type": "binary", "source_base64": readlink,
            "args": ["/proc/self/exe"], "exec": exec});
        let (status, script) = server.post("/api/v1/admin/scripts", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{script:#}");
        let execution = server.run(&json!({"script": name})).await;
        assert_eq!(execution["stdout_log"], place, "{execution:#}");
    }
}

#[tokio::test]
async fn the_result_is_read_from_the_output_file_in_the_working_directory() {
    let server = server().start();
    let others = json!({"working_directory": "in/here", "output_file": "in/here/r.json"});
    let source = "pwd; echo '{\"x\": 1}' > r.json";
    server.register("file", "shell", source, others).await;
    let execution = server.run(&json!({"script": "file"})).await;
    assert_eq!(execution["stdout_log"], "/work/in/here\n", "{execution:#}");
    assert_eq!(execution["output_data"], json!({"x": 1}));
}

#[tokio::test]
async fn a_mount_is_read_only_unless_it_is_said_and_lies_below_a_root() {
    let (server, gate) = gated(server());
    std::fs::write(gate.folder.join("file"), "from the host").unwrap();
    let source = "cat /gate/file; touch /gate/new";
    server.register("reads", "shell", source, json!({"mounts": gate.mounts()})).await;
    let execution = server.run(&json!({"script": "reads"})).await;
    assert_eq!(execution["stdout_log"], "from the host");
    assert!(execution["stderr_log"].as_str().unwrap().contains("Read-only"), "{execution:#}");
    assert!(!gate.folder.join("new").exists());
    let mounts = json!([{"source": server.home.data_dir(), "target": "/gate"}]);
    let body = json!({"name": "spy", "script_type": "shell", "source": "ls", "mounts": mounts});
    let (status, problem) = server.post("/api/v1/admin/scripts", &body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert!(problem["errors"][0]["pointer"].as_str().unwrap().starts_with("/mounts"));
}

#[tokio::test]
async fn a_mount_that_became_a_link_meanwhile_is_not_followed() {
    let (server, gate) = gated(server().env("GANTRY_MAX_CONCURRENT", "1"));
    gate.register(&server, "waits").await;
    let (data, secret) = (gate.folder.join("data"), server.home.path().join("secret"));
    for folder in [&data, &secret] {
        std::fs::create_dir(folder).unwrap();
    }
    let mounts = json!({"mounts": [{"source": data, "target": "/data"}]});
    server.register("reads", "shell", "ls /data", mounts).await;
    let first = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&first, "running").await;
    let second = server.submit(&json!({"script": "reads"})).await;
    std::fs::remove_dir(&data).unwrap();
    std::os::unix::fs::symlink(&secret, &data).unwrap();
    gate.open();
    let execution = server.ended(&second).await;
    assert_eq!(execution["error_kind"], "sandbox_failed", "{execution:#}");
    assert_eq!(execution["attempt"], 0);
    let message = execution["error_message"].as_str().unwrap();
    assert!(message.contains("mounts"), "{message}");
    assert!(!message.contains(gate.folder.to_str().unwrap()), "{message}");
}

#[tokio::test]
async fn a_trial_answers_with_what_it_printed_and_stays_in_the_history() {
    let server = server().start();
    let source = "jq -c '{got: .}'; echo said >&2";
    let script = server.register("tried", "shell", source, json!({})).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let (status, trial) = server.post(&format!("{path}/test"), &json!({"test_data": [1]})).await;
    assert_eq!(status, StatusCode::OK, "{trial:#}");
    let told = ["status", "stdout", "stderr", "exit_code", "parsed_output"];
    let told: Vec<_> = told.iter().map(|field| trial[field].clone()).collect();
    let expected = json!(["completed", "{\"got\":[1]}\n", "said\n", 0, {"got": [1]}]);
    assert_eq!(json!(told), expected, "{trial:#}");
    assert!(trial["duration_ms"].as_f64().unwrap() > 0.0, "{trial:#}");
    let (_, history) = server.get(&format!("{path}/executions")).await;
    assert_eq!(history[0]["id"], trial["execution_id"], "{history:#}");
}

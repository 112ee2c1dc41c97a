//! How executions end when their scripts do not do what they should.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::testkit::server::server;

fn outcome(execution: &Value) -> Value {
    json!([
        execution["status"],
        execution["error_kind"],
        execution["exit_code"],
        execution["signal"]
    ])
}

#[tokio::test]
async fn failures_are_told_apart() {
    let server = server().start();
    let memory = json!({"limits": {"memory_bytes": 50_331_648}});
    let eats = "x = []\nwhile True: x.append(bytearray(1 << 20))";
    for (name, kind, source, others, expected) in [
        ("exits", "shell", "exit 7", json!({}), json!(["failed", "exit_nonzero", 7, null])),
        (
            "crashes",
            "shell",
            "kill -SEGV $$; sleep 9",
            json!({}),
            json!(["failed", "killed_by_signal", -1, 11]),
        ),
        ("eats", "python", eats, memory, json!(["failed", "out_of_memory", -1, 9])),
        (
            "leaves",
            "shell",
            "cd out; touch kept 'a\\b' {1..149}",
            json!({}),
            json!(["failed", "outputs_refused", 0, null]),
        ),
        (
            "fills",
            "shell",
            "head -c 1G /dev/zero > x",
            json!({}),
            json!(["failed", "out_of_disk", 1, null]),
        ),
    ] {
        server.register(name, kind, source, others).await;
        let execution = server.run(&json!({"script": name})).await;
        assert_eq!(outcome(&execution), expected, "{execution:#}");
        assert_ne!(execution["error_message"], Value::Null, "{execution:#}");
    }
}

#[tokio::test]
async fn a_request_can_tighten_the_time_limit_and_not_loosen_it() {
    let server = server().start();
    server.register("sleeps", "shell", "exec sleep 600", json!({"timeout_secs": 60})).await;
    let execution = server.run(&json!({"script": "sleeps", "timeout_secs": 0.3})).await;
    assert_eq!(execution["status"], "timeout", "{execution:#}");
    assert!(execution["duration_ms"].as_f64().unwrap() < 5_000.0, "{execution:#}");
    let request = json!({"script": "sleeps", "timeout_secs": 61});
    let (status, problem) = server.post("/api/v1/executions", &request).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(problem["errors"][0]["pointer"], "/timeout_secs");
}

#[tokio::test]
async fn the_beginning_of_a_document_is_not_taken_for_it() {
    let server = server().start();
    let others = json!({
        "limits": {"output_bytes": 4096},
        "output_schema": {"type": "integer"},
    });
    server.register("counts", "shell", "head -c 5000 /dev/zero | tr '\\0' 1", others).await;
    let execution = server.run(&json!({"script": "counts"})).await;
    assert_eq!(execution["error_kind"], "invalid_output", "{execution:#}");
    assert_eq!(execution["output_data"], json!(null));
}

#[tokio::test]
async fn output_beyond_the_cap_is_cut_and_counted() {
    let server = server().start();
    let source = "head -c 100000 /dev/zero | tr '\\0' x; echo done >&2";
    let others = json!({"limits": {"output_bytes": 4096}});
    server.register("talks", "shell", source, others).await;
    let execution = server.run(&json!({"script": "talks"})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    let flags = json!([execution["stdout_truncated"], execution["stderr_truncated"]]);
    assert_eq!(flags, json!([true, false]));
    let counts = json!([execution["stdout_bytes"], execution["stderr_bytes"]]);
    assert_eq!(counts, json!([100_000, 5]));
    let log = execution["stdout_log"].as_str().unwrap();
    assert!(log.starts_with(&"x".repeat(4096)) && log.len() < 4300, "{}", log.len());
    assert!(log.contains("4096 of 100000 bytes kept"), "{log}");
}

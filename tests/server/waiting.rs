//! Callers that wait, not long enough, or not to the end.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::gate::gated;
use crate::stream::follow;
use crate::testkit::postgres;
use crate::testkit::server::{Server, answer, server};

#[tokio::test]
async fn a_wait_that_is_too_short_is_answered_and_the_execution_goes_on() {
    let (server, gate) = gated(server());
    gate.register(&server, "waits").await;
    let request = server.request(Method::POST, "/api/v1/executions").header("Prefer", "wait=1");
    let response = request.json(&json!({"script": "waits"})).send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["preference-applied"], "wait=1");
    let (status, execution) = answer(response).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{execution:#}");
    let id = execution["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/executions/{id}"));
    gate.open();
    assert_eq!(server.ended(id).await["stdout_log"], "began\nended\n");
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_waits_changes_nothing() {
    let (server, gate) = gated(server());
    gate.register(&server, "waits").await;
    let request = server.request(Method::POST, "/api/v1/executions").header("Prefer", "wait=60");
    let waiting = tokio::spawn(request.json(&json!({"script": "waits"})).send());
    let running = "/api/v1/executions?status=running";
    server.until("it runs", async || server.count(running).await == 1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let (_, listed) = server.get(running).await;
    gate.open();
    let execution = server.ended(listed[0]["id"].as_str().unwrap()).await;
    assert_eq!(execution["stdout_log"], "began\nended\n", "{execution:#}");
}

#[tokio::test]
async fn a_follower_that_goes_away_changes_nothing() {
    let (server, gate) = gated(server());
    gate.register(&server, "waits").await;
    let id = server.submit(&json!({"script": "waits"})).await;
    let mut events = follow(&server, &id, None).await;
    events.next_of("stdout").await;
    drop(events);
    gate.open();
    let execution = server.ended(&id).await;
    assert_eq!(execution["stdout_log"], "began\nended\n", "{execution:#}");
}

#[tokio::test]
async fn whoever_waits_is_told_what_everybody_is_told_afterwards() {
    let server = server().start();
    is_told_what_everybody_is_told_afterwards(&server).await;
}

#[tokio::test]
async fn on_postgres_whoever_waits_is_told_what_everybody_is_told_afterwards() {
    let database = postgres::database().await;
    let server = server().env("GANTRY_DATABASE_URL", database.url()).start();
    is_told_what_everybody_is_told_afterwards(&server).await;
}

async fn is_told_what_everybody_is_told_afterwards(server: &Server) {
    let capped = json!({"limits": {"output_bytes": 4096}});
    let promised = json!({"output_schema": {"type": "integer"}});
    for (name, source, others) in [
        ("answers", "cat; printf '\\xff\\0 worked\\n' >&2", json!({})),
        ("fails", "echo before; exit 7", json!({})),
        ("crashes", "kill -SEGV $$; sleep 9", json!({})),
        ("sleeps", "echo began; exec sleep 600", json!({"timeout_secs": 0.3})),
        ("is-cut", "head -c 5000 /dev/zero | tr '\\0' x", capped),
        ("says-much", "head -c 200000 /dev/zero | tr '\\0' x", json!({})),
        ("breaks-its-word", "echo '\"x\"'", promised),
        ("leaves-files", "mkdir -p out; echo a > out/a; echo b > out/b", json!({})),
        (
            "takes-no-file",
            "echo '{\"out\": 1}' > result.json",
            json!({"output_file": "result.json"}),
        ),
    ] {
        server.register(name, "shell", source, others).await;
        let body = format!(
            r#"{{"script": "{name}", "job_id": "ü", "input":  {{"a" : [1e400, "\ud800"]}} }}"#
        );
        let request =
            server.request(Method::POST, "/api/v1/executions").header("Prefer", "wait=60");
        let request = request.header("Content-Type", "application/json").body(body);
        let response = request.send().await.unwrap();
        let (status, location) = (response.status(), response.headers()["location"].clone());
        let told = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{told}");
        let read = server.request(Method::GET, location.to_str().unwrap()).send().await.unwrap();
        assert_eq!(told, read.text().await.unwrap(), "{name}");
    }
}

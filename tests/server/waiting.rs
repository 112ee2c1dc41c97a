//! Callers that wait, not long enough, or not to the end.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::gate::gated;
use crate::stream::follow;
use crate::support::server::{answer, server};

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

//! A token that is revoked while it is in use.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::gate::gated;
use crate::stream::{follow_with, text_of};
use crate::testkit::server::{Server, answer, server};

/// Longer than an open request outlives its token.
const SOON: Duration = Duration::from_secs(20);

async fn revoke(server: &Server, role: &str) {
    let (_, tokens) = server.get("/api/v1/admin/tokens").await;
    let is_it = |token: &&Value| token["role"] == role;
    let token = tokens.as_array().unwrap().iter().find(is_it).unwrap();
    let (status, _) = server.delete(&format!("/api/v1/admin/tokens/{}", token["id"])).await;
    assert!(status.is_success(), "{status}");
}

#[tokio::test]
async fn who_follows_with_it_hears_nothing_that_comes_afterwards() {
    let (server, gate) = gated(server());
    gate.register(&server, "waits").await;
    let token = server.token("viewer", None).await;
    let id = server.submit(&json!({"script": "waits"})).await;
    let mut events = follow_with(&server, &token, &id).await;
    events.next_of("stdout").await;
    revoke(&server, "viewer").await;
    let rest = tokio::time::timeout(SOON, events.rest()).await.expect("the stream goes on");
    assert_eq!(server.get(&format!("/api/v1/executions/{id}")).await.1["status"], "running");
    assert_eq!(text_of(&rest, "stdout"), "", "{rest:?}");
    assert!(rest.iter().all(|event| event.name != "end"), "{rest:?}");
    gate.open();
    assert_eq!(server.ended(&id).await["status"], "completed");
}

#[tokio::test]
async fn who_waits_with_it_is_told_what_was_accepted_and_no_more() {
    let (server, gate) = gated(server());
    gate.register(&server, "waits").await;
    let token = server.token("runner", None).await;
    let request = reqwest::Client::new().post(server.url("/api/v1/executions"));
    let request = request.bearer_auth(token).header("Prefer", "wait=100");
    let waiting = tokio::spawn(request.json(&json!({"script": "waits"})).send());
    let running = "/api/v1/executions?status=running";
    server.until("it runs", async || server.count(running).await == 1).await;
    revoke(&server, "runner").await;
    let response = tokio::time::timeout(SOON, waiting).await.expect("it waits on");
    let response = response.unwrap().unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, execution) = answer(response).await;
    assert_eq!((status, &execution["status"]), (StatusCode::ACCEPTED, &json!("pending")));
    gate.open();
    let id = execution["id"].as_str().unwrap();
    assert_eq!(location, format!("/api/v1/executions/{id}"));
    assert_eq!(server.ended(id).await["status"], "completed");
}

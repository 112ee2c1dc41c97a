use std::time::Duration;

use futures::StreamExt;
use gantry::clock;
use gantry::domain::token::Role::Runner;
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, make_token};

const EXECUTIONS: &str = "/api/v1/executions";

/// Longer than an open request outlives its token.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn open_requests_end_soon_after_their_token_has_expired() {
    let server = Server::start().await;
    let script = server.script("a").await;
    let id = server.pending("a").await;
    let end = clock::now() + Duration::from_secs(3);
    let (_, token) = make_token(&server.access, "short", Runner, None, Some(end)).await;
    let request = |method, path: &str| server.bare(method, path).bearer_auth(&token);
    let events = request(Method::GET, &format!("{EXECUTIONS}/{id}/events")).send().await.unwrap();
    let wait = request(Method::POST, EXECUTIONS).header("prefer", "wait=600");
    let wait = wait.json(&json!({"script": script})).send();
    let both = async { tokio::join!(events.bytes_stream().count(), wait) };
    let (_, waited) = tokio::time::timeout(SOON, both).await.expect("they go on");
    let waited = waited.unwrap();
    assert_eq!(waited.status(), 202);
    assert!(clock::now() >= end);
    let location = waited.headers()["location"].to_str().unwrap().to_owned();
    let execution: Value = waited.json().await.unwrap();
    assert_eq!(execution["status"], "pending");
    assert_eq!(location, format!("{EXECUTIONS}/{}", execution["id"].as_str().unwrap()));
    let refused = request(Method::GET, EXECUTIONS).send().await.unwrap();
    assert_eq!(refused.status(), 401);
}

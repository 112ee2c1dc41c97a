use gantry::domain::token::Role::{Admin, Viewer};
use reqwest::Method;
use serde_json::json;

use crate::server::{Server, problem};

const EXECUTIONS: &str = "/api/v1/executions";

/// Streams of one token at most.
const MOST: usize = 192;

#[tokio::test]
async fn more_streams_than_a_token_may_have_are_refused() {
    let server = Server::start().await;
    server.script("a").await;
    let path = format!("{EXECUTIONS}/{}/events", server.pending("a").await);
    let follow = |role| server.request(role, Method::GET, &path).send();
    let mut streams = Vec::new();
    for _ in 0..MOST {
        let answer = follow(Admin).await.unwrap();
        assert_eq!(answer.status(), 200);
        streams.push(answer);
    }
    let refused = follow(Admin).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(problem(503, refused).await["type"], "urn:gantry:problem:too-many-streams");
    // Whoever can't wait has submitted nothing.
    let submit = server.post(EXECUTIONS, &json!({"script": "a"})).header("prefer", "wait=1");
    problem(503, submit.send().await.unwrap()).await;
    let listed = server.get(EXECUTIONS).send().await.unwrap();
    assert_eq!(listed.headers()["x-total-count"], "1");
    let other = follow(Viewer).await.unwrap();
    assert_eq!(other.status(), 200);
    streams.clear();
    while follow(Admin).await.unwrap().status() != 200 {
        tokio::task::yield_now().await;
    }
}

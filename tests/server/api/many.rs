use gantry::domain::token::Role::{Admin, Operator, Runner, Viewer};
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, problem};

const EXECUTIONS: &str = "/api/v1/executions";

/// Streams of one token at most: half of what is for everybody.
const MOST: usize = 256;

#[tokio::test]
async fn a_token_with_all_streams_that_it_gets_leaves_some_to_others() {
    let server = Server::start().await;
    server.script("a").await;
    let path = format!("{EXECUTIONS}/{}/events", server.pending("a").await);
    let follow = |role| server.request(role, Method::GET, &path).send();
    let mut streams = Vec::new();
    for _ in 0..MOST {
        let answer = follow(Runner).await.unwrap();
        assert_eq!(answer.status(), 200);
        streams.push(answer);
    }
    let refused = follow(Runner).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(problem(503, refused).await["type"], "urn:gantry:problem:too-many-streams");
    // Whoever can't wait is not refused: it is accepted, and answered at once.
    let submit = server.request(Runner, Method::POST, EXECUTIONS).json(&json!({"script": "a"}));
    let accepted = submit.header("prefer", "wait=600").send().await.unwrap();
    assert_eq!(accepted.status(), 202);
    assert!(!accepted.headers().contains_key("preference-applied"));
    assert_eq!(accepted.json::<Value>().await.unwrap()["status"], "pending");
    let listed = server.get(EXECUTIONS).send().await.unwrap();
    assert_eq!(listed.headers()["x-total-count"], "2");
    for other in [Viewer, Operator, Admin] {
        let answer = follow(other).await.unwrap();
        assert_eq!(answer.status(), 200);
        streams.push(answer);
    }
    streams.clear();
    while follow(Runner).await.unwrap().status() != 200 {
        tokio::task::yield_now().await;
    }
}

//! The same request, sent again.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::testkit::server::{Server, answer, server};

async fn submit(server: &Server, key: &str, body: &Value) -> (StatusCode, Value) {
    let request = server.request(Method::POST, "/api/v1/executions").header("Idempotency-Key", key);
    answer(request.json(body).send().await.unwrap()).await
}

#[tokio::test]
async fn the_same_key_is_the_same_execution() {
    let server = server().start();
    server.register("once", "shell", "cat", json!({})).await;
    let body = json!({"script": "once", "input": 1});
    let (_, first) = submit(&server, "a key", &body).await;
    server.ended(first["id"].as_str().unwrap()).await;
    let (status, again) = submit(&server, "a key", &body).await;
    assert!(status.is_success(), "{again:#}");
    assert_eq!(first["id"], again["id"]);
    let other = json!({"script": "once", "input": 2});
    let (status, problem) = submit(&server, "a key", &other).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(server.count("/api/v1/executions").await, 1);
}

#[tokio::test]
async fn many_at_once_with_one_key_are_one_execution() {
    let server = server().start();
    server.register("once", "shell", "cat", json!({})).await;
    for round in 1..=4_u64 {
        let (key, body) = (format!("round {round}"), json!({"script": "once", "input": round}));
        let sent = (0..16).map(|_| submit(&server, &key, &body));
        let answers = futures::future::join_all(sent).await;
        assert!(answers.iter().all(|it| it.0.is_success()), "{answers:#?}");
        let ids: BTreeSet<_> = answers.iter().map(|it| it.1["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(server.count("/api/v1/executions").await, round);
        let execution = server.ended(ids.first().unwrap()).await;
        assert_eq!(execution["output_data"], round, "{execution:#}");
    }
}

use std::time::Duration;

use serde_json::{Value, json};

use super::server::{Server, problem};

#[tokio::test]
async fn a_database_that_is_gone_is_said_so_and_nothing_of_it() {
    let server = Server::start().await;
    server.script("a").await;
    // Their token is known for a moment, so they come as far as the database.
    assert_eq!(server.get("/api/v1/executions").send().await.unwrap().status(), 200);
    server.store.close().await;
    let answers = [
        server.get("/api/v1/executions").send().await.unwrap(),
        server.post("/api/v1/executions", &json!({"script": "a"})).send().await.unwrap(),
        server
            .bare(reqwest::Method::GET, "/api/v1/executions")
            .bearer_auth("gantry_x")
            .send()
            .await
            .unwrap(),
    ];
    for answer in answers {
        assert_eq!(answer.headers()["retry-after"], "2");
        assert_eq!(problem(503, answer).await["type"], "urn:gantry:problem:unavailable");
    }
    let ready = server.bare(reqwest::Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 503);
}

/// Waits until an execution is accepted; then the database goes away.
async fn lose_database(server: &Server, path: &str) {
    loop {
        let listed: Value = server.get(path).send().await.unwrap().json().await.unwrap();
        if listed[0]["id"].is_string() {
            return server.store.close().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_was_accepted_is_never_answered_as_if_it_were_not() {
    let server = Server::start().await;
    server.script("a").await;
    let request = server.post("/api/v1/executions", &json!({"script": "a", "input": {"x": 1}}));
    let request = request.header("prefer", "wait=60").send();
    let lost = lose_database(&server, "/api/v1/executions");
    let (answer, ()) = tokio::join!(request, lost);
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 202);
    assert!(!answer.headers().contains_key("retry-after"));
    assert!(!answer.headers().contains_key("preference-applied"));
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let execution: Value = answer.json().await.unwrap();
    assert_eq!((&execution["status"], &execution["script_name"]), (&json!("pending"), &json!("a")));
    assert_eq!(location, format!("/api/v1/executions/{}", execution["id"].as_str().unwrap()));
}

#[tokio::test]
async fn what_came_before_under_its_key_may_be_sent_again() {
    let server = Server::start().await;
    server.script("a").await;
    server.pending("a").await;
    let submit = || {
        let request = server.post("/api/v1/executions", &json!({"script": "a"}));
        request.header("idempotency-key", "k")
    };
    assert_eq!(submit().send().await.unwrap().status(), 202);
    let again = submit().header("prefer", "wait=60").send();
    let lost = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        lose_database(&server, "/api/v1/executions").await;
    };
    let (answer, ()) = tokio::join!(again, lost);
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["retry-after"], "2");
    problem(503, answer).await;
}

#[tokio::test]
async fn a_trial_that_was_accepted_is_named() {
    let server = Server::start().await;
    let id = server.script("a").await;
    let trial = server.post(&format!("/api/v1/admin/scripts/{id}/test"), &json!({})).send();
    let lost = lose_database(&server, "/api/v1/executions");
    let (answer, ()) = tokio::join!(trial, lost);
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 202);
    let result: Value = answer.json().await.unwrap();
    assert_eq!(result["status"], "pending");
    assert!(result["execution_id"].is_string(), "{result}");
}

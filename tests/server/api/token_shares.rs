//! Shares of tokens: which parts of the server's shares a token opens to its executions.

use gantry::domain::token::Role::{self, Admin};
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, problem};

const TOKENS: &str = "/api/v1/admin/tokens";

#[tokio::test]
async fn a_token_opens_the_parts_that_it_was_made_with() {
    let server = Server::start().await;
    let body = json!({"name": "film", "role": "runner",
        "shares": ["media/film3/", "media/film2", "media/film3"]});
    let answer = server.post(TOKENS, &body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let made: Value = answer.json().await.unwrap();
    assert_eq!(made["shares"], json!(["media/film2", "media/film3"]));
    let again = server.get(&format!("{TOKENS}/{}", made["id"])).send().await.unwrap();
    assert_eq!(again.json::<Value>().await.unwrap()["shares"], made["shares"]);
    let none = json!({"name": "none", "role": "runner"});
    let none: Value = server.post(TOKENS, &none).send().await.unwrap().json().await.unwrap();
    assert_eq!(none["shares"], json!([]));
    let audit: Vec<Value> =
        server.get("/api/v1/admin/audit").send().await.unwrap().json().await.unwrap();
    assert!(audit.iter().any(|it| it["after"]["shares"] == made["shares"]), "{audit:#?}");
    let page = server.request(Admin, Method::GET, TOKENS).send().await.unwrap();
    let tokens: Vec<Value> = page.json().await.unwrap();
    assert_eq!(tokens.iter().filter(|it| it["shares"] == made["shares"]).count(), 1);
}

#[tokio::test]
async fn what_is_no_part_of_a_share_is_refused_and_named() {
    let server = Server::start().await;
    let many = vec!["media"; 101];
    for (role, shares, pointer, words) in [
        (Role::Runner, json!(["media", "stock"]), "/shares/1", "there is no share \"stock\""),
        (Role::Runner, json!(["media/../etc"]), "/shares/0", "`..`"),
        (Role::Runner, json!(["/media"]), "/shares/0", "beginning with a letter or a digit"),
        (Role::Runner, json!([""]), "/shares/0", "beginning with a letter or a digit"),
        (Role::Runner, json!(["media/a\u{0}"]), "/shares/0", "control characters"),
        (Role::Runner, json!(many), "/shares", "at most 100"),
        (Role::Viewer, json!(["media"]), "/shares", "only one of role runner"),
        (Role::Admin, json!(["media"]), "/shares", "only one of role runner"),
    ] {
        let body = json!({"name": "t", "role": role.name(), "shares": shares});
        let answer = server.post(TOKENS, &body).send().await.unwrap();
        let found = problem(422, answer).await;
        let error = &found["errors"][0];
        assert_eq!(error["pointer"], pointer, "{found:#}");
        assert!(error["detail"].as_str().unwrap().contains(words), "{found:#}");
    }
}

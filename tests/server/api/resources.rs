use gantry::domain::token::Role::{Admin, Operator, Viewer};
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, problem};

const SCRIPTS: &str = "/api/v1/admin/scripts";
const TOKENS: &str = "/api/v1/admin/tokens";

#[tokio::test]
async fn a_script_is_registered_listed_and_shown() {
    let server = Server::start().await;
    let body = json!({"name": "weather", "script_type": "shell", "source": "cat\n"});
    let answer = server.post(SCRIPTS, &body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let created: Value = answer.json().await.unwrap();
    let shown: Value = server.get(&location).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown, created);
    let named = server.get(&format!("{SCRIPTS}/weather")).send().await.unwrap();
    assert_eq!(named.json::<Value>().await.unwrap(), created);
    for (field, value) in [
        ("name", json!("weather")),
        ("source", json!("cat\n")),
        ("timeout_secs", json!(300)),
        ("version", json!(1)),
        ("created_by", json!("admin")),
        ("argument_schema", json!({})),
        ("network", json!("none")),
        ("max_concurrency", json!(null)),
        ("warm", json!(0)),
        ("preload", json!(null)),
        ("runtime", json!(null)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    problem(409, server.post(SCRIPTS, &body).send().await.unwrap()).await;
    for (query, count) in [
        ("", "1"),
        ("?search=EATH", "1"),
        ("?search=x", "0"),
        ("?type=python", "0"),
        ("?enabled=true", "1"),
        ("?offset=1", "1"),
    ] {
        let answer = server.get(&format!("{SCRIPTS}{query}")).send().await.unwrap();
        assert_eq!(answer.headers()["x-total-count"], count, "{query}");
    }
    problem(422, server.get(&format!("{SCRIPTS}?enabled=maybe")).send().await.unwrap()).await;
}

#[tokio::test]
async fn operators_change_how_a_script_is_run_and_not_what() {
    let server = Server::start().await;
    let path = format!("{SCRIPTS}/{}", server.script("a").await);
    let put = |role, body: Value| server.request(role, Method::PUT, &path).json(&body).send();
    let answer = put(Operator, json!({"is_enabled": false})).await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["is_enabled"], false);
    problem(403, put(Operator, json!({"source": "x"})).await.unwrap()).await;
    problem(403, put(Viewer, json!({"is_enabled": true})).await.unwrap()).await;
    problem(422, put(Admin, json!({"nonsense": true})).await.unwrap()).await;
}

#[tokio::test]
async fn versions_are_listed_and_activated() {
    let server = Server::start().await;
    let id = server.script("a").await;
    let answer = server.get(&format!("{SCRIPTS}/{id}/versions")).send().await.unwrap();
    assert_eq!(answer.headers()["x-total-count"], "1");
    let versions: Value = answer.json().await.unwrap();
    assert_eq!((&versions[0]["version"], &versions[0]["is_current"]), (&json!(1), &json!(true)));
    let path = format!("{SCRIPTS}/{id}/versions/1/activate");
    let answer = server.request(Admin, Method::POST, &path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let path = format!("{SCRIPTS}/{id}/versions/2/activate");
    problem(404, server.request(Admin, Method::POST, &path).send().await.unwrap()).await;
    problem(404, server.get(&format!("{SCRIPTS}/4711/versions")).send().await.unwrap()).await;
}

#[tokio::test]
async fn a_token_is_shown_once_and_revoked_at_once() {
    let server = Server::start().await;
    server.script("a").await;
    let body = json!({"name": "ci", "role": "runner", "scripts": ["a", "1"]});
    let answer = server.post(TOKENS, &body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let created: Value = answer.json().await.unwrap();
    assert_eq!(created["scripts"], json!(["a"]));
    let token = created["token"].as_str().unwrap();
    let listed = server.get(TOKENS).send().await.unwrap();
    assert_eq!(listed.headers()["x-total-count"], "5");
    assert!(!listed.text().await.unwrap().contains(token));
    let used = || server.bare(Method::GET, "/api/v1/executions").bearer_auth(token).send();
    assert_eq!(used().await.unwrap().status(), 200);
    problem(409, server.post(TOKENS, &body).send().await.unwrap()).await;
    let path = format!("{TOKENS}/{}", created["id"]);
    let revoked = server.request(Admin, Method::DELETE, &path).send().await.unwrap();
    assert!(revoked.json::<Value>().await.unwrap()["revoked_at"].is_string());
    problem(401, used().await.unwrap()).await;
    assert_eq!(server.request(Admin, Method::DELETE, &path).send().await.unwrap().status(), 200);
    let subject = "/api/v1/admin/audit?subject=token:ci";
    let answer = server.request(Viewer, Method::GET, subject).send().await.unwrap();
    let text = answer.text().await.unwrap();
    assert!(!text.contains(token), "{text}");
    let changes: Value = serde_json::from_str(&text).unwrap();
    let actions: Vec<_> =
        changes.as_array().unwrap().iter().map(|it| it["action"].clone()).collect();
    assert_eq!(actions, ["token.revoke", "token.create"]);
    assert_eq!(changes[0]["actor"], "admin");
}

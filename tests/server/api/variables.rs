use gantry::domain::token::Role::{self, Admin, Operator, Runner};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::server::{Server, problem};

const SCRIPT: &str = "/api/v1/admin/scripts/a";

/// Names that turn a program that a script may start into another, or that nobody has
/// thought of.
const STEERING: [&str; 9] = [
    "TAR_OPTIONS",
    "ZIPOPT",
    "MAKEFLAGS",
    "RSYNC_RSH",
    "SSLKEYLOGFILE",
    "https_proxy",
    "CURL_CA_BUNDLE",
    "NEVER_HEARD_OF",
    "PARAM",
];

async fn submit(server: &Server, role: Role, env: &Value) -> Response {
    let request = server.request(role, Method::POST, "/api/v1/executions");
    request.json(&json!({"script": "a", "env": env})).send().await.unwrap()
}

async fn change(server: &Server, role: Role, body: &Value) -> Response {
    server.request(role, Method::PUT, SCRIPT).json(body).send().await.unwrap()
}

#[tokio::test]
async fn a_request_sets_parameters_and_nothing_else_by_default() {
    let server = Server::start().await;
    server.script("a").await;
    for name in STEERING {
        let refused = problem(422, submit(&server, Runner, &json!({ name: "x" })).await).await;
        assert_eq!(refused["errors"][0]["pointer"], format!("/env/{name}"), "{refused:#}");
        let detail = refused["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("env_allowed") && detail.contains("PARAM_"), "{detail}");
    }
    // What the script sets itself is not the request's.
    problem(422, submit(&server, Runner, &json!({"SECRET": "x"})).await).await;
    let env = json!({"PARAM_SIZE": "1", "PARAM_": ""});
    assert_eq!(submit(&server, Runner, &env).await.status(), 202);
    assert_eq!(submit(&server, Admin, &json!({"TAR_OPTIONS": "x"})).await.status(), 202);
}

#[tokio::test]
async fn a_request_sets_what_its_script_declares() {
    let server = Server::start().await;
    server.script("a").await;
    let changed = change(&server, Admin, &json!({"env_allowed": ["MODE", "APP_*", "MODE"]})).await;
    let changed: Value = changed.json().await.unwrap();
    assert_eq!(changed["env_allowed"], json!(["APP_*", "MODE"]), "{changed:#}");
    let env = json!({"MODE": "fast", "APP_X": "1", "PARAM_Y": "2"});
    assert_eq!(submit(&server, Runner, &env).await.status(), 202);
    problem(422, submit(&server, Runner, &json!({"MODES": "x"})).await).await;
    let no_more = change(&server, Admin, &json!({"env_allowed": null})).await;
    assert_eq!(no_more.status(), 200);
    problem(422, submit(&server, Runner, &env).await).await;
}

#[tokio::test]
async fn what_requests_may_set_and_execute_is_for_admins_to_say() {
    let server = Server::start().await;
    server.script("a").await;
    for body in [json!({"env_allowed": ["A"]}), json!({"exec": false})] {
        let refused = problem(403, change(&server, Operator, &body).await).await;
        assert!(refused["detail"].as_str().unwrap().contains("may not change"), "{refused:#}");
    }
    for names in [json!(["LD_*"]), json!(["PATH"]), json!(["a b"]), json!(vec!["A"; 101])] {
        let refused = problem(422, change(&server, Admin, &json!({"env_allowed": names})).await);
        assert_eq!(refused.await["errors"][0]["pointer"], "/env_allowed");
    }
    let shown: Value = server.get(SCRIPT).send().await.unwrap().json().await.unwrap();
    assert_eq!((&shown["env_allowed"], &shown["exec"]), (&json!([]), &json!(true)));
}

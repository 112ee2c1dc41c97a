use std::time::{Duration, Instant};

use gantry::domain::token::Role::Admin;
use reqwest::{Method, Response};
use serde_json::json;

use super::server::{Server, problem};

const EXECUTIONS: &str = "/api/v1/executions";

async fn register(server: &Server, argument_schema: &str) -> Response {
    let body = format!(
        "{{\"name\": \"strict\", \"script_type\": \"shell\", \"source\": \"cat\", \
         \"argument_schema\": {argument_schema}}}"
    );
    let request = server.request(Admin, Method::POST, "/api/v1/admin/scripts");
    request.header("content-type", "application/json").body(body).send().await.unwrap()
}

#[tokio::test]
async fn schemas_that_no_tree_holds_are_refused() {
    let server = Server::start().await;
    let deep = format!("{}{}", "{\"not\":".repeat(10_000), "}".repeat(10_000));
    let deep = deep.replace("{\"not\":}", "{\"not\":{}}");
    for schema in [deep.as_str(), "{\"minimum\": 1e400}", "{\"enum\": [-1e400]}"] {
        let refused = register(&server, schema).await;
        let status = refused.status().as_u16();
        assert!(matches!(status, 400 | 422), "{status}");
        let problem = problem(status, refused).await;
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap_or_default();
        assert!(pointer.starts_with("/argument_schema"), "{problem}");
    }
}

#[tokio::test]
async fn a_schema_with_a_name_twice_is_refused() {
    let server = Server::start().await;
    let schema = "{\"properties\": {\"a\": {\"type\": \"string\", \"type\": \"integer\"}}}";
    let problem = problem(422, register(&server, schema).await).await;
    assert!(problem["detail"].as_str().unwrap().contains("\"type\" is there more than once"));
    let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
    assert!(pointer.starts_with("/argument_schema/properties/a"), "{problem}");
    assert_eq!(register(&server, "{\"properties\": {\"type\": {}}}").await.status(), 201);
}

#[tokio::test]
async fn a_pattern_takes_no_longer_than_its_text() {
    let server = Server::start().await;
    let registered = register(&server, "{\"pattern\": \"^(a+)+$\"}").await;
    assert_eq!(registered.status(), 201);
    let input = format!("{}!", "a".repeat(50_000));
    let submit = server.post(EXECUTIONS, &json!({"script": "strict", "input": input}));
    let refused = tokio::time::timeout(Duration::from_secs(20), submit.send()).await.unwrap();
    problem(422, refused.unwrap()).await;
}

#[tokio::test]
async fn others_are_answered_while_an_input_is_hard_to_check() {
    let server = Server::start().await;
    // Ten million looks at twenty kilobytes: only the last alternative is right.
    let alternatives: Vec<_> = (0..1_000).map(|number| json!({"const": 999 - number})).collect();
    let schema = json!({"items": {"anyOf": alternatives}});
    assert_eq!(register(&server, &schema.to_string()).await.status(), 201);
    let input = vec![0; 10_000];
    let begun = Instant::now();
    let submit = server.post(EXECUTIONS, &json!({"script": "strict", "input": input}));
    let submit = tokio::spawn(submit.send());
    let mut longest = Duration::ZERO;
    while !submit.is_finished() {
        let asked = Instant::now();
        assert_eq!(server.bare(Method::GET, "/healthz").send().await.unwrap().status(), 200);
        longest = longest.max(asked.elapsed());
    }
    let took = begun.elapsed();
    assert_eq!(submit.await.unwrap().unwrap().status(), 202);
    assert!(longest < took / 2, "{longest:?} of {took:?}");
}

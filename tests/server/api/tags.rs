//! Tags of scripts: who sets them, what is refused, and how scripts are found by them.

use gantry::domain::token::Role::{self, Admin, Operator, Viewer};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::server::{Server, problem};

const SCRIPTS: &str = "/api/v1/admin/scripts";

async fn put(server: &Server, role: Role, name: &str, body: &Value) -> Response {
    server.request(role, Method::PUT, &format!("{SCRIPTS}/{name}")).json(body).send().await.unwrap()
}

async fn names(server: &Server, query: &str) -> Vec<String> {
    let request = server.request(Viewer, Method::GET, &format!("{SCRIPTS}{query}"));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{query}");
    let total = answer.headers()["x-total-count"].to_str().unwrap().to_owned();
    let scripts: Vec<Value> = answer.json().await.unwrap();
    assert_eq!(total, scripts.len().to_string(), "{query}");
    scripts.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn operators_tag_a_script_without_a_new_version() {
    let server = Server::start().await;
    server.script("a").await;
    let tags = json!({"tags": ["print", "colour.v2"]});
    let answer = put(&server, Operator, "a", &tags).await;
    assert_eq!(answer.status(), 200);
    let tagged: Value = answer.json().await.unwrap();
    assert_eq!((&tagged["tags"], &tagged["version"]), (&tags["tags"], &json!(1)));
    let kept = put(&server, Operator, "a", &json!({"warm": 1})).await;
    assert_eq!(kept.json::<Value>().await.unwrap()["tags"], tags["tags"]);
    let none = put(&server, Admin, "a", &json!({"tags": null})).await;
    let none: Value = none.json().await.unwrap();
    assert_eq!((&none["tags"], &none["version"]), (&json!([]), &json!(1)));
    problem(403, put(&server, Viewer, "a", &tags).await).await;
    let audit = server.get("/api/v1/admin/audit").send().await.unwrap();
    let entries: Vec<Value> = audit.json().await.unwrap();
    let changes: Vec<_> = entries.iter().filter(|it| it["action"] == "script.update").collect();
    assert!(changes.iter().any(|it| it["after"]["tags"] == tags["tags"]), "{entries:#?}");
}

#[tokio::test]
async fn what_is_no_tag_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    server.script("a").await;
    put(&server, Operator, "a", &json!({"tags": ["kept"]})).await;
    let many: Vec<_> = (0..21).map(|number| number.to_string()).collect();
    for (tags, words) in [
        (json!(["fine", "Colour"]), "\"Colour\" is not a tag"),
        (json!([""]), "is not a tag"),
        (json!(["-a"]), "is not a tag"),
        (json!(["a b"]), "is not a tag"),
        (json!(["x".repeat(41)]), "is not a tag"),
        (json!(["nul\u{0}"]), "is not a tag"),
        (json!(["a", "b", "a"]), "more than once"),
        (json!(many), "at most 20"),
        (json!("a"), ""),
        (json!([1]), ""),
    ] {
        let body = json!({"tags": tags});
        for role in [Admin, Operator] {
            let refused = problem(422, put(&server, role, "a", &body).await).await;
            let error = &refused["errors"][0];
            assert!(error["pointer"].as_str().unwrap().starts_with("/tags"), "{refused:#}");
            assert!(error["detail"].as_str().unwrap().contains(words), "{refused:#}");
        }
        let new = json!({"name": "b", "script_type": "shell", "source": "true", "tags": tags});
        problem(422, server.post(SCRIPTS, &new).send().await.unwrap()).await;
    }
    assert_eq!(names(&server, "?tag=kept").await, ["a"]);
}

#[tokio::test]
async fn scripts_are_found_by_all_of_the_tags() {
    let server = Server::start().await;
    for (name, tags) in [("a", json!(["print", "colour"])), ("b", json!(["print"]))] {
        let body = json!({"name": name, "script_type": "shell", "source": "true", "tags": tags});
        assert_eq!(server.post(SCRIPTS, &body).send().await.unwrap().status(), 201);
    }
    server.script("c").await;
    for (query, found) in [
        ("", &["a", "b", "c"][..]),
        ("?tag=print", &["a", "b"]),
        ("?tag=print&tag=colour", &["a"]),
        ("?tag=colour&enabled=true&tag=print&type=shell", &["a"]),
        ("?tag=prin", &[]),
        ("?tag=print&enabled=false", &[]),
    ] {
        assert_eq!(names(&server, query).await, found, "{query}");
    }
    for query in ["?tag=", "?tag=Print", "?tag=a%20b", "?tag=%00", "?tag=a&tag=-b"] {
        let answer = server.get(&format!("{SCRIPTS}{query}")).send().await.unwrap();
        let refused = problem(422, answer).await;
        assert!(refused.to_string().contains("tag"), "{query}: {refused:#}");
    }
    let other = server.get(&format!("{SCRIPTS}?search=a&search=b")).send().await.unwrap();
    let refused = problem(422, other).await;
    assert!(refused.to_string().contains("more than once"), "{refused:#}");
}

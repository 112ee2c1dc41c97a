use std::sync::Arc;

use gantry::domain::token::Role::{Admin, Viewer};
use gantry::engine::EngineError;
use reqwest::Method;
use serde_json::Value;

use super::server::{Server, problem};

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let server = Server::start().await;
    for path in ["/nothing", "/api", "/api/v1/executions/", "/api/v1/../v1/x", "//"] {
        problem(404, server.get(path).send().await.unwrap()).await;
    }
    let answer = server.request(Admin, Method::PATCH, "/api/v1/executions").send().await.unwrap();
    let mut allowed: Vec<_> =
        answer.headers()["allow"].to_str().unwrap().split(',').map(str::to_owned).collect();
    allowed.sort();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    problem(405, answer).await;
    problem(405, server.bare(Method::DELETE, "/healthz").send().await.unwrap()).await;
}

#[tokio::test]
async fn every_answer_has_an_id_and_keeps_browsers_from_guessing() {
    let server = Server::start().await;
    for path in ["/healthz", "/nothing", "/api/v1/executions", "/api/docs"] {
        let answer = server.get(path).header("x-request-id", "my-id.7").send().await.unwrap();
        let headers = answer.headers();
        assert_eq!(headers["x-request-id"], "my-id.7");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert!(
            headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'")
        );
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    let long = "x".repeat(200);
    for strange in ["", "a b", "a\tb", "<script>", long.as_str()] {
        let answer = server.get("/healthz").header("x-request-id", strange).send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        assert!(id != strange && id.len() == 32, "{id}");
    }
}

#[tokio::test]
async fn details_of_health_are_for_those_with_a_token() {
    let server = Server::start().await;
    let bare = server.bare(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(bare.status(), 200);
    assert_eq!(bare.text().await.unwrap(), "{\"status\":\"ok\"}");
    let answer = server.request(Viewer, Method::GET, "/readyz").send().await.unwrap();
    let health: Value = answer.json().await.unwrap();
    let names: Vec<_> = health["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["database", "engine", "disk"]);
    server.stopping.cancel();
    let answer = server.bare(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.text().await.unwrap(), "{\"status\":\"unavailable\"}");
    assert_eq!(server.bare(Method::GET, "/healthz").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_document_is_whole() {
    let server = Server::start().await;
    let document: Value =
        server.get("/api/openapi.json").send().await.unwrap().json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            assert!(operation["summary"].is_string(), "{place}");
            assert!(operation["description"].is_string(), "{place}");
            let named: Vec<_> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|it| it["in"] == "path")
                .map(|it| it["name"].as_str().unwrap())
                .collect();
            let in_path = path.matches('{').count();
            assert_eq!(named.len(), in_path, "{place}");
            if let Some(body) = operation.get("requestBody") {
                for (media_type, body) in body["content"].as_object().unwrap() {
                    let is_bytes = media_type.ends_with("octet-stream");
                    assert!(is_bytes || body["example"].is_object(), "{place}");
                    assert!(!is_bytes || body["schema"]["format"] == "binary", "{place}");
                }
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                for (media_type, body) in response["content"].as_object().into_iter().flatten() {
                    let is_bytes =
                        matches!(&**media_type, "application/octet-stream" | "application/x-tar");
                    let is_problem = media_type == "application/problem+json";
                    assert!(is_bytes || body.get("example").is_some(), "{place} {status}: {body}");
                    let is_failure = status.starts_with(['4', '5']) && path != "/readyz";
                    assert_eq!(is_problem, is_failure, "{place} {status}");
                }
            }
        }
    }
    for id in &ids {
        let is_camel_case = id.starts_with(|c: char| c.is_ascii_lowercase())
            && id.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(is_camel_case, "{id}");
    }
    for id in ["healthz", "registerScript", "submitExecution", "getExecution", "cancelExecution"] {
        assert!(ids.iter().any(|it| it == id), "{id} is not among {ids:?}");
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_and_shows_every_operation() {
    let server = Server::start().await;
    let document: Value =
        server.get("/api/openapi.json").send().await.unwrap().json().await.unwrap();
    let answer = server.get("/api/docs").send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let page = answer.text().await.unwrap();
    for word in ["<script", "<img", "<link", "http://", "https://", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(page.contains(&format!("<article id=\"{id}\">")), "{id}");
        }
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let server = Server::start().await;
    server.get("/api/v1/admin/scripts/4711").send().await.unwrap();
    server.get("/secret-path").send().await.unwrap();
    let answer = server.request(Viewer, Method::GET, "/metrics").send().await.unwrap();
    let text = answer.text().await.unwrap();
    let line = "gantry_http_requests_total{method=\"GET\",route=\"/api/v1/admin/scripts/{id}\",status=\"404\"} 1";
    assert!(text.lines().any(|it| it == line), "{text}");
    assert!(!text.contains("4711") && !text.contains("secret-path"), "{text}");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_not_ready() {
    let server = Server::start_with_engine(Arc::new(|| {
        let (endpoint, reason) = ("unix:///x".to_owned(), "secret words".to_owned());
        Box::pin(async { Err(EngineError::Unreachable { endpoint, reason }) })
    }))
    .await;
    let bare = server.bare(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(bare.status(), 503);
    assert_eq!(bare.text().await.unwrap(), "{\"status\":\"unavailable\"}");
    let answer = server.request(Viewer, Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let health: Value = answer.json().await.unwrap();
    let is_ok: Vec<_> =
        health["checks"].as_array().unwrap().iter().map(|it| &it["is_ok"]).collect();
    assert_eq!(is_ok, [true, false, true]);
    assert!(health["checks"][1]["detail"].as_str().unwrap().contains("the engine does not answer"));
    assert!(!health.to_string().contains("secret words"), "{health}");
    assert_eq!(server.bare(Method::GET, "/healthz").send().await.unwrap().status(), 200);
}

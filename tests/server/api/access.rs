use std::time::Duration;

use gantry::clock;
use gantry::domain::token::Role::{self, Admin, Operator, Runner, Viewer};
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, make_token, problem};

const ALL: &[Role] = &[Admin, Operator, Runner, Viewer];
const SEEING: &[Role] = &[Admin, Operator, Viewer];
const INVOKING: &[Role] = &[Admin, Runner];

/// Who may do what: the table of routes and roles that users are told.
const TABLE: &[(&str, &str, &[Role])] = &[
    ("post", "/api/v1/admin/scripts", &[Admin]),
    ("get", "/api/v1/admin/scripts", SEEING),
    ("get", "/api/v1/admin/scripts/{id}", SEEING),
    ("put", "/api/v1/admin/scripts/{id}", &[Admin, Operator]),
    ("delete", "/api/v1/admin/scripts/{id}", &[Admin]),
    ("post", "/api/v1/admin/scripts/{id}/test", &[Admin]),
    ("get", "/api/v1/admin/scripts/{id}/versions", SEEING),
    ("get", "/api/v1/admin/scripts/{id}/versions/{version}", SEEING),
    ("get", "/api/v1/admin/scripts/{id}/versions/{version}/source", SEEING),
    ("get", "/api/v1/admin/scripts/{id}/versions/{version}/files", SEEING),
    ("get", "/api/v1/admin/scripts/{id}/versions/{version}/bundle", SEEING),
    ("post", "/api/v1/admin/scripts/{id}/versions/{version}/activate", &[Admin]),
    ("get", "/api/v1/admin/scripts/{id}/executions", SEEING),
    ("get", "/api/v1/admin/scripts/executions/{id}", SEEING),
    ("post", "/api/v1/executions", &[Admin, Runner]),
    ("get", "/api/v1/executions", ALL),
    ("get", "/api/v1/executions/{id}", ALL),
    ("post", "/api/v1/executions/{id}/cancel", &[Admin, Operator, Runner]),
    ("get", "/api/v1/executions/{id}/events", ALL),
    ("get", "/api/v1/executions/{id}/artifacts", ALL),
    ("get", "/api/v1/executions/{id}/artifacts/{name}", ALL),
    ("get", "/api/v1/executions/{id}/outputs", ALL),
    ("post", "/api/v1/files", INVOKING),
    ("get", "/api/v1/files", ALL),
    ("post", "/api/v1/files/missing", INVOKING),
    ("put", "/api/v1/files/{digest}", INVOKING),
    ("get", "/api/v1/files/{digest}", ALL),
    ("delete", "/api/v1/files/{digest}", INVOKING),
    ("options", "/api/v1/uploads", ALL),
    ("post", "/api/v1/uploads", INVOKING),
    ("head", "/api/v1/uploads/{id}", INVOKING),
    ("patch", "/api/v1/uploads/{id}", INVOKING),
    ("delete", "/api/v1/uploads/{id}", INVOKING),
    ("post", "/api/v1/trees", INVOKING),
    ("get", "/api/v1/trees/{digest}", ALL),
    ("get", "/api/v1/trees/{digest}/{path}", ALL),
    ("get", "/api/v1/storage", ALL),
    ("delete", "/api/v1/jobs/{job_id}/files", &[Admin, Operator, Runner]),
    ("get", "/api/v1/admin/environments", SEEING),
    ("get", "/api/v1/admin/environments/{key}", SEEING),
    ("get", "/api/v1/admin/environments/{key}/log", SEEING),
    ("post", "/api/v1/admin/environments/{key}/build", &[Admin]),
    ("post", "/api/v1/admin/tokens", &[Admin]),
    ("get", "/api/v1/admin/tokens", &[Admin]),
    ("get", "/api/v1/admin/tokens/{id}", &[Admin]),
    ("delete", "/api/v1/admin/tokens/{id}", &[Admin]),
    ("get", "/api/v1/admin/audit", SEEING),
    ("get", "/metrics", SEEING),
    ("get", "/api/openapi.json", ALL),
    ("get", "/api/docs", ALL),
];

const OPEN: [&str; 2] = ["/healthz", "/readyz"];

async fn document(server: &Server) -> Value {
    server.get("/api/openapi.json").send().await.unwrap().json().await.unwrap()
}

/// Every route of the document: method and path.
fn routes(document: &Value) -> Vec<(String, String)> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.push((method.clone(), path.clone()));
        }
    }
    routes
}

/// A path that leads to nothing that is there.
fn filled(path: &str) -> String {
    path.replace("{id}", "999999")
        .replace("{version}", "1")
        .replace("{key}", &"0".repeat(64))
        .replace("{digest}", &format!("sha256:{}", "0".repeat(64)))
        .replace("{path}", "x")
        .replace("{name}", "x")
}

async fn status(server: &Server, method: &str, path: &str, token: Option<&str>) -> u16 {
    let method: Method = method.to_uppercase().parse().unwrap();
    let mut request = server.bare(method.clone(), &filled(path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if method == Method::POST || method == Method::PUT {
        request = request.json(&json!({}));
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    if matches!(status, 401 | 403) {
        if status == 401 {
            assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        }
        // An answer to HEAD has no body.
        if method != Method::HEAD {
            problem(status, answer).await;
        }
    }
    status
}

#[tokio::test]
async fn the_document_has_the_routes_of_the_table_and_no_others() {
    let server = Server::start().await;
    let document = document(&server).await;
    let mut documented = routes(&document);
    let mut expected: Vec<_> =
        TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    expected.extend(OPEN.map(|path| ("get".to_owned(), path.to_owned())));
    documented.sort();
    expected.sort();
    assert_eq!(documented, expected);
}

#[tokio::test]
async fn every_route_lets_its_roles_in_and_nobody_else() {
    // A server answers ten tokens that are not valid before it has them wait.
    for rows in TABLE.chunks(3) {
        let server = Server::start().await;
        lets_roles_in(&server, rows).await;
    }
    let server = Server::start().await;
    for path in OPEN {
        assert_eq!(status(&server, "get", path, None).await, 200, "{path}");
    }
}

async fn lets_roles_in(server: &Server, rows: &[(&str, &str, &[Role])]) {
    let now = clock::now();
    let (revoked, revoked_token) = make_token(&server.access, "revoked", Admin, None, None).await;
    assert_eq!(server.access.verify(&revoked_token).await.unwrap().name, "revoked");
    server.access.revoke("test", revoked).await.unwrap();
    let end = now + Duration::from_millis(500);
    let (_, expired) = make_token(&server.access, "expired", Admin, None, Some(end)).await;
    while clock::now() < end {
        tokio::task::yield_now().await;
    }
    for (method, path, allowed) in rows {
        for token in [None, Some("gantry_nonsense"), Some(&*revoked_token), Some(&*expired)] {
            let got = status(server, method, path, token).await;
            assert_eq!(got, 401, "{method} {path} with {token:?}");
        }
        for role in Role::ALL {
            let got = status(server, method, path, Some(server.token(role))).await;
            let is_refused = matches!(got, 401 | 403);
            assert_eq!(is_refused, !allowed.contains(&role), "{method} {path} as {role}: {got}");
            assert!(got < 500, "{method} {path} as {role}: {got}");
        }
    }
}

#[tokio::test]
async fn tokens_that_are_not_valid_are_counted_and_one_that_is_comes_in_all_the_same() {
    let server = Server::start().await;
    let path = "/api/v1/executions";
    let tried = |token: &str| server.bare(Method::GET, path).bearer_auth(token).send();
    for number in 0..10 {
        problem(401, tried(&format!("guessed-{number}")).await.unwrap()).await;
    }
    let refused = tried("guessed").await.unwrap();
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    let told = problem(429, refused).await;
    assert!(told["detail"].as_str().unwrap().contains("too often"), "{told:#}");
    // To sign in is another way to try the same.
    let signing_in = server.client.post(format!("{}/sign-in", server.url));
    let form = signing_in.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(form.body("token=guessed&next=%2F").send().await.unwrap().status(), 429);
    assert_eq!(tried(server.token(Admin)).await.unwrap().status(), 200);
    problem(401, server.bare(Method::GET, path).send().await.unwrap()).await;
    let readyz = server.bare(Method::GET, "/readyz").bearer_auth("guessed");
    assert_eq!(readyz.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn roles_are_in_the_document() {
    let server = Server::start().await;
    let document = document(&server).await;
    for (method, path, allowed) in TABLE {
        let names: Vec<_> = allowed.iter().map(|role| role.name()).collect();
        let security = &document["paths"][path][method]["security"];
        assert_eq!(*security, json!([{"bearer": names}]), "{method} {path}");
    }
}

#[tokio::test]
async fn other_ways_to_say_who_one_is_are_refused() {
    let server = Server::start().await;
    let token = server.token(Admin);
    let path = format!("/api/v1/executions?token={token}");
    problem(401, server.bare(Method::GET, &path).send().await.unwrap()).await;
    for value in [format!("Basic {token}"), token.to_owned(), "Bearer".to_owned(), String::new()] {
        let request = server.bare(Method::GET, "/api/v1/executions").header("authorization", value);
        problem(401, request.send().await.unwrap()).await;
    }
    let bytes = reqwest::header::HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap();
    let request = server.bare(Method::GET, "/api/v1/executions").header("authorization", bytes);
    problem(401, request.send().await.unwrap()).await;
    let request = server.bare(Method::GET, "/api/v1/executions");
    let request = request.header("authorization", format!("bearer  {token}"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    // A method that there is not is nobody's business without a token, either.
    problem(401, server.bare(Method::PATCH, "/api/v1/executions").send().await.unwrap()).await;
}

#[tokio::test]
async fn a_limited_runner_sees_nothing_beyond_its_scripts() {
    let server = Server::start().await;
    let (ours, _) = (server.script("ours").await, server.script("theirs").await);
    let token = server.limited(&[ours]).await;
    let (own, other) = (server.pending("ours").await, server.pending("theirs").await);
    let get = |path: String| server.bare(Method::GET, &path).bearer_auth(&token).send();
    assert_eq!(get(format!("/api/v1/executions/{own}")).await.unwrap().status(), 200);
    server.finish(own, "ours").await;
    let events = get(format!("/api/v1/executions/{own}/events")).await.unwrap();
    assert_eq!(events.status(), 200);
    assert!(events.text().await.unwrap().contains("{\"text\":\"ours\"}"));
    let artifacts = get(format!("/api/v1/executions/{own}/artifacts")).await.unwrap();
    assert_eq!(
        (artifacts.status().as_u16(), artifacts.text().await.unwrap().as_str()),
        (200, "[]")
    );
    for path in ["", "/events", "/artifacts", "/artifacts/x"] {
        let answer = get(format!("/api/v1/executions/{other}{path}")).await.unwrap();
        problem(404, answer).await;
    }
    let cancel = server.bare(Method::POST, &format!("/api/v1/executions/{other}/cancel"));
    problem(404, cancel.bearer_auth(&token).send().await.unwrap()).await;
    let body = json!({"script": "theirs"});
    let submit = server.bare(Method::POST, "/api/v1/executions").bearer_auth(&token).json(&body);
    problem(404, submit.send().await.unwrap()).await;
    for (query, count) in
        [("", 1), ("?script=theirs", 0), ("?script=2", 0), ("?status=completed", 1)]
    {
        let answer = get(format!("/api/v1/executions{query}")).await.unwrap();
        assert_eq!(answer.headers()["x-total-count"], count.to_string(), "{query}");
        let listed: Value = answer.json().await.unwrap();
        assert_eq!(listed.as_array().unwrap().len(), count, "{query}");
    }
}

#[tokio::test]
async fn values_of_variables_are_for_admins() {
    let server = Server::start().await;
    let id = server.script("ours").await;
    for (role, shown) in [(Admin, "s3cr3t"), (Operator, "***"), (Viewer, "***")] {
        for path in [
            format!("/api/v1/admin/scripts/{id}"),
            format!("/api/v1/admin/scripts/{id}/versions/1"),
        ] {
            let answer = server.request(role, Method::GET, &path).send().await.unwrap();
            let script: Value = answer.json().await.unwrap();
            assert_eq!(script["env"]["SECRET"], shown, "{role} {path}");
        }
    }
}

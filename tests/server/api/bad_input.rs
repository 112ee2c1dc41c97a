use gantry::domain::token::Role::Admin;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::server::{Server, problem};

const EXECUTIONS: &str = "/api/v1/executions";
const TOKENS: &str = "/api/v1/admin/tokens";

async fn posted(server: &Server, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
    let request = server.request(Admin, Method::POST, path);
    request.header("content-type", "application/json").body(body).send().await.unwrap()
}

#[tokio::test]
async fn bodies_that_are_not_json_are_said_where() {
    let server = Server::start().await;
    for (body, words) in [
        (&b""[..], "empty"),
        (b"{\"script\": ", "line 1"),
        (b"{\"script\": \"a\",}", "line 1, column 16"),
        (b"{\"script\": \"a\"} x", "line 1"),
        (b"{\"script\": \"\xff\"}", "invalid UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"{\"script\": \"a\", \"script\": \"b\"}", "more than once"),
        (b"{\"script\": NaN}", "line 1"),
    ] {
        let answer = posted(&server, EXECUTIONS, body).await;
        let problem = problem(400, answer).await;
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}

#[tokio::test]
async fn what_is_not_valid_is_said_with_pointers() {
    let server = Server::start().await;
    server.script("a").await;
    for (body, pointer) in [
        (json!([]), ""),
        (json!("x"), ""),
        (json!({}), ""),
        (json!({"script": null}), "/script"),
        (json!({"script": 1.5}), "/script"),
        (json!({"script": "a", "args": "x"}), "/args"),
        (json!({"script": "a", "args": ["x", 1]}), "/args/1"),
        (json!({"script": "a", "args": ["\0"]}), "/args/0"),
        (json!({"script": "a", "env": {"PATH": "/x"}}), "/env/PATH"),
        (json!({"script": "a", "env": {"A": "\0"}}), "/env/A"),
        (json!({"script": "a", "env": []}), "/env"),
        (json!({"script": "a", "job_id": "\0"}), "/job_id"),
        (json!({"script": "a", "job_id": "x".repeat(201)}), "/job_id"),
        (json!({"script": "a", "timeout_secs": 0}), "/timeout_secs"),
        (json!({"script": "a", "timeout_secs": 1e300}), "/timeout_secs"),
        (json!({"script": "a", "priority": 11}), "/priority"),
        (json!({"script": "a", "priority": u64::MAX}), "/priority"),
        (json!({"script": "a", "version": 7}), "/version"),
        (json!({"script": "a", "version": "1"}), "/version"),
        (json!({"script": "a", "nonsense": 1}), "/nonsense"),
    ] {
        let answer = posted(&server, EXECUTIONS, body.to_string()).await;
        let problem = problem(422, answer).await;
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}: {problem}");
    }
}

#[tokio::test]
async fn depth_and_sizes_are_bounded() {
    let server = Server::start().await;
    server.script("a").await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = format!("{{\"script\": \"a\", \"input\": {deep}}}");
    let refused = problem(400, posted(&server, EXECUTIONS, body).await).await;
    assert_eq!(refused["errors"][0]["pointer"], "/input");
    problem(422, posted(&server, EXECUTIONS, deep).await).await;
    let body = format!("{{\"args\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let answer = posted(&server, EXECUTIONS, body).await;
    assert!(matches!(answer.status().as_u16(), 400 | 422));
    let name = "x".repeat(10 << 20);
    let body = json!({"name": name, "role": "viewer"}).to_string();
    problem(413, posted(&server, TOKENS, body).await).await;
    // Without a length in front of it.
    let pieces = (0..200).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 << 10]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    problem(413, posted(&server, TOKENS, body).await).await;
    let body = json!({"name": name, "source": "x"}).to_string();
    let refused = problem(422, posted(&server, "/api/v1/admin/scripts", body).await).await;
    assert!(refused.to_string().len() < 5_000);
}

#[tokio::test]
async fn inputs_of_64_mib_are_taken_and_larger_ones_are_not() {
    let server = Server::start().await;
    server.script("a").await;
    let body =
        |bytes: usize| format!("{{\"script\": \"a\", \"input\": \"{}\"}}", "x".repeat(bytes));
    let answer = posted(&server, EXECUTIONS, body((64 << 20) - 2)).await;
    assert_eq!(answer.status(), 202);
    problem(413, posted(&server, EXECUTIONS, body((64 << 20) - 1)).await).await;
}

#[tokio::test]
async fn a_part_of_a_path_is_no_name() {
    let server = Server::start().await;
    let body = json!({"name": "executions", "script_type": "shell", "source": "cat"});
    let answer = posted(&server, "/api/v1/admin/scripts", body.to_string()).await;
    let refused = problem(422, answer).await;
    assert_eq!(refused["errors"][0]["pointer"], "/name");
    assert!(refused["detail"].as_str().unwrap().contains("part of the API's paths"), "{refused}");
}

#[tokio::test]
async fn only_json_is_taken() {
    let server = Server::start().await;
    for media_type in ["text/plain", "application/xml", "application/json; charset=latin1", "x"] {
        let request = server.request(Admin, Method::POST, EXECUTIONS);
        let request = request.header("content-type", media_type).body("{}");
        problem(415, request.send().await.unwrap()).await;
    }
    let request = server.request(Admin, Method::POST, EXECUTIONS).body("{}");
    problem(415, request.send().await.unwrap()).await;
    let request = server.request(Admin, Method::POST, EXECUTIONS).body("{}");
    let request = request.header("content-type", "Application/JSON; charset=\"UTF-8\"");
    problem(422, request.send().await.unwrap()).await;
}

#[tokio::test]
async fn queries_are_read_strictly() {
    let server = Server::start().await;
    for (query, parameter) in [
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("offset=-1", "offset"),
        ("offset=18446744073709551615", "offset"),
        ("offset=99999999999999999999999", "offset"),
        ("status=Pending", "status"),
        ("status=", "status"),
        ("job_id=%00", "job_id"),
        ("job_id=", "job_id"),
        ("script=%00", "script"),
        ("sort=id;DROP%20TABLE", "sort"),
        ("limit=1&limit=2", "limit"),
    ] {
        let answer = server.get(&format!("{EXECUTIONS}?{query}")).send().await.unwrap();
        let problem = problem(422, answer).await;
        assert_eq!(problem["errors"][0]["parameter"], parameter, "{query}");
    }
    let answer = server.get(&format!("{EXECUTIONS}?job_id=%FF%FE")).send().await.unwrap();
    problem(400, answer).await;
    for query in
        ["script=%27%20OR%201=1", "script=nobody", "job_id=%27--", "offset=9223372036854775807"]
    {
        let answer = server.get(&format!("{EXECUTIONS}?{query}")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "[]", "{query}");
    }
    for path in ["/api/v1/admin/scripts?search=%25%27_", "/api/v1/admin/audit?subject=%27"] {
        let answer = server.get(path).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "[]", "{path}");
    }
}

#[tokio::test]
async fn what_can_not_be_an_id_is_the_id_of_nothing() {
    let server = Server::start().await;
    let id = server.script("a").await;
    for id in
        ["0", "-1", "x", "1.0", "+1", "9223372036854775808", "99999999999999999999", "%00", "%20"]
    {
        for path in [format!("/api/v1/admin/scripts/{id}"), format!("{TOKENS}/{id}")] {
            problem(404, server.get(&path).send().await.unwrap()).await;
        }
    }
    for id in ["1", "x", "00000000-0000-0000-0000-000000000000", "..%2f..%2fetc%2fpasswd"] {
        problem(404, server.get(&format!("{EXECUTIONS}/{id}")).send().await.unwrap()).await;
    }
    let execution = server.pending("a").await;
    for name in ["x", "0", "..%2f..%2fetc%2fpasswd", "%00", "a%2fb"] {
        let path = format!("{EXECUTIONS}/{execution}/artifacts/{name}");
        problem(404, server.get(&path).send().await.unwrap()).await;
    }
    for version in ["0", "-1", "x", "9223372036854775808"] {
        let path = format!("/api/v1/admin/scripts/{id}/versions/{version}");
        problem(404, server.get(&path).send().await.unwrap()).await;
    }
    problem(400, server.get("/api/v1/admin/scripts/%FF").send().await.unwrap()).await;
    problem(400, server.get(&format!("{EXECUTIONS}/%C3%28")).send().await.unwrap()).await;
    problem(404, server.get("/api/v1/admin/environments/x").send().await.unwrap()).await;
}

#[tokio::test]
async fn headers_that_are_no_text_are_malformed() {
    let server = Server::start().await;
    server.script("a").await;
    for name in ["idempotency-key", "prefer"] {
        let value = HeaderValue::from_bytes(b"a\xff").unwrap();
        let request = server.post(EXECUTIONS, &json!({"script": "a"})).header(name, value);
        problem(400, request.send().await.unwrap()).await;
    }
    let long = "x".repeat(256);
    let request = server.post(EXECUTIONS, &json!({"script": "a"})).header("idempotency-key", long);
    let refused = problem(422, request.send().await.unwrap()).await;
    assert_eq!(refused["errors"][0]["parameter"], "Idempotency-Key");
    let id = server.pending("a").await;
    let request = server.get(&format!("{EXECUTIONS}/{id}/events")).header("last-event-id", "x");
    problem(422, request.send().await.unwrap()).await;
}

#[tokio::test]
async fn names_of_every_kind_of_character_do_no_harm() {
    let server = Server::start().await;
    for name in [
        "",
        " ",
        "a b",
        "ä",
        "а",
        "\u{202e}x",
        "\u{0}",
        "\u{7f}",
        "🦀",
        "../x",
        "'; --",
        "a\u{301}",
    ] {
        let body = json!({"name": name, "script_type": "shell", "source": "x"});
        problem(422, server.post("/api/v1/admin/scripts", &body).send().await.unwrap()).await;
        let answer = server.post(EXECUTIONS, &json!({"script": name})).send().await.unwrap();
        problem(404, answer).await;
    }
}

#[tokio::test]
async fn of_two_registrations_of_one_name_at_once_one_is_taken() {
    let server = Server::start().await;
    let body = json!({"name": "twin", "script_type": "shell", "source": "x"});
    let register = || server.post("/api/v1/admin/scripts", &body).send();
    let (one, other) = tokio::join!(register(), register());
    let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn tokens_that_can_not_be_are_refused() {
    let server = Server::start().await;
    for (body, pointer) in [
        (json!({"name": "", "role": "viewer"}), "/name"),
        (json!({"name": "a\0", "role": "viewer"}), "/name"),
        (json!({"name": "a", "role": "root"}), "/role"),
        (json!({"name": "a", "role": "viewer", "scripts": ["x"]}), "/scripts/0"),
        (json!({"name": "a", "role": "runner", "scripts": []}), "/scripts"),
        (json!({"name": "a", "role": "runner", "expires_in_days": 0}), "/expires_in_days"),
        (json!({"name": "a", "role": "runner", "expires_in_days": -1}), "/expires_in_days"),
        (json!({"name": "a", "role": "runner", "expires_at": "yesterday"}), "/expires_at"),
        (
            json!({"name": "a", "role": "runner", "expires_at": "2020-01-01T00:00:00Z"}),
            "/expires_at",
        ),
    ] {
        let answer = server.post(TOKENS, &body).send().await.unwrap();
        let problem: Value = problem(422, answer).await;
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
}

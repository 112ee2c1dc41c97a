//! Files in the console: sent ahead of a form, with it, shown again, and counted.

use gantry::domain::token::Role;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::console::Visit;
use super::server::Server;

/// A script whose input has a file.
async fn script(server: &Server) {
    let schema = json!({"type": "object", "required": ["clip"], "properties": {
        "clip": {"type": "string", "format": "gantry-file", "contentMediaType": "video/*"},
        "more": {"type": "array", "items": {"type": "string", "format": "gantry-file"}}}});
    let body = json!({"name": "clip", "script_type": "shell", "source": "cat\n",
        "argument_schema": schema});
    let answer = server.post("/api/v1/admin/scripts", &body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

async fn ahead(visit: &Visit<'_>, token: &str, name: &str, bytes: &'static [u8]) -> Response {
    let request = visit.request(Method::POST, &format!("/files?name={name}"));
    request.header("gantry-form-token", token).body(bytes).send().await.unwrap()
}

/// A form in parts: name, file name and content of each.
async fn sent(visit: &Visit<'_>, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Response {
    let mut body = Vec::new();
    for (name, file_name, content) in parts {
        let file_name = file_name.map(|it| format!("; filename=\"{it}\"")).unwrap_or_default();
        let head =
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    let request = visit.request(Method::POST, path);
    let request = request.header(CONTENT_TYPE, "multipart/form-data; boundary=b");
    request.body(body).send().await.unwrap()
}

#[tokio::test]
async fn a_file_that_is_sent_ahead_is_kept_and_shown_again() {
    let server = Server::start().await;
    let visit = Visit::of(&server, Role::Runner).await;
    let token = visit.form_token().await;
    let answer = ahead(&visit, &token, "..%2Fclips%2Fa%20b.mov", b"moving pictures").await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let stored: Value = answer.json().await.unwrap();
    let digest = digest(b"moving pictures");
    assert_eq!(stored, json!({"name": "a b.mov", "digest": digest, "bytes": 15}));
    let path = format!("/files/{digest}");
    let shown = visit.get(&path).await;
    assert_eq!(shown.headers()["content-security-policy"], "default-src 'none'; sandbox");
    assert_eq!(shown.bytes().await.unwrap(), "moving pictures");
    let part = visit.request(Method::GET, &path).header("range", "bytes=7-14");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), "pictures");
}

#[tokio::test]
async fn what_no_page_of_the_session_sends_is_not_taken() {
    let server = Server::start().await;
    let visit = Visit::of(&server, Role::Runner).await;
    let other = Visit::of(&server, Role::Runner).await.form_token().await;
    for token in ["", "x", &other] {
        let answer = ahead(&visit, token, "a", b"forged").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let told: Value = answer.json().await.unwrap();
        assert!(told["detail"].as_str().unwrap().contains("session"), "{told}");
    }
    let viewer = Visit::of(&server, Role::Viewer).await;
    let token = viewer.form_token().await;
    assert_eq!(ahead(&viewer, &token, "a", b"forged").await.status(), StatusCode::FORBIDDEN);
    let admin = Visit::of(&server, Role::Admin).await;
    let missing = admin.get(&format!("/files/{}", digest(b"forged"))).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn files_of_a_form_are_taken_after_its_token_alone() {
    let server = Server::start().await;
    script(&server).await;
    let visit = Visit::of(&server, Role::Admin).await;
    let token = visit.form_token().await;
    let file: (&str, Option<&str>, &[u8]) = ("upload f/clip", Some("plate.mov"), b"plate");
    let session: (&str, Option<&str>, &[u8]) = ("form_token", None, token.as_bytes());
    let early = sent(&visit, "/scripts/clip/run", &[file, session]).await;
    assert_eq!(early.status(), StatusCode::FORBIDDEN);
    let address = format!("/files/{}", digest(b"plate"));
    assert_eq!(visit.get(&address).await.status(), StatusCode::NOT_FOUND);
    // A form that is refused for something else keeps what has come.
    let parts = [
        session,
        file,
        ("seen", None, b"7"),
        ("upload f/more", Some(""), b""),
        ("upload f/clip", Some(""), b""),
    ];
    let refused = sent(&visit, "/scripts/clip/run", &parts).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let page = refused.text().await.unwrap();
    assert!(page.contains("value=\"plate.mov\""), "{page}");
    assert_eq!(visit.get(&address).await.bytes().await.unwrap(), "plate");
}

#[tokio::test]
async fn storage_tells_who_keeps_how_much() {
    let server = Server::start().await;
    let runner = Visit::of(&server, Role::Runner).await;
    let token = runner.form_token().await;
    ahead(&runner, &token, "%3Cplate%3E.mov", b"0123456789").await;
    assert_eq!(runner.get("/storage").await.status(), StatusCode::FORBIDDEN);
    let viewer = Visit::of(&server, Role::Viewer).await;
    let page = viewer.get("/storage").await.text().await.unwrap();
    for words in ["1 file", "10 B", "&lt;plate&gt;.mov", ">runner<", "kept free for the machine"] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    assert!(page.contains(&format!("href=\"/files/{}\"", digest(b"0123456789"))), "{page}");
}

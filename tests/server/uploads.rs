//! Uploads in parts, cut off, gone on with, and given up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::sent_files::{content, digest};
use crate::testkit::server::{ADMIN, Server, server};

const UPLOADS: &str = "/api/v1/uploads";

/// A request of the protocol.
async fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    send(server, method, path, headers, Vec::new()).await
}

async fn send(
    server: &Server,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Response {
    let mut request = server.request(method, path).header("tus-resumable", "1.0.0").body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// Begins an upload; returns its path.
async fn begun(server: &Server, length: usize, metadata: &str) -> String {
    let length = length.to_string();
    let headers = [("upload-length", length.as_str()), ("upload-metadata", metadata)];
    let response = ask(server, Method::POST, UPLOADS, &headers).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["tus-resumable"], "1.0.0");
    response.headers()["location"].to_str().unwrap().to_owned()
}

async fn part(server: &Server, path: &str, offset: usize, body: &[u8]) -> Response {
    part_with(server, path, offset, body, &[]).await
}

async fn part_with(
    server: &Server,
    path: &str,
    offset: usize,
    body: &[u8],
    more: &[(&str, &str)],
) -> Response {
    let offset = offset.to_string();
    let mut headers = vec![
        ("content-type", "application/offset+octet-stream"),
        ("upload-offset", offset.as_str()),
    ];
    headers.extend(more);
    send(server, Method::PATCH, path, &headers, body.to_vec()).await
}

/// Offset of an upload.
async fn offset(server: &Server, path: &str) -> usize {
    let response = ask(server, Method::HEAD, path, &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.headers()["upload-offset"].to_str().unwrap().parse().unwrap()
}

/// Begins to send a part of so many bytes.
fn begun_part(server: &Server, path: &str, offset: usize, bytes: usize) -> TcpStream {
    let address = server.url("").replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nTus-Resumable: \
         1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n\
         Content-Length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Sends a part, and breaks the connection off after so many bytes of it.
fn cut(server: &Server, path: &str, offset: usize, body: &[u8], after: usize) {
    let mut stream = begun_part(server, path, offset, body.len());
    stream.write_all(&body[..after]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    // The server has read all of it when it gives up.
    let _ = stream.read_to_end(&mut Vec::new());
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut_off() {
    let server = server().start();
    let content = content(100_000);
    let metadata = format!(
        "filename {},digest {},keep {}",
        STANDARD.encode("plate.mov"),
        STANDARD.encode(digest(&content)),
        STANDARD.encode("30d")
    );
    let path = begun(&server, content.len(), &metadata).await;
    let mut at = 0;
    for after in [0, 1, 40_000, 7] {
        cut(&server, &path, at, &content[at..], after);
        at += after;
        assert_eq!(offset(&server, &path).await, at);
    }
    let wrong = part(&server, &path, at + 1, &content[at + 1..]).await;
    assert_eq!(wrong.status(), StatusCode::CONFLICT);
    let last = part(&server, &path, at, &content[at..]).await;
    assert_eq!(last.status(), StatusCode::NO_CONTENT);
    let file = digest(&content);
    let repr = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&content)));
    for response in [last, ask(&server, Method::HEAD, &path, &[]).await] {
        assert_eq!(response.headers()["upload-offset"], "100000");
        assert_eq!(response.headers()["gantry-file"], file.as_str());
        assert_eq!(response.headers()["repr-digest"], repr.as_str());
    }
    let fetched = server.request(Method::GET, &format!("/api/v1/files/{file}")).send().await;
    assert!(fetched.unwrap().bytes().await.unwrap() == content);
    let (_, listed) = server.get("/api/v1/files").await;
    assert_eq!(listed[0]["name"], "plate.mov", "{listed:#}");
    let again = part(&server, &path, content.len(), b"").await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_upload_goes_on_after_the_server_was_killed() {
    let mut server = server().start();
    let content = content(50_000);
    let path = begun(&server, content.len(), "").await;
    assert_eq!(part(&server, &path, 0, &content[..20_000]).await.status().as_u16(), 204);
    let mut open = begun_part(&server, &path, 20_000, content.len() - 20_000);
    open.write_all(&content[20_000..30_000]).unwrap();
    server.kill();
    server.start();
    let at = offset(&server, &path).await;
    assert!(at == 20_000 || at == 30_000, "{at}");
    let last = part(&server, &path, at, &content[at..]).await;
    assert_eq!(last.headers()["gantry-file"], digest(&content).as_str());
}

#[tokio::test]
async fn the_first_part_may_come_with_the_beginning() {
    let server = server().start();
    let headers = [("upload-length", "7"), ("content-type", "application/offset+octet-stream")];
    let response = send(&server, Method::POST, UPLOADS, &headers, b"content".to_vec()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["gantry-file"], digest(b"content").as_str());
    let empty = ask(&server, Method::POST, UPLOADS, &[("upload-length", "0")]).await;
    assert_eq!(empty.headers()["gantry-file"], digest(b"").as_str());
    let deferred = ask(&server, Method::POST, UPLOADS, &[("upload-defer-length", "1")]).await;
    let path = deferred.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(part(&server, &path, 0, b"con").await.status().as_u16(), 204);
    let head = ask(&server, Method::HEAD, &path, &[]).await;
    assert_eq!(head.headers()["upload-defer-length"], "1");
    for length in ["2", "x", "-1"] {
        let refused = part_with(&server, &path, 3, b"tent", &[("upload-length", length)]).await;
        assert_eq!(refused.status().as_u16(), 422, "{length}");
    }
    let last = part_with(&server, &path, 3, b"tent", &[("upload-length", "7")]).await;
    assert_eq!(last.headers()["gantry-file"], digest(b"content").as_str());
}

#[tokio::test]
async fn a_damaged_part_counts_for_nothing() {
    let server = server().start();
    let path = begun(&server, 8, "").await;
    let sum = |content: &[u8]| format!("sha256 {}", STANDARD.encode(Sha256::digest(content)));
    let right = sum(b"con");
    let wrong = part_with(&server, &path, 0, b"CON", &[("upload-checksum", &right)]).await;
    assert_eq!(wrong.status().as_u16(), 460);
    assert_eq!(offset(&server, &path).await, 0);
    let other = part_with(&server, &path, 0, b"con", &[("upload-checksum", "md5 AAAA")]).await;
    assert_eq!(other.status(), StatusCode::BAD_REQUEST);
    let kept = part_with(&server, &path, 0, b"con", &[("upload-checksum", &right)]).await;
    assert_eq!(kept.headers()["upload-offset"], "3");
    let more = part(&server, &path, 3, b"tent and more").await;
    assert_eq!(more.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(part(&server, &path, 3, b"tents").await.status().as_u16(), 204);
    let fetched = server.request(Method::GET, &format!("/api/v1/files/{}", digest(b"contents")));
    assert_eq!(fetched.send().await.unwrap().bytes().await.unwrap(), &b"contents"[..]);
}

#[tokio::test]
async fn what_is_not_as_the_protocol_says_is_refused() {
    let server = server().start();
    let plain = server.request(Method::POST, UPLOADS).header("upload-length", 1);
    let plain = plain.send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(plain.headers()["tus-version"], "1.0.0");
    for (headers, status) in [
        (vec![], 400),
        (vec![("upload-length", "1"), ("upload-defer-length", "1")], 400),
        (vec![("upload-length", "-1")], 422),
        (vec![("upload-length", "99999999999999999999")], 422),
        (vec![("upload-length", "1"), ("upload-metadata", "filename !")], 422),
    ] {
        let response = ask(&server, Method::POST, UPLOADS, &headers).await;
        assert_eq!(response.status().as_u16(), status, "{headers:?}");
        assert_eq!(response.headers()["tus-resumable"], "1.0.0");
    }
    let path = begun(&server, 3, "").await;
    let other_type = send(&server, Method::PATCH, &path, &[("upload-offset", "0")], vec![1]).await;
    assert_eq!(other_type.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let headers = [("content-type", "application/offset+octet-stream")];
    let nowhere = send(&server, Method::PATCH, &path, &headers, vec![1]).await;
    assert_eq!(nowhere.status(), StatusCode::BAD_REQUEST);
    let wrong = begun(&server, 3, &format!("digest {}", STANDARD.encode(digest(b"abc")))).await;
    let refused = part(&server, &wrong, 0, b"xyz").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    for gone in
        [&wrong, "/api/v1/uploads/0198f3b2-c4e0-7d41-a3c5-d2b0f1e6a798", "/api/v1/uploads/x"]
    {
        assert_eq!(ask(&server, Method::HEAD, gone, &[]).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(part(&server, gone, 0, b"abc").await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(ask(&server, Method::DELETE, &path, &[]).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(ask(&server, Method::HEAD, &path, &[]).await.status(), StatusCode::NOT_FOUND);
    let options = server.request(Method::OPTIONS, UPLOADS).send().await.unwrap();
    assert_eq!(options.status(), StatusCode::NO_CONTENT);
    assert!(options.headers()["tus-extension"].to_str().unwrap().contains("checksum"));
    let uploads = server.home.data_dir().join("files/uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
    assert_eq!(server.get("/api/v1/files").await.1, json!([]));
}

#[tokio::test]
async fn a_client_that_comes_again_ends_what_it_sent_before() {
    let server = server().start();
    let content = content(60_000);
    let path = begun(&server, content.len(), "").await;
    let mut stalled = begun_part(&server, &path, 0, content.len());
    stalled.write_all(&content[..30_000]).unwrap();
    let id = path.rsplit('/').next().unwrap().replace('-', "");
    let file = server.home.data_dir().join("files/uploads").join(id);
    server.until("the part has begun", async || file.exists()).await;
    // Its line is open and silent: nobody but the client knows that it is gone.
    let at = offset(&server, &path).await;
    assert!(at <= 30_000);
    let last = part(&server, &path, at, &content[at..]).await;
    assert_eq!(last.headers()["gantry-file"], digest(&content).as_str());
    let mut answer = String::new();
    let _ = stalled.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 423"), "{answer}");
}

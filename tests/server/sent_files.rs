//! Files that callers send, fetch, keep and let go of.

use std::io::{Cursor, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::testkit::server::{Server, answer, server};

const FILES: &str = "/api/v1/files";

/// Digest of a content, as the API writes it.
pub(crate) fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

/// Bytes that are not all the same.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// Sends a file as the admin.
async fn sent(server: &Server, path: &str, content: &[u8]) -> (StatusCode, Value) {
    let request = server.request(Method::POST, path).body(content.to_vec());
    answer(request.send().await.unwrap()).await
}

fn file(content: &[u8]) -> String {
    format!("{FILES}/{}", digest(content))
}

async fn fetched(server: &Server, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = server.request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_file_is_fetched_as_it_was_sent_whole_or_in_part() {
    let server = server().start();
    let content = content(300_000);
    let path = format!("{FILES}?name=a%20b.bin&keep=1d");
    let (status, stored) = sent(&server, &path, &content).await;
    assert_eq!(status, StatusCode::CREATED, "{stored:#}");
    assert_eq!(stored, json!({"digest": digest(&content), "bytes": content.len()}));
    let whole = fetched(&server, &file(&content), &[]).await;
    assert_eq!(whole.status(), StatusCode::OK);
    let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
    for (header, expected) in [
        ("content-length", "300000".to_owned()),
        ("content-type", "application/octet-stream".to_owned()),
        ("accept-ranges", "bytes".to_owned()),
        ("content-disposition", "attachment; filename*=UTF-8''a%20b.bin".to_owned()),
        ("content-security-policy", "default-src 'none'; sandbox".to_owned()),
        ("etag", format!("\"{}\"", &digest(&content)[7..])),
        ("repr-digest", format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&content)))),
    ] {
        assert_eq!(whole.headers()[header], expected.as_str(), "{header}");
    }
    assert_eq!(whole.bytes().await.unwrap(), content);
    for (range, part) in
        [("bytes=0-0", 0..1), ("bytes=1000-199999", 1000..200_000), ("bytes=-5", 299_995..300_000)]
    {
        let response = fetched(&server, &file(&content), &[("range", range)]).await;
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let expected = format!("bytes {}-{}/300000", part.start, part.end - 1);
        assert_eq!(response.headers()["content-range"], expected.as_str());
        assert_eq!(response.bytes().await.unwrap(), content[part]);
    }
    let behind = fetched(&server, &file(&content), &[("range", "bytes=300000-")]).await;
    assert_eq!(behind.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(behind.headers()["content-range"], "bytes */300000");
    for (headers, status) in [
        (vec![("range", "bytes=0-1,5-6")], 200),
        (vec![("range", "bytes=0-1"), ("if-range", "\"other\"")], 200),
        (vec![("range", "bytes=0-1"), ("if-range", tag.as_str())], 206),
        (vec![("if-none-match", tag.as_str())], 304),
        (vec![("if-match", "\"other\"")], 412),
    ] {
        let response = fetched(&server, &file(&content), &headers).await;
        assert_eq!(response.status().as_u16(), status, "{headers:?}");
    }
    let head = server.request(Method::HEAD, &file(&content)).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "300000");
    let (_, listed) = server.get(FILES).await;
    assert_eq!(listed[0]["name"], "a b.bin", "{listed:#}");
    assert_eq!(listed[0]["media_type"], Value::Null);
}

#[tokio::test]
async fn what_is_not_what_was_said_is_refused_and_leaves_nothing() {
    let server = server().start();
    let other = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(b"other")));
    let put = |path: String, headers: &[(&str, &str)]| {
        let mut request = server.request(Method::PUT, &path).body("content");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        async { answer(request.send().await.unwrap()).await }
    };
    let (status, problem) = put(file(b"other"), &[]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:gantry:problem:digest-mismatch");
    for (path, headers, status) in [
        (file(b"content"), vec![("repr-digest", other.as_str())], 422),
        (file(b"content"), vec![("repr-digest", "sha-256=:x:")], 422),
        (file(b"content"), vec![("content-encoding", "gzip")], 415),
        (format!("{}?keep=1", file(b"content")), vec![], 422),
        (format!("{}?name=a%00b", file(b"content")), vec![], 422),
        (format!("{}?nmae=a", file(b"content")), vec![], 422),
        (format!("{FILES}/sha256:00"), vec![], 404),
        (format!("{FILES}/md5:00"), vec![], 404),
    ] {
        let (found, problem) = put(path.clone(), &headers).await;
        assert_eq!(found.as_u16(), status, "{path} {headers:?}: {problem:#}");
    }
    assert_eq!(server.get(FILES).await.1, json!([]));
    let uploads = server.home.data_dir().join("files/uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
    let (status, _) = put(file(b"content"), &[]).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, _) = put(file(b"content"), &[]).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_token_sees_what_it_sent_and_nothing_else() {
    let server = server().start();
    let (one, other) = (server.token("runner", None).await, server.token("runner", None).await);
    let viewer = server.token("viewer", None).await;
    let asked = |method: Method, token: &str, path: &str, body: Option<Value>| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method, server.url(path)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        async { request.send().await.unwrap() }
    };
    let (secret, path) = (b"\"secret\"", file(b"\"secret\""));
    let put = asked(Method::PUT, &one, &path, Some(json!("secret"))).await;
    assert_eq!(put.status(), StatusCode::CREATED);
    let question = Some(json!({"digests": [digest(secret), digest(b"none")]}));
    for (token, seen, missing) in [
        (&one, 200, json!([digest(b"none")])),
        (&other, 404, question.as_ref().unwrap()["digests"].clone()),
    ] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(asked(method, token, &path, None).await.status().as_u16(), seen);
        }
        let asking = asked(Method::POST, token, "/api/v1/files/missing", question.clone()).await;
        assert_eq!(answer(asking).await.1["missing"], missing);
        let tree = json!({"files": [{"path": "a", "digest": digest(secret)}]});
        let made = asked(Method::POST, token, "/api/v1/trees", Some(tree)).await;
        assert_eq!(made.status().as_u16(), if seen == 200 { 201 } else { 422 });
    }
    assert_eq!(asked(Method::GET, &viewer, &path, None).await.status(), StatusCode::OK);
    let put = asked(Method::PUT, &viewer, &path, Some(json!("secret"))).await;
    assert_eq!(put.status(), StatusCode::FORBIDDEN);
    assert_eq!(asked(Method::DELETE, &other, &path, None).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(asked(Method::DELETE, &one, &path, None).await.status(), StatusCode::NO_CONTENT);
    // Whoever has the content itself may send it.
    let put = asked(Method::PUT, &other, &path, Some(json!("secret"))).await;
    assert_eq!(put.status(), StatusCode::CREATED);
    assert_eq!(asked(Method::GET, &other, &path, None).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_token_has_a_quota_and_the_disk_a_reserve() {
    let server = server().env("GANTRY_FILES_QUOTA", "1MiB").start();
    let (status, _) = sent(&server, FILES, &content(1_000_000)).await;
    assert_eq!(status, StatusCode::CREATED);
    let pieces = futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(vec![1; 1024])));
    let streamed = server.request(Method::POST, FILES).body(reqwest::Body::wrap_stream(pieces));
    for refused in [
        sent(&server, FILES, &vec![2; 100_000]).await,
        answer(streamed.send().await.unwrap()).await,
    ] {
        let (status, problem) = refused;
        assert_eq!(status.as_u16(), 507, "{problem:#}");
        assert_eq!(problem["type"], "urn:gantry:problem:quota");
        assert!(problem["hint"].is_string());
    }
    let begun = server.request(Method::POST, "/api/v1/uploads").header("tus-resumable", "1.0.0");
    let begun = begun.header("upload-length", 100_000).send().await.unwrap();
    assert_eq!(begun.status().as_u16(), 507);
    let (_, storage) = server.get("/api/v1/storage").await;
    assert_eq!(storage["own"]["bytes"], 1_000_000, "{storage:#}");
    assert_eq!(storage["own"]["quota_bytes"], 1_048_576);
    assert_eq!(storage["all"]["files"], 1);
    assert_eq!(storage["tokens"][0]["bytes"], 1_000_000);
}

#[tokio::test]
async fn a_disk_without_room_but_its_reserve_takes_no_file() {
    let server = server().env("GANTRY_DISK_RESERVE", "1000TiB").start();
    let (status, problem) = sent(&server, FILES, b"content").await;
    assert_eq!(status.as_u16(), 507, "{problem:#}");
    assert_eq!(problem["type"], "urn:gantry:problem:no-room");
}

#[tokio::test]
async fn a_folder_is_made_of_files_and_fetched_as_an_archive() {
    let server = server().start();
    let (script, frame) = (&b"#!/bin/sh\n"[..], &content(200_000)[..]);
    for content in [script, frame] {
        assert_eq!(sent(&server, FILES, content).await.0, StatusCode::CREATED);
    }
    let entry = |path: &str, content: &[u8]| json!({"path": path, "digest": digest(content)});
    let mut run = entry("bin/run.sh", script);
    run["executable"] = json!(true);
    let long = format!("frames/{}.exr", "x".repeat(200));
    let files = json!({"files": [entry("frames/2.exr", frame), entry(&long, frame), run]});
    let (status, tree) = server.post("/api/v1/trees?name=shot", &files).await;
    assert_eq!(status, StatusCode::CREATED, "{tree:#}");
    assert_eq!((tree["files"].as_u64(), tree["bytes"].as_u64()), (Some(3), Some(400_010)));
    let path = format!("/api/v1/trees/{}", tree["digest"].as_str().unwrap());
    let manifest = fetched(&server, &path, &[]).await.bytes().await.unwrap();
    assert_eq!(digest(&manifest), tree["digest"]);
    let one = fetched(&server, &format!("{path}/frames/2.exr"), &[("range", "bytes=0-9")]).await;
    assert_eq!(one.bytes().await.unwrap(), frame[..10]);
    let zip = fetched(&server, &format!("{path}?archive=zip"), &[]).await;
    assert_eq!(zip.headers()["content-disposition"], "attachment; filename*=UTF-8''shot.zip");
    let zip = zip.bytes().await.unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    assert_eq!(zip.len(), 3);
    for (name, expected, mode) in
        [("bin/run.sh", script, 0o755), ("frames/2.exr", frame, 0o644), (&long, frame, 0o644)]
    {
        let mut entry = zip.by_name(name).unwrap();
        assert_eq!(entry.unix_mode().unwrap() & 0o777, mode, "{name}");
        let mut read = Vec::new();
        entry.read_to_end(&mut read).unwrap();
        assert!(read == expected, "{name}");
    }
    let tar = fetched(&server, &format!("{path}/frames?archive=tar"), &[]).await;
    let tar = tar.bytes().await.unwrap();
    let mut names = Vec::new();
    for entry in tar::Archive::new(Cursor::new(tar)).entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().display().to_string());
        let mut read = Vec::new();
        entry.read_to_end(&mut read).unwrap();
        assert!(read == frame);
    }
    assert_eq!(names, ["2.exr", &long["frames/".len()..]]);
    for nothing in ["/frames", "/frames/3.exr", "/none?archive=zip", "/..?archive=zip"] {
        let response = fetched(&server, &format!("{path}{nothing}"), &[]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{nothing}");
    }
    for wrong in [
        json!([entry("../a", script)]),
        json!([entry("a", script), entry("a/b", script)]),
        json!([entry("a", script), entry("a", script)]),
        json!([entry("a", b"missing")]),
    ] {
        let (status, problem) = server.post("/api/v1/trees", &json!({"files": wrong})).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    }
    // A plain file is no folder, even if its bytes are a manifest of files that are there.
    let like = br#"{"version":1,"files":[]}"#;
    assert_eq!(sent(&server, FILES, like).await.0, StatusCode::CREATED);
    let response = fetched(&server, &format!("/api/v1/trees/{}", digest(like)), &[]).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn many_slow_downloads_slow_nothing_else() {
    let server = server().start();
    // More than the system's buffers hold.
    let content = content(8_000_000);
    let path = file(&content);
    assert_eq!(sent(&server, FILES, &content).await.0, StatusCode::CREATED);
    let mut slow = Vec::new();
    for _ in 0..100 {
        // Each has its head, and reads no further.
        slow.push(fetched(&server, &path, &[]).await);
    }
    let (status, listed) = server.get(FILES).await;
    assert_eq!((status, listed.as_array().unwrap().len()), (StatusCode::OK, 1));
    let another = fetched(&server, &path, &[]).await.bytes().await.unwrap();
    assert!(another == content);
    // Two that began early have all of it; the others would take the test too long.
    for response in slow.into_iter().take(2) {
        assert_eq!(response.bytes().await.unwrap().len(), content.len());
    }
}

/// Output of a command, and its exit code.
async fn commanded(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = server.command(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_commands_send_fetch_list_and_remove() {
    let server = server().start();
    let here = |name: &str| server.home.path().join(name);
    // Larger than what is sent whole.
    let plate = content(17_000_000);
    let digest_of_plate = digest(&plate);
    std::fs::write(here("plate.mov"), &plate).unwrap();
    for _ in 0..2 {
        let put = commanded(&server, &["files", "put", "plate.mov", "--keep", "30d"]).await;
        assert_eq!(put, (Some(0), digest_of_plate.clone(), String::new()));
    }
    std::fs::write(here("plate.copy.part"), &plate[..5_000_000]).unwrap();
    let get = ["files", "get", digest_of_plate.as_str(), "-o", "plate.copy"];
    assert_eq!(commanded(&server, &get).await, (Some(0), String::new(), String::new()));
    assert!(std::fs::read(here("plate.copy")).unwrap() == plate);
    assert!(!here("plate.copy.part").exists());
    let (code, _, said) = commanded(&server, &get).await;
    assert!(code == Some(1) && said.contains("is there already"), "{said}");
    std::fs::write(here("other.part"), vec![7; 10]).unwrap();
    let wrong = ["files", "get", digest_of_plate.as_str(), "-o", "other"];
    let (code, _, said) = commanded(&server, &wrong).await;
    assert!(code == Some(1) && said.contains("another digest"), "{said}");
    assert!(!here("other").exists() && !here("other.part").exists());

    std::fs::create_dir_all(here("shot/frames")).unwrap();
    for (name, content) in [("shot/frames/1.exr", "one"), ("shot/frames/2.exr", "two")] {
        std::fs::write(here(name), content).unwrap();
    }
    let (code, tree, said) = commanded(&server, &["files", "put", "shot"]).await;
    assert!(code == Some(0) && tree.starts_with("tree:sha256:"), "{tree} {said}");
    let get = ["files", "get", tree.as_str(), "-o", "back"];
    assert_eq!(commanded(&server, &get).await.0, Some(0));
    assert_eq!(std::fs::read_to_string(here("back/frames/2.exr")).unwrap(), "two");
    std::os::unix::fs::symlink("/etc/passwd", here("shot/link")).unwrap();
    let (code, _, said) = commanded(&server, &["files", "put", "shot"]).await;
    assert!(code == Some(1) && said.contains("is no plain file"), "{said}");

    let (_, listed, _) = commanded(&server, &["files", "list"]).await;
    assert!(listed.contains(&tree) && listed.contains("plate.mov"), "{listed}");
    let removed = commanded(&server, &["files", "remove", &digest_of_plate]).await;
    assert_eq!(removed.0, Some(0), "{removed:?}");
    let (_, listed, _) = commanded(&server, &["files", "list", "--json"]).await;
    assert!(!listed.contains(&digest_of_plate), "{listed}");
    let data_dir = server.home.data_dir();
    let doctor = ["doctor", "--files", "--data-dir", data_dir.to_str().unwrap()];
    let (code, said, _) = commanded(&server, &doctor).await;
    assert!(code == Some(0) && said.contains("4 are sound"), "{said}");
}

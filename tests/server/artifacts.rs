//! Files that executions left, whatever they are called.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::testkit::server::server;

/// Every byte of a name that means something in a URL.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_".contains(&byte);
    let encode = |byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") };
    name.bytes().map(encode).collect()
}

#[tokio::test]
async fn artifacts_are_listed_and_downloaded_byte_for_byte() {
    let server = server().start();
    let files = [
        ("plain.bin", &b"a\0\xff\n"[..]),
        ("deep/er/nested.txt", b"nested"),
        ("empty", b""),
        ("größe und so", b"x"),
        ("100%", b"percent"),
        ("a?b#c&d=e", b"question"),
        ("%2e%2e", b"dots"),
        ("0", b"a number for a name"),
        ("-rf", b"dash"),
        ("quote\"'`$(x)", b"quotes"),
    ];
    let source = "
import json, os, sys
for name, content in json.load(sys.stdin):
    os.makedirs(os.path.dirname('out/' + name), exist_ok=True)
    open('out/' + name, 'wb').write(bytes(content))
os.symlink('/etc/passwd', 'out/link')
open('out/a\\\\b', 'w')";
    server.register("leaves", "python", source, json!({})).await;
    let execution = server.run(&json!({"script": "leaves", "input": files})).await;
    // The link is not kept, nor a name that is a path on Windows.
    assert_eq!(execution["error_kind"], "outputs_refused", "{execution:#}");
    let flags = ["stdout_truncated", "stderr_truncated"].map(|it| &execution[it]);
    assert_eq!(flags, [false, false], "{execution:#}");
    let base = format!("/api/v1/executions/{}/artifacts", execution["id"].as_str().unwrap());
    let (_, listed) = server.get(&base).await;
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), files.len() + 2, "{listed:#?}");
    for (name, content) in files {
        let entry = listed.iter().find(|entry| entry["name"] == name).unwrap();
        assert_eq!(entry["bytes"], content.len());
        let response = server.request(Method::GET, &format!("{base}/{}", encoded(name)));
        let response = response.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(response.headers()["cache-control"], "private, no-cache", "{name}");
        assert_eq!(response.headers()["accept-ranges"], "bytes", "{name}");
        assert_eq!(&response.bytes().await.unwrap()[..], content, "{name}");
    }
    for nothing in
        ["nothing", "link", "a%5Cb", "99", "..%2f..%2fgantry.db", "%2e%2e/%2e%2e/gantry.db"]
    {
        let (status, problem) = server.get(&format!("{base}/{nothing}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{nothing}: {problem:#}");
    }
}

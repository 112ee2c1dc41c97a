//! Scripts of many files: registered in every way, versioned by their files, and warm.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::testkit::server::{Server, answer, server};

const SCRIPTS: &str = "/api/v1/admin/scripts";

/// Writes files into a folder.
fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
}

/// A Python package with a table; says what it finds.
fn grade(server: &Server) -> PathBuf {
    let folder = server.home.path().join("grade-bundle");
    let main = "import sys\nfrom grade import table\nprint(table.TITLE, __file__, sys.path[0])\n";
    let table = "from pathlib import Path\n\
        TITLE = Path(__file__).with_name('title.txt').read_text().strip()\n";
    write(
        &folder,
        &[
            ("main.py", main),
            ("grade/__init__.py", ""),
            ("grade/table.py", table),
            ("grade/title.txt", "warm\n"),
        ],
    );
    folder
}

fn done(server: &Server, arguments: &[&str]) -> Vec<u8> {
    let output = server.command(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output.stdout
}

/// A body of parts: names, names of files, and contents.
fn parts(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file_name, content) in parts {
        let file_name = file_name.map(|it| format!("; filename=\"{it}\"")).unwrap_or_default();
        let head = format!(
            "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n"
        );
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--b0undary--\r\n");
    body
}

async fn send(server: &Server, method: Method, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
    let request = server.request(method, path);
    let request = request.header("Content-Type", "multipart/form-data; boundary=b0undary");
    answer(request.body(body).send().await.unwrap()).await
}

async fn output(server: &Server, script: &str) -> Value {
    let execution = server.run(&json!({"script": script})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    execution
}

#[tokio::test]
async fn a_folder_is_registered_runs_warm_and_changes_by_its_files() {
    let server = server().env("GANTRY_POOL_SIZE", "2").start();
    let folder = grade(&server);
    let folder_text = folder.to_str().unwrap();
    done(&server, &["scripts", "register", folder_text, "--name", "grade", "--wait"]);
    let (_, script) = server.get(&format!("{SCRIPTS}/grade")).await;
    assert_eq!((&script["entry"], &script["script_type"]), (&json!("main.py"), &json!("python")));
    assert_eq!(script["environment"]["status"], "ready", "{script:#}");
    let cold = output(&server, "grade").await;
    assert_eq!(cold["stdout_log"], "warm /opt/bundle/main.py /opt/bundle\n");
    let is_held = async || {
        let pool = &server.get("/readyz").await.1["pool"];
        pool["unused"].as_u64() >= Some(1) && pool["starting"] == 0
    };
    server.until("a sandbox waits", is_held).await;
    let warm = output(&server, "grade").await;
    assert_eq!(
        (&warm["sandbox"]["warm"], &warm["sandbox"]["preloaded"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(warm["stdout_log"], cold["stdout_log"]);

    // The same files are the same version, and another file is another one.
    done(&server, &["scripts", "update", "grade", folder_text]);
    assert_eq!(server.get(&format!("{SCRIPTS}/grade")).await.1["version"], 1);
    write(&folder, &[("grade/title.txt", "cold\n"), ("grade/more.py", "")]);
    done(&server, &["scripts", "update", "grade", folder_text, "--wait"]);
    server
        .until("the new version is current", async || {
            server.get(&format!("{SCRIPTS}/grade")).await.1["version"] == 2
        })
        .await;
    assert_eq!(
        output(&server, "grade").await["stdout_log"],
        "cold /opt/bundle/main.py /opt/bundle\n"
    );

    // A setting makes no version, and keeps the files.
    let (status, kept) = server.put(&format!("{SCRIPTS}/grade"), &json!({"tags": ["x"]})).await;
    assert_eq!((status, &kept["version"]), (StatusCode::OK, &json!(2)), "{kept:#}");
    let (_, files) = server.get(&format!("{SCRIPTS}/grade/versions/2/files")).await;
    let paths: Vec<_> = files.as_array().unwrap().iter().map(|it| it["path"].clone()).collect();
    let expected =
        ["grade/__init__.py", "grade/more.py", "grade/table.py", "grade/title.txt", "main.py"];
    assert_eq!(paths, expected);
    let tar = done(&server, &["scripts", "source", "grade", "--bundle"]);
    let mut archive = tar::Archive::new(tar.as_slice());
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|it| it.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, expected);

    // What was there is there again.
    let (status, _) =
        server.post(&format!("{SCRIPTS}/grade/versions/1/activate"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(output(&server, "grade").await["stdout_log"], cold["stdout_log"]);
}

#[tokio::test]
async fn files_are_sent_as_an_archive_one_by_one_or_by_their_digest() {
    let server = server().start();
    let fields = br#"{"name": "parts", "entry": "run.sh"}"#;
    let run = b"#!/bin/bash\ncat \"$(dirname \"$0\")/data/words.txt\"\n";
    let body = parts(&[
        ("script", None, fields),
        ("file", Some("run.sh"), run),
        ("file", Some("data/words.txt"), b"by parts\n"),
    ]);
    let (status, script) = send(&server, Method::POST, SCRIPTS, body).await;
    assert_eq!(status, StatusCode::CREATED, "{script:#}");
    assert_eq!(output(&server, "parts").await["stdout_log"], "by parts\n");
    let digest = script["bundle"].clone();

    let copy = json!({"name": "copy", "bundle": digest, "entry": "run.sh"});
    let (status, copied) = server.post(SCRIPTS, &copy).await;
    assert_eq!(status, StatusCode::CREATED, "{copied:#}");
    assert_eq!(copied["environment"]["key"], script["environment"]["key"]);
    assert_eq!(output(&server, "copy").await["stdout_log"], "by parts\n");
    let unknown = json!({"name": "none", "bundle": format!("sha256:{}", "0".repeat(64))});
    assert_eq!(server.post(SCRIPTS, &unknown).await.0, StatusCode::UNPROCESSABLE_ENTITY);

    // A bundle becomes a single file, and one again.
    let path = format!("{SCRIPTS}/copy");
    let (_, single) = server.put(&path, &json!({"source": "echo single"})).await;
    assert_eq!((&single["bundle"], &single["entry"]), (&Value::Null, &Value::Null), "{single:#}");
    assert_eq!(server.get(&format!("{path}/versions/2/files")).await.0, StatusCode::NOT_FOUND);
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [("run.sh", run.as_slice()), ("data/words.txt", b"by tar\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let body = |tar: &[u8]| {
        parts(&[("bundle", Some("b.tar"), tar), ("script", None, br#"{"entry": "run.sh"}"#)])
    };
    let (status, again) = send(&server, Method::PUT, &path, body(&tar)).await;
    assert_eq!(status, StatusCode::OK, "{again:#}");
    server.until("it is current", async || !server.get(&path).await.1["bundle"].is_null()).await;
    assert_eq!(output(&server, "copy").await["stdout_log"], "by tar\n");

    // What is broken changes nothing.
    for (body, part) in [
        (body(&tar[..700]), "/bundle"),
        (body(b"no archive"), "/bundle"),
        (parts(&[("bundle", None, &tar), ("script", None, br#"{"entry": "x"}"#)]), "/entry"),
    ] {
        let (status, problem) = send(&server, Method::PUT, &path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        assert_eq!(problem["errors"][0]["pointer"], part, "{problem:#}");
    }
    let twice = parts(&[("script", None, b"{}"), ("script", None, b"{}")]);
    assert_eq!(send(&server, Method::PUT, &path, twice).await.0, StatusCode::BAD_REQUEST);
    let unfinished = fs::read_dir(server.home.data_dir().join("bundles/unfinished")).unwrap();
    assert_eq!(unfinished.count(), 0);
}

#[tokio::test]
async fn a_folder_of_the_server_is_read_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("tool");
    write(&folder, &[("main.sh", "#!/bin/bash\n. \"${0%/*}/lib.sh\"\n"), ("lib.sh", "echo one\n")]);
    let server = server().env("GANTRY_SCRIPT_ROOTS", root.path().to_str().unwrap()).start();
    let new = json!({"name": "tool", "file_path": folder});
    let (status, script) = server.post(SCRIPTS, &new).await;
    assert_eq!(status, StatusCode::CREATED, "{script:#}");
    assert_eq!(output(&server, "tool").await["stdout_log"], "one\n");
    write(&folder, &[("lib.sh", "echo two\n")]);
    let path = format!("{SCRIPTS}/tool");
    server.put(&path, &json!({"description": "again"})).await;
    server.until("it is current", async || server.get(&path).await.1["version"] == 2).await;
    assert_eq!(output(&server, "tool").await["stdout_log"], "two\n");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).unwrap();
    let (status, problem) = server.put(&path, &json!({"description": "x"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert!(problem.to_string().contains("symbolic link"), "{problem:#}");
}

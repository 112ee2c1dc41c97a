//! Files that executions take and leave: what one has left is the input of another, and
//! nothing is copied on the way.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::testkit::server::{Server, answer, server};

/// Leaves `a.txt`, `d/b.txt` and an empty file.
const LEAVES: &str = "mkdir out/d; printf alpha > out/a.txt; printf beta > out/d/b.txt; : > out/e";

async fn left(server: &Server) -> Value {
    server.register("leaves", "shell", LEAVES, json!({})).await;
    let execution = server.run(&json!({"script": "leaves"})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    execution
}

fn id(execution: &Value) -> &str {
    execution["id"].as_str().unwrap()
}

fn artifact<'a>(execution: &'a Value, name: &str) -> &'a Value {
    let artifacts = execution["artifacts"].as_array().unwrap();
    artifacts.iter().find(|it| it["name"] == name).unwrap()
}

/// The file of the store with a digest.
fn object(server: &Server, digest: &Value) -> PathBuf {
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    server.home.path().join("data/files/sha256").join(&hex[..2]).join(hex)
}

#[tokio::test]
async fn an_execution_finds_its_files_and_can_only_read_them() {
    let server = server().start();
    let first = left(&server).await;
    let digest = artifact(&first, "a.txt")["digest"].as_str().unwrap();
    assert_eq!(digest, "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8");
    let source = "
import json, os
manifest = json.load(open(os.environ['GANTRY_INPUTS']))
texts = {it['name']: open(it['path']).read() for it in manifest['files']}
refused = []
for name, attempt in {
    'write': lambda: open('/work/in/one.txt', 'w'),
    'append': lambda: open('/work/in/one.txt', 'a'),
    'create': lambda: open('/work/in/new', 'w'),
    'remove': lambda: os.remove('/work/in/one.txt'),
    'rename': lambda: os.rename('/work/in/one.txt', '/work/in/two'),
    'chmod': lambda: os.chmod('/work/in/one.txt', 0o777),
    'link': lambda: os.link('/work/in/one.txt', '/work/out/one'),
}.items():
    try: attempt()
    except OSError: refused.append(name)
print(json.dumps([texts, manifest['version'], manifest['total_bytes'], refused, manifest['files'][0]]))
";
    server.register("takes", "python", source, json!({})).await;
    let files = json!({
        "one.txt": digest,
        "deep/er/two.txt": format!("execution:{}/d/b.txt", id(&first)),
        "folder": format!("execution:{}/d", id(&first)),
        "all": format!("execution:{}", id(&first)),
    });
    let execution = server.run(&json!({"script": "takes", "files": files})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    let output = &execution["output_data"];
    assert_eq!(
        output[0],
        json!({
            "one.txt": "alpha", "deep/er/two.txt": "beta", "folder/b.txt": "beta",
            "all/a.txt": "alpha", "all/d/b.txt": "beta", "all/e": "",
        })
    );
    assert_eq!((&output[1], &output[2]), (&json!(1), &json!(5 + 4 + 4 + 5 + 4)));
    let refused = ["write", "append", "create", "remove", "rename", "chmod", "link"];
    assert_eq!(output[3], json!(refused), "{execution:#}");
    let told = json!({"name": "one.txt", "path": "/work/in/one.txt", "size": 5, "digest": digest,
        "media_type": "text/plain"});
    assert!(output[4] == told || output[4]["name"] != "one.txt", "{output:#}");
    // They are said with the execution, and what is in the store is as it was.
    assert_eq!(execution["file_count"], 6);
    let mine = execution["files"].as_array().unwrap().iter().find(|it| it["name"] == "one.txt");
    assert_eq!(mine.unwrap(), &json!({"name": "one.txt", "digest": digest, "bytes": 5}));
    assert_eq!(std::fs::read(object(&server, &json!(digest))).unwrap(), b"alpha");
}

#[tokio::test]
async fn a_script_without_files_sees_none() {
    let server = server().start();
    let source = "printf '%s %s' \"${GANTRY_INPUTS-none}\" \"$(ls /work/in 2>&1 | wc -l)\"";
    server.register("bare", "shell", source, json!({})).await;
    let execution = server.run(&json!({"script": "bare"})).await;
    assert!(execution["stdout_log"].as_str().unwrap().starts_with("none "), "{execution:#}");
    assert_eq!((&execution["files"], &execution["file_count"]), (&json!([]), &json!(0)));
}

/// Each of four scripts takes what the one before has left: the same inode from the first
/// script's output to the last one's input, and each content once in the store.
#[tokio::test]
async fn a_chain_of_four_scripts_copies_nothing() {
    let server = server().start();
    let make =
        "dd if=/dev/urandom of=out/clip.bin bs=1M count=8 2>/dev/null; sha256sum out/clip.bin";
    server.register("make", "shell", make, json!({})).await;
    // The clip goes on as it is, beside a new file: a link of the same content.
    let step = "stat -c '\"%i %h %s\"' in/clip.bin; cp in/clip.bin out/clip.bin; \
        cat in/log out/log 2>/dev/null > /tmp/log; echo \"$SCRIPT_NAME\" >> /tmp/log; cp /tmp/log out/log";
    for name in ["frames", "grade", "encode"] {
        server.register(name, "shell", step, json!({})).await;
    }
    let mut last = server.run(&json!({"script": "make"})).await;
    let digest = artifact(&last, "clip.bin")["digest"].clone();
    let first_inode = std::fs::metadata(object(&server, &digest)).unwrap().ino();
    for name in ["frames", "grade", "encode"] {
        let before = id(&last).to_owned();
        let mut files = json!({"clip.bin": format!("execution:{before}/clip.bin")});
        if name != "frames" {
            files["log"] = json!(format!("execution:{before}/log"));
        }
        last = server.run(&json!({"script": name, "files": files})).await;
        assert_eq!(last["status"], "completed", "{last:#}");
        let seen = last["output_data"].as_str().unwrap();
        let inode = seen.split(' ').next().unwrap();
        assert_eq!(inode, first_inode.to_string(), "the input is the stored file: {seen}");
        assert_eq!(artifact(&last, "clip.bin")["digest"], digest);
    }
    let log = artifact(&last, "log")["digest"].clone();
    assert_eq!(std::fs::read(object(&server, &log)).unwrap(), b"frames\ngrade\nencode\n");
    let stored = std::fs::metadata(object(&server, &digest)).unwrap();
    assert_eq!((stored.ino(), stored.len()), (first_inode, 8 << 20));
    assert!(!server.read_log().contains("inputs were copied"), "{}", server.read_log());
}

#[tokio::test]
async fn what_can_not_be_taken_is_said_with_its_place() {
    let server = server().start();
    let first = left(&server).await;
    let slow = server.register("slow", "shell", "sleep 60", json!({})).await;
    assert_eq!(slow["name"], "slow");
    let pending = server.submit(&json!({"script": "slow"})).await;
    let nil = uuid::Uuid::nil();
    let nowhere = format!("sha256:{}", "0".repeat(64));
    let submit = async |files: Value| {
        server.post("/api/v1/executions", &json!({"script": "leaves", "files": files})).await
    };
    for (reference, status, kind) in [
        (nowhere.clone(), 422, "input-missing"),
        (format!("tree:{nowhere}"), 422, "input-missing"),
        (format!("execution:{nil}/a.txt"), 422, "input-missing"),
        (format!("execution:{}/no.txt", id(&first)), 422, "input-missing"),
        (format!("execution:{}/a.txt/b", id(&first)), 422, "input-missing"),
        (format!("execution:{pending}/a.txt"), 409, "input-pending"),
        ("share:media/a.mov".to_owned(), 422, "invalid"),
        ("a.mov".to_owned(), 422, "invalid"),
        (format!("execution:{}/../a", id(&first)), 422, "invalid"),
    ] {
        let (got, problem) = submit(json!({"x/y.mov": reference})).await;
        assert_eq!(got.as_u16(), status, "{reference}: {problem:#}");
        assert_eq!(problem["type"], format!("urn:gantry:problem:{kind}"), "{problem:#}");
        assert_eq!(problem["errors"][0]["pointer"], "/files/x~1y.mov", "{problem:#}");
    }
    let good = format!("execution:{}/a.txt", id(&first));
    let long = "x".repeat(5_000);
    for names in [
        vec!["../a"],
        vec!["a\\b"],
        vec!["a\nb"],
        vec!["a\u{0}b"],
        vec![""],
        vec!["/a"],
        vec![&long],
        vec!["a", "A"],
        vec!["é", "e\u{301}"],
        vec!["a", "a/b"],
        vec![".gantry-inputs.json"],
    ] {
        let files: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), json!(good))).collect();
        let (got, problem) = submit(Value::Object(files)).await;
        assert_eq!(got, StatusCode::UNPROCESSABLE_ENTITY, "{names:?}: {problem:#}");
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("/files"), "{problem:#}");
    }
    let many: serde_json::Map<_, _> =
        (0..=10_000).map(|number| (number.to_string(), json!(good))).collect();
    let (got, problem) = submit(Value::Object(many)).await;
    assert_eq!(got, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    let (_, listed) = server.get("/api/v1/executions?script=leaves").await;
    assert_eq!(listed.as_array().unwrap().len(), 1, "nothing of it was accepted");
    server.post(&format!("/api/v1/executions/{pending}/cancel"), &json!({})).await;
    server.ended(&pending).await;
}

#[tokio::test]
async fn a_token_takes_only_what_it_may_see() {
    let server = server().start();
    let first = left(&server).await;
    server.register("cat", "shell", "cat in/*", json!({})).await;
    let digest = artifact(&first, "a.txt")["digest"].as_str().unwrap();
    let blind = server.token("runner", Some(&["cat"])).await;
    let seeing = server.token("runner", Some(&["cat", "leaves"])).await;
    let submit = async |token: &str, reference: &str| {
        let request = server.request(Method::POST, "/api/v1/executions").bearer_auth(token);
        let request = reqwest::Client::new()
            .post(request.build().unwrap().url().clone())
            .bearer_auth(token)
            .header("Prefer", "wait=100")
            .json(&json!({"script": "cat", "files": {"a": reference}}));
        answer(request.send().await.unwrap()).await
    };
    for reference in [digest.to_owned(), format!("execution:{}/a.txt", id(&first))] {
        let (status, problem) = submit(&blind, &reference).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        assert_eq!(problem["type"], "urn:gantry:problem:input-missing");
        let (status, execution) = submit(&seeing, &reference).await;
        assert_eq!((status, &execution["stdout_log"]), (StatusCode::OK, &json!("alpha")));
    }
}

#[tokio::test]
async fn a_field_of_the_input_is_a_file() {
    let server = server().env("GANTRY_POOL_SIZE", "2").start();
    let first = left(&server).await;
    let schema = json!({"properties": {
        "text": {"type": "string", "format": "gantry-file", "x-max-bytes": 5},
        "all": {"type": "string", "format": "gantry-folder"},
    }});
    let source = "cat > /tmp/i; cat \"$(jq -r .text /tmp/i)\" >&2; ls \"$(jq -r '.all // \"/work/in\"' /tmp/i)\" >&2; cat /tmp/i";
    server.register("form", "shell", source, json!({"argument_schema": schema, "warm": 1})).await;
    let reference = format!("execution:{}/a.txt", id(&first));
    let folder = format!("execution:{}/d", id(&first));
    let body = json!({"script": "form", "input": {"text": "in.txt", "all": folder, "n": 1},
        "files": {"in.txt": reference}});
    let execution = server.run(&body).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    let read = json!({"text": "/work/in/in.txt", "all": "/work/in/input/all/d", "n": 1});
    assert_eq!(execution["output_data"], read);
    assert_eq!(execution["stderr_log"], "alphab.txt\n");
    assert_eq!(execution["input_data"], body["input"], "it is shown as it was sent");
    // A script with such fields waits warm, with its folder.
    let is_held = async || {
        let pool = &server.get("/readyz").await.1["pool"];
        pool["unused"].as_u64() >= Some(1) && pool["starting"] == 0
    };
    server.until("a sandbox waits", is_held).await;
    let body = json!({"script": "form", "input": {"text": reference}});
    let warm = server.run(&body).await;
    assert_eq!(warm["output_data"]["text"], "/work/in/input/text/a.txt", "{warm:#}");
    assert_eq!(warm["sandbox"]["warm"], true, "{warm:#}");
    for (input, word) in [
        (json!({"text": "other"}), "no \"other\""),
        (json!({"text": format!("execution:{}", id(&first))}), "folder"),
        (json!({"all": reference}), "file"),
    ] {
        let body = json!({"script": "form", "input": input});
        let (status, problem) = server.post("/api/v1/executions", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        let error = &problem["errors"][0];
        assert!(error["pointer"].as_str().unwrap().starts_with("/input/"), "{problem:#}");
        assert!(error["detail"].as_str().unwrap().contains(word), "{problem:#}");
    }
}

#[tokio::test]
async fn declared_outputs_have_roles_and_required_ones_must_be_there() {
    let server = server().start();
    let outputs = json!({
        "text": {"path": "a.txt", "required": true, "role": "preview"},
        "folder": {"path": "d", "media_type": "text/x-own"},
    });
    let script = server.register("good", "shell", LEAVES, json!({"outputs": outputs})).await;
    assert_eq!(script["outputs"], outputs);
    let good = server.run(&json!({"script": "good"})).await;
    assert_eq!(good["status"], "completed", "{good:#}");
    assert_eq!(artifact(&good, "a.txt")["role"], "preview");
    assert_eq!(artifact(&good, "a.txt")["media_type"], "text/plain");
    assert_eq!(artifact(&good, "d/b.txt")["media_type"], "text/x-own");
    server.register("bad", "shell", "echo hi > out/other", json!({"outputs": outputs})).await;
    let bad = server.run(&json!({"script": "bad"})).await;
    assert_eq!(bad["error_kind"], "output_missing", "{bad:#}");
    assert!(bad["error_message"].as_str().unwrap().contains("a.txt"), "{bad:#}");
    assert_eq!((&bad["exit_code"], &bad["stdout_log"]), (&json!(0), &json!("")));
    assert_eq!(artifact(&bad, "other")["bytes"], 3, "what it left is kept");
    let wrong = json!({"outputs": {"x": {"path": "../a"}}});
    let (status, problem) = server.put("/api/v1/admin/scripts/bad", &wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"][0]["pointer"], "/outputs/x", "{problem:#}");
}

#[tokio::test]
async fn a_key_is_for_one_set_of_files() {
    let server = server().start();
    let first = left(&server).await;
    server.register("cat", "shell", "cat in/*", json!({})).await;
    let submit = async |path: &str| {
        let body = json!({"script": "cat",
            "files": {"a": format!("execution:{}/{path}", id(&first))}});
        let request = server.request(Method::POST, "/api/v1/executions");
        answer(request.header("Idempotency-Key", "k").json(&body).send().await.unwrap()).await
    };
    let (_, one) = submit("a.txt").await;
    assert_eq!(submit("a.txt").await.1["id"], one["id"]);
    let (status, problem) = submit("d/b.txt").await;
    assert_eq!((status.as_u16(), &problem["type"]), (422, &json!("urn:gantry:problem:key-reused")));
    server.ended(one["id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn files_of_an_execution_are_there_after_a_kill_and_are_taken_once() {
    let mut server = server().start();
    let first = left(&server).await;
    let source = "cat in/a > out/b; echo more >> out/b; sleep 2";
    server.register("slow", "shell", source, json!({})).await;
    let body = json!({"script": "slow", "files": {"a": format!("execution:{}/a.txt", id(&first))}});
    let slow = server.submit(&body).await;
    server.reaches(&slow, "running").await;
    server.kill();
    server.start();
    let ended = server.ended(&slow).await;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let kept = object(&server, &artifact(&ended, "b")["digest"]);
    assert_eq!(std::fs::read(&kept).unwrap(), b"alphamore\n");
    assert_eq!(std::fs::metadata(&kept).unwrap().nlink(), 1);
}

#[tokio::test]
async fn a_thousand_files_are_taken_in_one_request() {
    let server = server().start();
    let source = "mkdir out/f; for i in $(seq 1 90); do echo $i > out/f/$i; done";
    server.register("many", "shell", source, json!({})).await;
    let many = server.run(&json!({"script": "many"})).await;
    let files: serde_json::Map<_, _> = (0..1_000)
        .map(|at| (format!("d/{at}"), json!(format!("execution:{}/f/{}", id(&many), at % 90 + 1))))
        .collect();
    server.register("count", "shell", "ls in/d | wc -l; cat in/d/89", json!({})).await;
    let execution = server.run(&json!({"script": "count", "files": files})).await;
    assert_eq!(execution["stdout_log"], "1000\n90\n", "{}", execution["error_message"]);
    assert_eq!(execution["file_count"], 1_000);
}

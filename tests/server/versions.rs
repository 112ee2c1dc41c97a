//! What runs is what was registered, in any of its versions.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::gate::gated;
use crate::testkit::server::{Server, server};

/// What a run of the script prints.
async fn prints(server: &Server, request: Value) -> Value {
    server.run(&request).await["stdout_log"].clone()
}

#[tokio::test]
async fn every_version_can_be_run_and_made_current_again() {
    let server = server().start();
    let script = server.register("says", "shell", "echo one", json!({})).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let (status, changed) = server.put(&path, &json!({"source": "echo two"})).await;
    assert_eq!((status, &changed["version"]), (StatusCode::OK, &json!(2)));
    assert_eq!(prints(&server, json!({"script": "says"})).await, "two\n");
    assert_eq!(prints(&server, json!({"script": "says", "version": 1})).await, "one\n");
    let (status, _) = server.post(&format!("{path}/versions/1/activate"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let execution = server.run(&json!({"script": "says"})).await;
    assert_eq!((&execution["stdout_log"], &execution["version"]), (&json!("one\n"), &json!(1)));
    let (_, versions) = server.get(&format!("{path}/versions")).await;
    let current: Vec<_> =
        versions.as_array().unwrap().iter().map(|it| it["is_current"].clone()).collect();
    assert_eq!(current, [json!(false), json!(true)], "{versions:#}");
}

#[tokio::test]
async fn what_was_registered_runs_until_it_is_read_again() {
    let builder = server();
    let file = builder.folder().join("script.sh");
    std::fs::write(&file, "echo before").unwrap();
    let server = builder.env("GANTRY_SCRIPT_ROOTS", file.parent().unwrap().to_str().unwrap());
    let server = server.start();
    let body = json!({"name": "file", "script_type": "shell", "file_path": file});
    let (status, script) = server.post("/api/v1/admin/scripts", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{script:#}");
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let (_, same) = server.put(&path, &json!({})).await;
    assert_eq!(same["version"], 1, "{same:#}");
    std::fs::write(&file, "echo after").unwrap();
    assert_eq!(prints(&server, json!({"script": "file"})).await, "before\n");
    let (_, changed) = server.put(&path, &json!({})).await;
    assert_eq!(changed["version"], 2, "{changed:#}");
    assert_eq!(prints(&server, json!({"script": "file"})).await, "after\n");
}

#[tokio::test]
async fn what_is_disabled_or_deactivated_is_refused_until_it_is_enabled() {
    let server = server().start();
    let script = server.register("switch", "shell", "echo on", json!({})).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let request = json!({"script": "switch"});
    for off in [0, 1] {
        let (status, off) = match off {
            0 => server.put(&path, &json!({"is_enabled": false})).await,
            _ => server.delete(&path).await,
        };
        assert_eq!((status, &off["is_enabled"]), (StatusCode::OK, &json!(false)), "{off:#}");
        let (status, problem) = server.post("/api/v1/executions", &request).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem:#}");
        let (status, _) = server.post(&format!("{path}/test"), &json!({})).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let (status, on) = server.put(&path, &json!({"is_enabled": true})).await;
        assert_eq!((status, &on["is_enabled"]), (StatusCode::OK, &json!(true)), "{on:#}");
        assert_eq!(prints(&server, request.clone()).await, "on\n");
    }
}

#[tokio::test]
async fn what_was_accepted_runs_as_it_was_whatever_is_changed_meanwhile() {
    let (server, gate) = gated(server().env("GANTRY_MAX_CONCURRENT", "1"));
    let script = gate.register(&server, "waits").await;
    let request = json!({"script": "waits"});
    let running = server.submit(&request).await;
    server.reaches(&running, "running").await;
    let pending = server.submit(&request).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let change = json!({"source": "echo changed", "mounts": null, "timeout_secs": 1});
    let (status, changed) = server.put(&path, &change).await;
    assert_eq!((status, &changed["version"]), (StatusCode::OK, &json!(2)), "{changed:#}");
    gate.open();
    for id in [running, pending] {
        let execution = server.ended(&id).await;
        assert_eq!(execution["stdout_log"], "began\nended\n", "{execution:#}");
        assert_eq!((&execution["version"], &execution["digest"]), (&json!(1), &script["digest"]));
    }
    assert_eq!(prints(&server, request).await, "changed\n");
}

//! `gantry doctor --reconcile`: what is said and done about what a server has left.

use std::process::Command;

use serde_json::{Value, json};

use crate::gate::gated;
use crate::testkit::engine;
use crate::testkit::server::{Server, server};

/// What `gantry doctor --reconcile` says.
fn reconcile(server: &Server, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_gantry"))
        .args(["doctor", "--reconcile", "--json"])
        .args(arguments)
        .env("GANTRY_DATA_DIR", server.home.data_dir())
        .env_remove("GANTRY_DATABASE_URL")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn actions(steps: &Value) -> Vec<&str> {
    let mut actions: Vec<_> =
        steps.as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    actions
}

#[tokio::test]
async fn what_a_dead_server_has_left_is_told_apart_and_only_what_nobody_uses_is_removed() {
    let (mut server, gate) = gated(server().env("GANTRY_POOL_SIZE", "1"));
    gate.register(&server, "waits").await;
    server.register("held", "shell", "true", json!({"warm": 1})).await;
    let id = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&id, "running").await;
    let installation = server.home.installation().to_owned();
    server
        .until("one is held", async || server.get("/readyz").await.1["pool"]["unused"] == 1)
        .await;
    assert_eq!(actions(&reconcile(&server, &[])), ["keep", "keep"], "the server lives");
    server.kill();
    let dry = reconcile(&server, &["--dry-run"]);
    assert_eq!(actions(&dry), ["adopt", "remove"], "{dry:#}");
    let adopted = dry.as_array().unwrap().iter().find(|it| it["action"] == "adopt").unwrap();
    assert_eq!(adopted["execution"], id.as_str());
    assert_eq!(engine::containers(&installation).len(), 2, "nothing is done in a dry run");
    reconcile(&server, &[]);
    assert_eq!(engine::containers(&installation).len(), 1);
    server.start();
    gate.open();
    assert_eq!(server.ended(&id).await["status"], "completed");
    server
        .until("none is left of it", async || {
            !reconcile(&server, &["--dry-run"]).to_string().contains("adopt")
        })
        .await;
}

#[tokio::test]
async fn an_execution_without_a_container_is_left_to_its_server() {
    let (mut server, gate) = gated(server());
    gate.register(&server, "waits").await;
    let id = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&id, "running").await;
    server.kill();
    engine::remove_containers(server.home.installation());
    let steps = reconcile(&server, &[]);
    assert_eq!(actions(&steps), ["end"]);
    assert_eq!(steps[0]["execution"], id.as_str());
    server.start();
    assert_eq!(server.ended(&id).await["error_kind"], "lost");
}

#[tokio::test]
async fn a_copy_of_a_database_leaves_the_containers_of_its_original_alone() {
    let (original, gate) = gated(server());
    gate.register(&original, "waits").await;
    let id = original.submit(&json!({"script": "waits"})).await;
    original.reaches(&id, "running").await;
    let copy = server();
    for name in ["gantry.db", "gantry.db-wal"] {
        let of = |folder: &std::path::Path| folder.join("data").join(name);
        std::fs::copy(of(original.home.path()), of(copy.folder())).unwrap();
    }
    let copy = copy.start();
    let ended = copy.ended(&id).await;
    assert_eq!(ended["error_kind"], "lost", "{ended:#}");
    let message = ended["error_message"].as_str().unwrap();
    assert!(message.contains("another installation"), "{message}");
    assert!(copy.read_log().contains("it is left alone"), "{}", copy.read_log());
    assert_eq!(engine::containers(original.home.installation()).len(), 1);
    gate.open();
    assert_eq!(original.ended(&id).await["status"], "completed");
}

//! What an execution tells of how its sandbox was confined.

use serde_json::{Value, json};

use crate::testkit::server::{Server, server};

async fn run(server: &Server) -> Value {
    server.run(&json!({"script": "true"})).await
}

/// What the engine says, and nobody else.
fn assert_is_confined(execution: &Value) {
    let confinement = &execution["sandbox"]["confinement"];
    for (field, value) in [
        ("network_mode", json!("none")),
        ("network_disabled", json!(true)),
        ("readonly_root", json!(true)),
        ("privileged", json!(false)),
        ("capabilities_added", json!([])),
        ("no_new_privileges", json!(true)),
        ("memory_bytes", json!(512 << 20)),
        ("nano_cpus", json!(1_000_000_000)),
        ("pids", json!(256)),
        ("mounts", json!([])),
        ("devices", json!([])),
        ("log_driver", json!("local")),
    ] {
        assert_eq!(confinement[field], value, "{field}: {confinement:#}");
    }
    let user = confinement["user"].as_str().unwrap();
    let uid: u32 = user.strip_suffix(":65534").unwrap().parse().unwrap();
    assert!((60_578..=61_183).contains(&uid), "{user}");
    let work = confinement["tmpfs"]["/work"].as_str().unwrap();
    assert!(work.contains(&format!("uid={uid},gid=65534")), "{work}");
    let seccomp = confinement["seccomp"].as_str().unwrap();
    assert!(seccomp.starts_with("sha256:") && seccomp.len() == 71, "{seccomp}");
    assert!(confinement["runtime"].is_string(), "{confinement:#}");
}

#[tokio::test]
async fn an_execution_tells_how_it_was_confined_warm_or_cold() {
    let server = server().env("GANTRY_POOL_SIZE", "1").start();
    server.register("true", "shell", "true", json!({})).await;
    let cold = run(&server).await;
    assert_eq!(cold["sandbox"]["warm"], false);
    server
        .until("one is held", async || server.get("/readyz").await.1["pool"]["unused"] == 1)
        .await;
    let warm = run(&server).await;
    assert_eq!(warm["sandbox"]["warm"], true);
    for execution in [&cold, &warm] {
        assert_is_confined(execution);
        let id = execution["id"].as_str().unwrap();
        let (_, stored) = server.get(&format!("/api/v1/executions/{id}")).await;
        assert_eq!(stored["sandbox"], execution["sandbox"], "everybody is told the same");
    }
    let of_others = ["user", "tmpfs"];
    let fields = cold["sandbox"]["confinement"].as_object().unwrap();
    for (field, value) in fields.iter().filter(|(field, _)| !of_others.contains(&field.as_str())) {
        assert_eq!(value, &warm["sandbox"]["confinement"][field], "{field}");
    }
}

#[tokio::test]
async fn lists_leave_it_out_and_people_are_shown_what_matters() {
    let server = server().start();
    server.register("true", "shell", "true", json!({})).await;
    let execution = run(&server).await;
    let (_, list) = server.get("/api/v1/executions").await;
    let sandbox = &list[0]["sandbox"];
    assert_eq!(sandbox["container_id"], execution["sandbox"]["container_id"], "{list:#}");
    assert!(sandbox.get("confinement").is_none(), "{list:#}");
    let id = execution["id"].as_str().unwrap();
    let shown = server.command(&["executions", "show", id]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for words in [":65534", "512 MiB", "256 processes", "read-only root", "seccomp sha256:"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

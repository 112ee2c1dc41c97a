//! Sandboxes that scripts want to be held in any case, by `warm`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::testkit::engine;
use crate::testkit::server::{Server, server};

fn pooled(size: &str) -> Server {
    server().env("GANTRY_POOL_SIZE", size).start()
}

async fn pool(server: &Server) -> Value {
    server.get("/readyz").await.1["pool"].clone()
}

/// Waits until exactly so many wait and none is on its way.
async fn until_unused(server: &Server, count: u64) {
    server
        .until(&format!("{count} are unused"), async || {
            let pool = pool(server).await;
            pool["unused"] == count && pool["starting"] == 0
        })
        .await;
}

async fn run(server: &Server, script: &str) -> Value {
    let execution = server.run(&json!({"script": script})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    execution
}

fn is_warm(execution: &Value) -> bool {
    execution["sandbox"]["warm"] == true
}

fn path(script: &Value) -> String {
    format!("/api/v1/admin/scripts/{}", script["id"])
}

async fn changed(server: &Server, script: &Value, fields: Value) -> Value {
    let (status, changed) = server.put(&path(script), &fields).await;
    assert_eq!(status, StatusCode::OK, "{changed:#}");
    changed
}

#[tokio::test]
async fn the_first_execution_is_warm_also_after_a_restart() {
    let mut server = pooled("4");
    let script = server.register("cat", "shell", "cat", json!({"warm": 2})).await;
    assert_eq!(script["warm"], 2);
    until_unused(&server, 2).await;
    assert!(is_warm(&run(&server, "cat").await));
    until_unused(&server, 2).await;
    server.stop();
    assert_eq!(engine::containers(server.home.installation()), [""; 0]);
    server.start();
    until_unused(&server, 2).await;
    assert!(is_warm(&run(&server, "cat").await));
}

#[tokio::test]
async fn what_reaches_the_outside_is_held_too() {
    let server = pooled("1");
    let others = json!({"warm": 1, "network": "egress", "runtime": "runc"});
    server.register("cat", "shell", "cat", others).await;
    until_unused(&server, 1).await;
    assert!(is_warm(&run(&server, "cat").await));
}

#[tokio::test]
async fn changed_limits_are_held_at_once_and_the_old_ones_no_more() {
    let server = pooled("2");
    let script = server.register("cat", "shell", "cat", json!({"warm": 2})).await;
    until_unused(&server, 2).await;
    let before = engine::containers(server.home.installation());
    changed(&server, &script, json!({"limits": {"pids": 33}})).await;
    let is_gone =
        || before.iter().all(|it| !engine::containers(server.home.installation()).contains(it));
    server.until("they are gone", async || is_gone()).await;
    until_unused(&server, 2).await;
    assert!(is_warm(&run(&server, "cat").await));
}

#[tokio::test]
async fn what_is_disabled_is_not_held_and_what_still_runs_is_left_alone() {
    let server = pooled("4");
    let source = "echo began; sleep 3; echo ended";
    let script = server.register("sleeps", "shell", source, json!({"warm": 2})).await;
    until_unused(&server, 2).await;
    let id = server.submit(&json!({"script": "sleeps"})).await;
    server.reaches(&id, "running").await;
    changed(&server, &script, json!({"is_enabled": false})).await;
    until_unused(&server, 0).await;
    let execution = server.ended(&id).await;
    assert_eq!(execution["stdout_log"], "began\nended\n", "{execution:#}");
    assert!(is_warm(&execution));
    changed(&server, &script, json!({"is_enabled": true})).await;
    until_unused(&server, 2).await;
    let (status, _) = server.delete(&path(&script)).await;
    assert_eq!(status, StatusCode::OK);
    until_unused(&server, 0).await;
}

#[tokio::test]
async fn of_too_many_a_part_is_held_which_is_said_and_harms_nobody() {
    let server = pooled("2");
    let script = server.register("many", "shell", "cat", json!({"warm": 64})).await;
    let others = json!({"limits": {"pids": 33}});
    server.register("other", "shell", "cat", others).await;
    until_unused(&server, 2).await;
    let held = pool(&server).await;
    assert_eq!((&held["floor"], &held["floor_unmet"]), (&json!(64), &json!(62)), "{held:#}");
    assert!(held["detail"].as_str().unwrap().contains("GANTRY_POOL_SIZE"), "{held:#}");
    let log = server.read_log();
    let said = log.lines().filter(|line| line.contains("no room for all floors"));
    let said: Vec<_> = said.collect();
    assert!(said.len() == 1 && said[0].contains("many"), "{said:?}");
    for _ in 0..3 {
        run(&server, "other").await;
        run(&server, "many").await;
    }
    changed(&server, &script, json!({"warm": 2})).await;
    server
        .until("there is room", async || {
            let pool = pool(&server).await;
            (&pool["floor_unmet"], &pool["detail"]) == (&json!(0), &Value::Null)
        })
        .await;
}

#[tokio::test]
async fn the_memory_that_they_may_take_bounds_them() {
    let server = server().env("GANTRY_POOL_SIZE", "8").env("GANTRY_POOL_MEMORY", "16MiB").start();
    server.register("cat", "shell", "cat", json!({"warm": 3})).await;
    until_unused(&server, 2).await;
    let held = pool(&server).await;
    assert_eq!(held["memory_bytes"], 16 << 20, "{held:#}");
    assert_eq!(held["memory_limit_bytes"], 16 << 20, "{held:#}");
    assert_eq!(held["floor_unmet"], 1, "{held:#}");
    run(&server, "cat").await;
}

#[tokio::test]
async fn an_environment_is_held_as_soon_as_it_is_built() {
    let server = pooled("1");
    let others = json!({"warm": 1, "system_packages": ["tree"]});
    let script = server.register("tree", "shell", "tree --version", others).await;
    until_unused(&server, 1).await;
    assert!(is_warm(&run(&server, "tree").await));
    let (_, script) = server.get(&path(&script)).await;
    assert_eq!(script["environment"]["status"], "ready", "{script:#}");
    changed(&server, &script, json!({"warm": 0, "is_enabled": false})).await;
    until_unused(&server, 0).await;
}

#[tokio::test]
async fn a_runtime_that_the_engine_does_not_have_is_refused() {
    let server = pooled("0");
    let body = json!({
        "name": "a", "script_type": "shell", "source": "cat", "runtime": "gantry-has-none"
    });
    let (status, problem) = server.post("/api/v1/admin/scripts", &body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(problem["errors"][0]["pointer"], "/runtime");
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("gantry-has-none") && detail.contains("runc"), "{detail}");
}

#[tokio::test]
async fn a_server_with_a_runtime_that_is_missing_says_so_at_each_execution() {
    let server =
        server().env("GANTRY_POOL_SIZE", "1").env("GANTRY_OCI_RUNTIME", "gantry-has-none").start();
    server.register("cat", "shell", "cat", json!({"warm": 1})).await;
    let own = json!({"runtime": "runc", "limits": {"pids": 33}});
    server.register("own", "shell", "cat", own).await;
    server.until("it is seen", async || pool(&server).await["failing"] == 1).await;
    let execution = server.run(&json!({"script": "cat"})).await;
    assert_eq!(execution["status"], "failed", "{execution:#}");
    let message = execution["error_message"].as_str().unwrap();
    assert!(message.contains("gantry-has-none"), "{message}");
    run(&server, "own").await;
}

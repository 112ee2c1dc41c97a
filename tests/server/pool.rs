//! Executions in sandboxes that have waited for them.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::testkit::engine;
use crate::testkit::server::{Server, server};

/// A server whose pool has room for two.
fn pooled() -> Server {
    server().env("GANTRY_POOL_SIZE", "2").start()
}

/// Waits until at least this many sandboxes are ready: on a slow machine calls
/// follow upon each other faster than starts, and more are held.
async fn until_unused(server: &Server, count: u64) {
    server
        .until(&format!("{count} are unused"), async || {
            let pool = &server.get("/readyz").await.1["pool"];
            pool["unused"].as_u64() >= Some(count) && pool["starting"] == 0
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

/// Says what it finds of others, and leaves something of its own everywhere.
const TRACES: &str = "ls -A /work /tmp /dev/shm; ps ax 2>/dev/null | grep -c sleep; \
     touch /work/mine /tmp/mine /dev/shm/mine; (sleep 60 &) >/dev/null 2>&1";

#[tokio::test]
async fn the_second_execution_finds_a_sandbox_that_nobody_has_used() {
    let server = pooled();
    server.register("traces", "shell", TRACES, json!({})).await;
    let cold = run(&server, "traces").await;
    assert!(!is_warm(&cold), "{cold:#}");
    let mut containers = vec![cold["sandbox"]["container_id"].clone()];
    for _ in 0..3 {
        until_unused(&server, 1).await;
        let warm = run(&server, "traces").await;
        assert!(is_warm(&warm), "{warm:#}");
        assert_eq!(warm["stdout_log"], cold["stdout_log"]);
        assert_eq!(warm["attempt"], 1);
        let container = warm["sandbox"]["container_id"].clone();
        assert!(!containers.contains(&container));
        containers.push(container);
    }
    let metrics = server.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in
        ["gantry_sandboxes_total{start=\"cold\"} 1", "gantry_sandboxes_total{start=\"warm\"} 3"]
    {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn scripts_with_the_same_needs_share_and_others_do_not() {
    let server = pooled();
    server.register("one", "shell", "echo $SCRIPT_NAME", json!({})).await;
    server.register("two", "shell", "echo $SCRIPT_NAME", json!({"env": {"A": "b"}})).await;
    server.register("small", "shell", "echo small", json!({"limits": {"pids": 20}})).await;
    run(&server, "one").await;
    until_unused(&server, 1).await;
    let small = run(&server, "small").await;
    assert!(!is_warm(&small), "{small:#}");
    let two = run(&server, "two").await;
    assert!(is_warm(&two), "{two:#}");
    assert_eq!(two["stdout_log"], "two\n");
}

#[tokio::test]
async fn changed_limits_count_at_once() {
    let server = pooled();
    let script = server.register("counts", "shell", "ulimit -a >/dev/null; nproc", json!({})).await;
    run(&server, "counts").await;
    until_unused(&server, 1).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let (status, changed) = server.put(&path, &json!({"limits": {"memory_bytes": 64 << 20}})).await;
    assert_eq!(status, StatusCode::OK, "{changed:#}");
    assert!(!is_warm(&run(&server, "counts").await));
}

#[tokio::test]
async fn one_that_is_killed_while_it_waits_costs_nothing() {
    let server = pooled();
    server.register("cat", "shell", "cat", json!({})).await;
    run(&server, "cat").await;
    until_unused(&server, 1).await;
    let killed = engine::containers(server.home.installation());
    let names = killed.iter().map(|name| name.trim_start_matches('/'));
    Command::new("docker").arg("kill").args(names.clone()).output().unwrap();
    let execution = run(&server, "cat").await;
    let container = execution["sandbox"]["container_id"].as_str().unwrap();
    assert!(!names.clone().any(|name| name == container), "{execution:#}");
}

#[tokio::test]
async fn the_largest_input_goes_in() {
    let server = pooled();
    let limits = json!({"limits": {"memory_bytes": 512 << 20}});
    server.register("counts", "shell", "wc -c", limits).await;
    run(&server, "counts").await;
    until_unused(&server, 1).await;
    let input = "x".repeat((64 << 20) - 2);
    let execution = server.run(&json!({"script": "counts", "input": input})).await;
    assert!(is_warm(&execution), "{:#}", execution["sandbox"]);
    assert_eq!(execution["output_data"], 64 << 20);
}

#[tokio::test]
async fn nothing_waits_after_the_server_is_gone() {
    let mut server = pooled();
    server.register("cat", "shell", "cat", json!({})).await;
    run(&server, "cat").await;
    until_unused(&server, 1).await;
    server.stop();
    let installation = server.home.installation().to_owned();
    assert_eq!(engine::containers(&installation), [""; 0]);
    server.start();
    run(&server, "cat").await;
    until_unused(&server, 1).await;
    let before = engine::containers(&installation);
    server.kill();
    server.start();
    let is_gone = |name: &String| !engine::containers(&installation).contains(name);
    server.until("they are gone", async || before.iter().all(is_gone)).await;
}

#[tokio::test]
async fn many_at_once_are_all_answered() {
    let server = server().env("GANTRY_POOL_SIZE", "4").start();
    server.register("cat", "shell", "cat", json!({})).await;
    for _ in 0..2 {
        let requests = (0..12).map(|number| {
            let body = json!({"script": "cat", "input": number});
            let server = &server;
            async move { (number, server.run(&body).await) }
        });
        for (number, execution) in futures::future::join_all(requests).await {
            assert_eq!(execution["output_data"], number, "{execution:#}");
        }
        until_unused(&server, 4).await;
    }
}

/// Whether its interpreter has stood by; the variable is not its own, but the kernel
/// remembers with what it was started.
const STOOD_BY: &str = "import json, os, sys\n\
    began = open('/proc/self/environ').read()\n\
    kind = os.fstat(0).st_mode & 0o170000\n\
    print(json.dumps(['GANTRY_STAND_BY' in began, dict(os.environ), sys.argv[1:], kind]))\n";

#[tokio::test]
async fn the_interpreter_of_a_python_script_stands_by() {
    let server = pooled();
    let script = json!({"env": {"A": "b"}, "args": ["one"]});
    server.register("python", "python", STOOD_BY, script).await;
    let cold = run(&server, "python").await;
    until_unused(&server, 1).await;
    let warm = run(&server, "python").await;
    assert!(is_warm(&warm), "{warm:#}");
    let [cold_output, mut warm_output] = [cold, warm.clone()].map(|it| it["output_data"].clone());
    assert_eq!([&cold_output[0], &warm_output[0]], [false, true]);
    assert_eq!(warm_output[1]["EXECUTION_ID"], warm["id"]);
    // Its stdin is a pipe (inode(7)).
    assert_eq!(warm_output[3], 0o010_000);
    warm_output[0] = json!(false);
    warm_output[1]["EXECUTION_ID"] = cold_output[1]["EXECUTION_ID"].clone();
    assert_eq!(warm_output, cold_output);
    // What only this request brings, modules may have looked for.
    until_unused(&server, 1).await;
    let body = json!({"script": "python", "env": {"C": "d"}, "args": ["two"], "job_id": "j"});
    let other = server.run(&body).await;
    assert!(is_warm(&other), "{other:#}");
    assert_eq!(other["output_data"][0], false, "{other:#}");
    assert_eq!(other["output_data"][1]["C"], "d");
    assert_eq!(other["output_data"][1]["JOB_ID"], "j");
    assert_eq!(other["output_data"][2], json!(["one", "two"]));
}

#[tokio::test]
async fn a_script_whose_imports_fail_runs_all_the_same() {
    let server = pooled();
    let source = "try_this = 1\nimport this, not_there\n";
    server.register("fails", "python", source, json!({})).await;
    let body = json!({"script": "fails"});
    let cold = server.run(&body).await;
    until_unused(&server, 1).await;
    let warm = server.run(&body).await;
    assert!(is_warm(&warm), "{warm:#}");
    for field in ["status", "error_kind", "exit_code", "stdout_log", "stderr_log"] {
        assert_eq!(warm[field], cold[field]);
    }
    assert!(warm["stderr_log"].as_str().unwrap().contains("No module named 'not_there'"));
}

#[tokio::test]
async fn versions_of_a_script_do_not_share_an_interpreter() {
    let server = pooled();
    let script = server.register("changes", "python", "print(1)", json!({})).await;
    run(&server, "changes").await;
    until_unused(&server, 1).await;
    let path = format!("/api/v1/admin/scripts/{}", script["id"]);
    let (status, changed) = server.put(&path, &json!({"source": "print(2)"})).await;
    assert_eq!(status, StatusCode::OK, "{changed:#}");
    let execution = run(&server, "changes").await;
    assert_eq!((is_warm(&execution), &execution["output_data"]), (false, &json!(2)));
}

/// Whether modules were imported ahead, and the reason why not.
fn preloaded(execution: &Value) -> (&Value, &Value) {
    (&execution["sandbox"]["preloaded"], &execution["sandbox"]["preload_reason"])
}

#[tokio::test]
async fn it_is_said_whether_modules_were_imported_ahead_and_why_not() {
    let server = pooled();
    let warm = json!({"warm": 1});
    server.register("quiet", "python", "import json; print(json)", warm).await;
    let absent = json!({"warm": 1, "preload": ["gantry_absent"]});
    server.register("absent", "python", "print(1)", absent).await;
    until_unused(&server, 2).await;
    let quiet = run(&server, "quiet").await;
    assert!(is_warm(&quiet), "{quiet:#}");
    assert_eq!(preloaded(&quiet), (&json!(true), &Value::Null), "{quiet:#}");
    let absent = run(&server, "absent").await;
    assert!(is_warm(&absent), "{absent:#}");
    let expected = json!("ModuleNotFoundError: No module named 'gantry_absent'");
    assert_eq!(preloaded(&absent), (&json!(false), &expected), "{absent:#}");
    assert_eq!(absent["stdout_log"], "1\n");
    server.register("shell", "shell", "true", json!({})).await;
    let shell = run(&server, "shell").await;
    assert_eq!(preloaded(&shell), (&Value::Null, &Value::Null), "{shell:#}");
    server.register("cold", "python", "import json", json!({})).await;
    let cold = run(&server, "cold").await;
    let expected = json!("its container was started for it");
    assert_eq!(preloaded(&cold), (&json!(false), &expected), "{cold:#}");
}

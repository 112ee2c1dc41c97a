//! Who runs when, and who is refused.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gate::gated;
use crate::testkit::server::server;

fn times(execution: &Value) -> (chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>) {
    let time = |field: &str| execution[field].as_str().unwrap().parse().unwrap();
    (time("started_at"), time("completed_at"))
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_come_back() {
    let builder = server().env("GANTRY_MAX_CONCURRENT", "1").env("GANTRY_QUEUE_LIMIT", "2");
    let (server, gate) = gated(builder);
    gate.register(&server, "waits").await;
    let request = json!({"script": "waits"});
    let mut ids = vec![server.submit(&request).await];
    server.reaches(&ids[0], "running").await;
    ids.push(server.submit(&request).await);
    ids.push(server.submit(&request).await);
    let refused = server.request(Method::POST, "/api/v1/executions").json(&request);
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(server.count("/api/v1/executions").await, 3);
    gate.open();
    for id in &ids {
        assert_eq!(server.ended(id).await["status"], "completed");
    }
    assert_eq!(server.run(&request).await["status"], "completed");
}

#[tokio::test]
async fn executions_whose_memory_does_not_fit_together_run_one_after_the_other() {
    let server = server().start();
    let memory = memory_of_this_machine();
    let limits = |bytes: u64| json!({"limits": {"memory_bytes": bytes}});
    server.register("large", "shell", "sleep 0.3; echo done", limits(memory / 10 * 6)).await;
    let request = json!({"script": "large"});
    let ids = [server.submit(&request).await, server.submit(&request).await];
    let mut ended = Vec::new();
    for id in &ids {
        let execution = server.ended(id).await;
        assert_eq!(execution["status"], "completed", "{execution:#}");
        ended.push(times(&execution));
    }
    ended.sort();
    assert!(ended[0].1 <= ended[1].0, "{ended:?}");
    // The machine has as much, and not for scripts alone.
    for bytes in [memory, memory / 100 * 95] {
        let body = json!({"name": "larger", "script_type": "shell", "source": "echo",
            "limits": {"memory_bytes": bytes}});
        let (status, problem) = server.post("/api/v1/admin/scripts", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        assert_eq!(problem["errors"][0]["pointer"], "/limits/memory_bytes", "{problem:#}");
    }
}

/// In bytes (proc(5)).
fn memory_of_this_machine() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    let kib: u64 = total.trim().trim_end_matches("kB").trim().parse().unwrap();
    kib * 1024
}

#[tokio::test]
async fn a_script_runs_no_more_often_at_once_than_it_may_and_keeps_nobody_else() {
    let (server, gate) = gated(server());
    let others = json!({"mounts": gate.mounts(), "max_concurrency": 1});
    server.register("alone", "shell", crate::gate::WAITS, others).await;
    server.register("other", "shell", "echo 1", json!({})).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(server.submit(&json!({"script": "alone"})).await);
    }
    server.reaches(&ids[0], "running").await;
    assert_eq!(server.run(&json!({"script": "other"})).await["status"], "completed");
    assert_eq!(server.count("/api/v1/executions?status=pending").await, 3);
    gate.open();
    let mut spans = Vec::new();
    for id in &ids {
        spans.push(times(&server.ended(id).await));
    }
    spans.sort();
    for pair in spans.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "two at once: {spans:?}");
    }
}

#[tokio::test]
async fn what_matters_more_runs_first_and_equals_in_their_order() {
    let (server, gate) = gated(server().env("GANTRY_MAX_CONCURRENT", "1"));
    gate.register(&server, "waits").await;
    let first = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&first, "running").await;
    let mut begun = Vec::new();
    for priority in [-10, 0, 10, 0] {
        begun.push(server.submit(&json!({"script": "waits", "priority": priority})).await);
    }
    gate.open();
    let mut started = Vec::new();
    for id in &begun {
        started.push(times(&server.ended(id).await).0);
    }
    assert!(started[2] < started[1], "{started:?}");
    assert!(started[1] < started[3], "{started:?}");
    assert!(started[3] < started[0], "{started:?}");
}

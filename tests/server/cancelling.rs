//! Executions that are ended before their time.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::gate::gated;
use crate::stream::follow;
use crate::testkit::engine;
use crate::testkit::server::{Server, server};

async fn cancel(server: &Server, id: &str) -> (StatusCode, Value) {
    server.post(&format!("/api/v1/executions/{id}/cancel"), &json!({})).await
}

#[tokio::test]
async fn what_waits_never_runs() {
    let (server, gate) = gated(server().env("GANTRY_MAX_CONCURRENT", "1"));
    gate.register(&server, "waits").await;
    let first = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&first, "running").await;
    let second = server.submit(&json!({"script": "waits"})).await;
    let (status, cancelled) = cancel(&server, &second).await;
    assert_eq!((status, &cancelled["status"]), (StatusCode::OK, &json!("cancelled")));
    gate.open();
    assert_eq!(server.ended(&first).await["status"], "completed");
    let (_, second) = server.get(&format!("/api/v1/executions/{second}")).await;
    assert_eq!(second["status"], "cancelled", "{second:#}");
    let never = json!([second["started_at"], second["sandbox"], second["exit_code"]]);
    assert_eq!(never, json!([null, null, null]));
}

#[tokio::test]
async fn what_runs_ends_and_its_container_goes() {
    let server = server().start();
    server.register("sleeps", "shell", "echo began; exec sleep 600", json!({})).await;
    let id = server.submit(&json!({"script": "sleeps"})).await;
    let mut events = follow(&server, &id, None).await;
    events.next_of("stdout").await;
    let (status, _) = cancel(&server, &id).await;
    assert!(status == StatusCode::ACCEPTED || status == StatusCode::OK, "{status}");
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "cancelled", "{execution:#}");
    assert_eq!(execution["stdout_log"], "began\n");
    assert!(execution["duration_ms"].as_f64().unwrap() < 30_000.0, "{execution:#}");
    let installation = server.home.installation();
    server.until("it is gone", async || engine::containers(installation).is_empty()).await;
    assert_eq!(events.next_of("end").await.data["status"], "cancelled");
}

#[tokio::test]
async fn what_has_ended_stays_as_it_is() {
    let server = server().start();
    server.register("quick", "shell", "echo 1", json!({})).await;
    let before = server.run(&json!({"script": "quick"})).await;
    let id = before["id"].as_str().unwrap();
    let (status, problem) = cancel(&server, id).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem:#}");
    assert_eq!(server.get(&format!("/api/v1/executions/{id}")).await.1, before);
    let (status, _) = cancel(&server, "0198f3b2-c4e0-7d41-a3c5-d2b0f1e6a798").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_cancellation_that_races_the_end_leaves_exactly_one() {
    let server = server().start();
    server.register("quick", "shell", "true", json!({})).await;
    let mut ends = Vec::new();
    for round in 0..24_u64 {
        let id = server.submit(&json!({"script": "quick"})).await;
        let events = follow(&server, &id, None).await;
        // Not to wait for something, but to be in the way at another moment.
        tokio::time::sleep(std::time::Duration::from_millis(round * 12)).await;
        let (status, _) = cancel(&server, &id).await;
        assert!(status.is_success() || status == StatusCode::CONFLICT, "{status}");
        let told = events.rest().await;
        let execution = server.ended(&id).await;
        let status = execution["status"].as_str().unwrap().to_owned();
        assert!(["completed", "cancelled"].contains(&status.as_str()), "{execution:#}");
        let last: Vec<_> = told.iter().filter(|event| event.name == "end").collect();
        assert_eq!(last.len(), 1, "{told:#?}");
        assert_eq!(last[0].data["status"], status.as_str());
        ends.push((id, execution));
    }
    for (id, execution) in ends {
        assert_eq!(server.get(&format!("/api/v1/executions/{id}")).await.1, execution);
    }
}

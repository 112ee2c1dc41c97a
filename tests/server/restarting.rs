//! A server that ends in the middle, and the next one.

use serde_json::json;

use crate::gate::gated;
use crate::support::engine;
use crate::support::server::server;

#[tokio::test]
async fn what_runs_may_end_and_what_waits_runs_after_the_next_start() {
    let (mut server, gate) = gated(server().env("GANTRY_MAX_CONCURRENT", "1"));
    gate.register(&server, "waits").await;
    let first = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&first, "running").await;
    let second = server.submit(&json!({"script": "waits"})).await;
    let third = server.submit(&json!({"script": "waits"})).await;
    server.ask_to_stop();
    server.until("it stops", async || server.read_log().contains("stopping")).await;
    gate.open();
    server.exits();
    assert_eq!(engine::containers(server.home.installation()), [""; 0]);
    server.start();
    let (_, first) = server.get(&format!("/api/v1/executions/{first}")).await;
    assert_eq!(first["status"], "completed", "{first:#}");
    assert_eq!(first["stdout_log"], "began\nended\n");
    for id in [second, third] {
        let execution = server.ended(&id).await;
        assert_eq!(execution["status"], "completed", "{execution:#}");
        assert_eq!(execution["attempt"], 1);
    }
}

#[tokio::test]
async fn what_does_not_end_in_time_is_given_up_and_it_is_said_why() {
    let mut server = server().env("GANTRY_STOP_TIMEOUT", "1s").start();
    server.register("sleeps", "shell", "echo began; exec sleep 600", json!({})).await;
    let id = server.submit(&json!({"script": "sleeps"})).await;
    let mut events = crate::stream::follow(&server, &id, None).await;
    events.next_of("stdout").await;
    drop(events);
    server.stop();
    assert_eq!(engine::containers(server.home.installation()), [""; 0]);
    server.start();
    let (_, execution) = server.get(&format!("/api/v1/executions/{id}")).await;
    assert_eq!(execution["error_kind"], "lost", "{execution:#}");
    assert!(execution["error_message"].as_str().unwrap().contains("stopped"), "{execution:#}");
    assert_eq!(execution["stdout_log"], "began\n");
}

#[tokio::test]
async fn after_a_kill_what_ran_is_lost_and_what_waited_runs() {
    let (mut server, gate) = gated(server().env("GANTRY_MAX_CONCURRENT", "1"));
    gate.register(&server, "waits").await;
    let first = server.submit(&json!({"script": "waits"})).await;
    let mut events = crate::stream::follow(&server, &first, None).await;
    events.next_of("stdout").await;
    let second = server.submit(&json!({"script": "waits"})).await;
    drop(events);
    server.kill();
    server.start();
    let execution = server.ended(&first).await;
    assert_eq!(execution["status"], "failed", "{execution:#}");
    assert_eq!(execution["error_kind"], "lost", "{execution:#}");
    gate.open();
    let execution = server.ended(&second).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    let installation = server.home.installation();
    server.until("all are gone", async || engine::containers(installation).is_empty()).await;
}

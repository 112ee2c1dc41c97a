//! A real engine that is restarted, killed and wedged under a server: what runs, what
//! waits in the pool, and what comes meanwhile.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::stream::follow;
use crate::testkit::private_engine::{LiveRestore, PrivateEngine};
use crate::testkit::server::{Server, server};

fn on(engine: &PrivateEngine, pool_size: &str) -> Server {
    server().env("DOCKER_HOST", engine.host()).env("GANTRY_POOL_SIZE", pool_size).start()
}

async fn holds(server: &Server, count: u64) {
    server
        .until(&format!("{count} are held"), async || {
            server.get("/readyz").await.1["pool"]["unused"] == count
        })
        .await;
}

/// What the engine's check in `/readyz` says; nothing when it is well.
async fn engine_fault(server: &Server) -> Option<String> {
    let (status, ready) = server.get("/readyz").await;
    let checks = ready["checks"].as_array().unwrap();
    let engine = checks.iter().find(|check| check["name"] == "engine").unwrap();
    assert!(engine["is_ok"] == true || status == StatusCode::SERVICE_UNAVAILABLE);
    engine["detail"].as_str().map(str::to_owned)
}

async fn starts_sandboxes(server: &Server) -> bool {
    let metrics = server.request(Method::GET, "/metrics").send().await.unwrap();
    metrics.text().await.unwrap().contains("\ngantry_engine_is_well 1\n")
}

#[tokio::test]
async fn what_died_in_the_pool_with_its_engine_costs_no_execution_anything() {
    let Some(mut engine) = PrivateEngine::start_new(LiveRestore::Off) else { return };
    let server = on(&engine, "2");
    server.register("held", "shell", "cat", json!({"warm": 2})).await;
    let request = json!({"script": "held", "input": {"a": 1}});
    for _ in 0..2 {
        holds(&server, 2).await;
        let execution = server.run(&request).await;
        assert_eq!(execution["sandbox"]["warm"], true, "{execution:#}");
        holds(&server, 2).await;
        engine.kill();
        engine.start();
        // Those that wait have died with it, seen or not.
        let execution = server.run(&request).await;
        assert_eq!(execution["status"], "completed", "{execution:#}");
    }
    server.until("it is well", async || engine_fault(&server).await.is_none()).await;
}

#[tokio::test]
async fn while_an_engine_answers_and_starts_nothing_nothing_begins_and_then_all_of_it_does() {
    let Some(engine) = PrivateEngine::start_new(LiveRestore::Off) else { return };
    let server = on(&engine, "2");
    server.register("held", "shell", "cat", json!({"warm": 1})).await;
    let cold = json!({"limits": {"memory_bytes": 134_217_728}});
    server.register("cold", "shell", "cat", cold).await;
    holds(&server, 1).await;
    engine.pause_containerd();
    let request = json!({"script": "cold", "input": {"a": 1}});
    let mut waiting = vec![server.submit(&request).await];
    server.until("it is noticed", async || !starts_sandboxes(&server).await).await;
    assert!(engine_fault(&server).await.is_some());
    for _ in 0..8 {
        waiting.push(server.submit(&request).await);
    }
    let said = server.read_log().lines().count();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(server.read_log().lines().count() < said + 20, "nothing spins");
    for id in &waiting {
        let (_, execution) = server.get(&format!("/api/v1/executions/{id}")).await;
        assert_eq!(execution["status"], "pending", "{execution:#}");
    }
    engine.resume_containerd();
    let begun = Instant::now();
    for id in &waiting {
        let execution = server.ended(id).await;
        assert_eq!(execution["status"], "completed", "{execution:#}");
        assert_eq!(execution["attempt"], 1);
    }
    println!("all have ended {:?} after it was well again", begun.elapsed());
    server.until("it is well", async || engine_fault(&server).await.is_none()).await;
}

const PRINTS_ON: &str = "echo began; for i in 1 2 3 4 5 6; do sleep 1; echo $i; done";

#[tokio::test]
async fn a_script_that_outlives_its_engine_is_followed_to_its_end() {
    let Some(mut engine) = PrivateEngine::start_new(LiveRestore::On) else { return };
    let server = on(&engine, "0");
    server.register("prints", "shell", PRINTS_ON, json!({})).await;
    let id = server.submit(&json!({"script": "prints"})).await;
    let mut events = follow(&server, &id, None).await;
    events.next_of("stdout").await;
    engine.kill();
    engine.start();
    let text: String = events
        .rest()
        .await
        .iter()
        .filter(|event| event.name == "stdout")
        .map(|event| event.data["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(text, "1\n2\n3\n4\n5\n6\n");
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    assert_eq!(execution["stdout_log"], "began\n1\n2\n3\n4\n5\n6\n");
    assert_eq!(execution["stdout_truncated"], false);
}

#[tokio::test]
async fn a_script_that_dies_from_outside_is_lost_and_flagged_and_not_cancelled() {
    let Some(mut engine) = PrivateEngine::start_new(LiveRestore::Off) else { return };
    let server = on(&engine, "0");
    server.register("sleeps", "shell", "echo began; exec sleep 600", json!({})).await;
    for how in ["the engine stops", "somebody kills it", "its shim dies"] {
        let id = server.submit(&json!({"script": "sleeps"})).await;
        follow(&server, &id, None).await.next_of("stdout").await;
        let container = engine.container_of(&id).unwrap();
        match how {
            "the engine stops" => engine.restart(),
            "somebody kills it" => assert!(engine.kill_container(&container)),
            _ => assert!(engine.kill_shim(&container)),
        }
        let execution = server.ended(&id).await;
        assert_eq!(execution["status"], "failed", "{how}: {execution:#}");
        assert_eq!(execution["error_kind"], "lost", "{how}: {execution:#}");
        assert_eq!(execution["stdout_log"], "began\n", "{how}");
    }
    let installation = server.home.installation();
    server.until("none is left", async || engine.containers(installation).is_empty()).await;
}

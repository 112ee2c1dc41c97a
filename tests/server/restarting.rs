//! A server that ends in the middle, and the next one.

use serde_json::json;
use sqlx::{Connection, SqliteConnection};

use crate::gate::gated;
use crate::testkit::engine;
use crate::testkit::server::server;

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
async fn what_does_not_end_in_time_runs_on_and_the_next_start_goes_on_with_it() {
    let (mut server, gate) = gated(server().env("GANTRY_STOP_TIMEOUT", "1s"));
    gate.register(&server, "waits").await;
    let id = server.submit(&json!({"script": "waits"})).await;
    let mut events = crate::stream::follow(&server, &id, None).await;
    events.next_of("stdout").await;
    drop(events);
    server.stop();
    let container = only_container(&server);
    server.start();
    server.reaches(&id, "running").await;
    gate.open();
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    assert_eq!(execution["stdout_log"], "began\nended\n");
    assert_eq!(execution["sandbox"]["container_id"], container.trim_start_matches('/'));
    none_is_left(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_could_not_be_stored_before_the_stop_is_stored_by_the_next_start() {
    let (mut server, gate) = gated(server().env("GANTRY_STOP_TIMEOUT", "1s"));
    gate.register(&server, "waits").await;
    let id = server.submit(&json!({"script": "waits"})).await;
    server.reaches(&id, "running").await;
    let url = format!("sqlite://{}", server.home.data_dir().join("gantry.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    gate.open();
    server.until("it tries again", async || server.read_log().contains("end is stored")).await;
    server.stop();
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    server.start();
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    assert_eq!(execution["stdout_log"], "began\nended\n");
    assert_eq!(execution["attempt"], 1);
    none_is_left(&server).await;
}

#[tokio::test]
async fn after_a_kill_what_ran_goes_on_and_what_waited_runs() {
    let (mut server, gate) = gated(server().env("GANTRY_MAX_CONCURRENT", "1"));
    gate.register(&server, "waits").await;
    let first = server.submit(&json!({"script": "waits"})).await;
    let mut events = crate::stream::follow(&server, &first, None).await;
    let began = events.next_of("stdout").await;
    let second = server.submit(&json!({"script": "waits"})).await;
    drop(events);
    server.kill();
    server.start();
    // A follower goes on where it was.
    let behind = began.id.as_deref();
    let mut events = crate::stream::follow(&server, &first, behind).await;
    gate.open();
    assert_eq!(events.next_of("stdout").await.data["text"], "ended\n");
    events.next_of("end").await;
    for id in [first, second] {
        let execution = server.ended(&id).await;
        assert_eq!(execution["status"], "completed", "{execution:#}");
        assert_eq!(execution["stdout_log"], "began\nended\n");
        assert_eq!(execution["attempt"], 1);
    }
    none_is_left(&server).await;
}

/// Prints bytes that are no text, leaves artifacts, and an output file.
const LEAVES_ALL: &str = r#"
head -c 300000 /dev/zero | tr '\0' '\r'
printf 'a\n\n\377b'
echo warning >&2
head -c 200000 /dev/zero > out/zeros; echo text > out/text
echo '{"answer": 42}' > answer.json
until [ -e /gate/open ]; do sleep 0.02; done
printf last
"#;

#[tokio::test]
async fn what_ended_while_no_server_ran_has_left_everything() {
    let (mut server, gate) = gated(server());
    let others = json!({"mounts": gate.mounts(), "output_file": "answer.json"});
    server.register("leaves", "shell", LEAVES_ALL, others).await;
    let id = server.submit(&json!({"script": "leaves"})).await;
    let mut events = crate::stream::follow(&server, &id, None).await;
    events.next_of("stderr").await;
    drop(events);
    server.kill();
    gate.open();
    let container = only_container(&server);
    server.until("it has ended", async || engine::has_ended(&container)).await;
    server.start();
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "completed", "{}", execution["error_message"]);
    assert_eq!(execution["output_data"], json!({"answer": 42}));
    assert_eq!(execution["stderr_log"], "warning\n");
    let stdout = format!("{}a\n\n\u{fffd}blast", "\r".repeat(300_000));
    assert!(execution["stdout_log"] == stdout.as_str());
    assert_eq!(execution["stdout_bytes"], 300_009);
    assert_eq!(execution["stdout_truncated"], false);
    assert!(execution["duration_ms"].as_f64().unwrap() > 0.0);
    assert!(execution["usage"]["peak_memory_bytes"].as_u64().unwrap() > 0);
    let path = format!("/api/v1/executions/{id}/artifacts/zeros");
    let zeros = server.request(reqwest::Method::GET, &path).send().await.unwrap();
    assert!(zeros.bytes().await.unwrap() == vec![0; 200_000]);
    none_is_left(&server).await;
}

#[tokio::test]
async fn after_a_kill_a_script_has_the_time_that_it_had_left() {
    let mut server = server().start();
    let others = json!({"timeout_secs": 6});
    server.register("stays", "shell", "trap '' TERM\nwhile :; do sleep 1; done", others).await;
    let id = server.submit(&json!({"script": "stays"})).await;
    server.reaches(&id, "running").await;
    server.kill();
    server.start();
    let execution = server.ended(&id).await;
    assert_eq!(execution["status"], "timeout", "{execution:#}");
    let took = execution["duration_ms"].as_f64().unwrap();
    assert!((6_000.0..9_000.0).contains(&took), "{took}");
    none_is_left(&server).await;
}

#[tokio::test]
async fn what_was_to_be_cancelled_is_cancelled_after_a_kill_too() {
    let mut server = server().start();
    server.register("sleeps", "shell", "echo began; exec sleep 600", json!({})).await;
    let (asked, asked_later) = (
        server.submit(&json!({"script": "sleeps"})).await,
        server.submit(&json!({"script": "sleeps"})).await,
    );
    for id in [&asked, &asked_later] {
        crate::stream::follow(&server, id, None).await.next_of("stdout").await;
    }
    let path = format!("/api/v1/executions/{asked}/cancel");
    server.post(&path, &json!({})).await;
    server.kill();
    server.start();
    let path = format!("/api/v1/executions/{asked_later}/cancel");
    server.post(&path, &json!({})).await;
    for id in [asked, asked_later] {
        let execution = server.ended(&id).await;
        assert_eq!(execution["status"], "cancelled", "{execution:#}");
        assert_eq!(execution["stdout_log"], "began\n");
    }
    none_is_left(&server).await;
}

#[tokio::test]
async fn what_somebody_removed_while_no_server_ran_is_lost_and_flagged() {
    let mut server = server().start();
    server.register("sleeps", "shell", "echo began; exec sleep 600", json!({})).await;
    let id = server.submit(&json!({"script": "sleeps"})).await;
    crate::stream::follow(&server, &id, None).await.next_of("stdout").await;
    server.kill();
    engine::remove_containers(server.home.installation());
    server.start();
    let execution = server.ended(&id).await;
    assert_eq!(execution["error_kind"], "lost", "{execution:#}");
}

fn only_container(server: &crate::testkit::server::Server) -> String {
    let containers = engine::containers(server.home.installation());
    assert_eq!(containers.len(), 1, "{containers:?}");
    containers.into_iter().next().unwrap()
}

async fn none_is_left(server: &crate::testkit::server::Server) {
    let installation = server.home.installation();
    server.until("all are gone", async || engine::containers(installation).is_empty()).await;
}

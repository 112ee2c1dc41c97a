//! What the server's log says of one execution carries its id.

use serde_json::{Value, json};

use crate::testkit::server::server;

/// Whether a line, or something that it is part of, is about an execution.
fn is_about(line: &Value, id: &str) -> bool {
    let spans = line["spans"].as_array().into_iter().flatten();
    spans.chain([&line["fields"]]).any(|part| part["execution"] == id)
}

#[tokio::test]
async fn every_line_of_an_executions_life_carries_its_id() {
    let builder = server().env("GANTRY_LOG_FORMAT", "json").env("GANTRY_LOG", "gantry=trace");
    let server = builder.start();
    let source = "echo said; mkdir -p out; echo kept > out/file";
    let script = server.register("says", "shell", source, json!({})).await;
    let execution = server.run(&json!({"script": "says"})).await;
    let id = execution["id"].as_str().unwrap();
    let path = format!("/api/v1/executions/{id}");
    server.get(&path).await;
    let trial = format!("/api/v1/admin/scripts/{}/test", script["id"]);
    let (_, trial) = server.post(&trial, &json!({})).await;
    let log = server.read_log();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let message = |line: &Value| line["fields"]["message"].as_str().unwrap().to_owned();
    let first = lines.iter().position(|line| message(line) == "execution accepted").unwrap();
    // The end, the answer to who waited, and the answer to who asked.
    let answers: Vec<_> =
        (first..lines.len()).filter(|&at| message(&lines[at]) == "answered").collect();
    let life = &lines[first..=answers[1]];
    for wanted in ["execution accepted", "execution running", "execution ended", "answered"] {
        assert!(life.iter().any(|line| message(line) == wanted), "{wanted}\n{log}");
    }
    for line in life {
        assert!(is_about(line, id), "{line:#}\n{log}");
    }
    assert!(is_about(&lines[answers[2]], trial["execution_id"].as_str().unwrap()), "{log}");
}

#[tokio::test]
async fn every_line_of_a_build_carries_its_key_and_who_asked_first() {
    let builder = server().env("GANTRY_LOG_FORMAT", "json");
    let server = builder.start();
    let others = json!({"requirements": "gantry-tests-know-that-there-is-nothing-like-it"});
    let script = server.register("broken", "python", "print(1)", others).await;
    let key = script["environment"]["key"].as_str().unwrap();
    let path = format!("/api/v1/admin/environments/{key}");
    server.until("it has failed", async || server.get(&path).await.1["status"] == "failed").await;
    let log = server.read_log();
    let line = log.lines().find(|line| line.contains("could not be built")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let spans = line["spans"].as_array().unwrap();
    assert!(spans.iter().any(|span| span["environment"] == key), "{line:#}");
    assert!(spans.iter().any(|span| span["route"] == "/api/v1/admin/scripts"), "{line:#}");
}

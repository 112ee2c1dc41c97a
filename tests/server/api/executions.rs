use std::time::{Duration, Instant};

use futures::StreamExt;
use gantry::domain::token::Role::{Admin, Operator, Runner};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::server::{Server, problem};

const EXECUTIONS: &str = "/api/v1/executions";

/// Longer than any test takes that does not hang.
const GUARD: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_execution_is_accepted_and_found_again() {
    let server = Server::start().await;
    let id = server.script("a").await;
    let sent = "{\"script\": \"a\", \"job_id\": \"j/1\", \"input\": {\"n\": 1e400,  \"n\": 2.50}}";
    let request = server.request(Runner, Method::POST, EXECUTIONS);
    let request = request.header("content-type", "application/json").body(sent);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert!(!answer.headers().contains_key("retry-after"));
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let text = answer.text().await.unwrap();
    assert!(text.contains("\"input_data\":{\"n\": 1e400,  \"n\": 2.50}"), "{text}");
    let shown = server.get(&location).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("\"input_data\":{\"n\": 1e400,  \"n\": 2.50}"), "{shown}");
    for query in ["job_id=j%2F1", "script=a", &format!("script={id}"), "status=pending", "limit=1"]
    {
        let answer = server.get(&format!("{EXECUTIONS}?{query}")).send().await.unwrap();
        assert_eq!(answer.headers()["x-total-count"], "1", "{query}");
        let listed: Value = answer.json().await.unwrap();
        assert_eq!(listed[0]["triggered_by"], "runner", "{query}");
        assert!(listed[0].get("stdout_log").is_none(), "{query}");
    }
    let by_id = server.post(EXECUTIONS, &json!({"script": id})).send().await.unwrap();
    let by_id: Value = by_id.json().await.unwrap();
    assert_eq!((&by_id["script_name"], &by_id["input_data"]), (&json!("a"), &json!({})));
}

#[tokio::test]
async fn a_key_that_is_known_answers_with_the_first_execution() {
    let server = Server::start().await;
    server.script("a").await;
    let submit = |input: Value| {
        let body = json!({"script": "a", "input": input});
        server.post(EXECUTIONS, &body).header("idempotency-key", "k 1").send()
    };
    let (one, two) = tokio::join!(submit(json!(1)), submit(json!(1)));
    let one: Value = one.unwrap().json().await.unwrap();
    let two: Value = two.unwrap().json().await.unwrap();
    assert_eq!(one["id"], two["id"]);
    problem(422, submit(json!(2)).await.unwrap()).await;
    server.finish(one["id"].as_str().unwrap().parse().unwrap(), "done").await;
    let again = submit(json!(1)).await.unwrap();
    assert_eq!(again.status(), 200);
    let again: Value = again.json().await.unwrap();
    assert_eq!((&again["id"], &again["stdout_log"]), (&one["id"], &json!("done")));
}

#[tokio::test]
async fn who_prefers_to_wait_gets_the_end_or_what_there_is() {
    let server = Server::start().await;
    server.script("a").await;
    let waited = |seconds: &str| {
        let request = server.post(EXECUTIONS, &json!({"script": "a", "job_id": seconds}));
        request.header("prefer", format!("wait={seconds}")).send()
    };
    let answer = waited("0").await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["preference-applied"], "wait=0");
    let finish = async {
        loop {
            let listed = server.get(&format!("{EXECUTIONS}?job_id=100000")).send().await.unwrap();
            let listed: Value = listed.json().await.unwrap();
            if let Some(id) = listed[0]["id"].as_str() {
                return server.finish(id.parse().unwrap(), "done").await;
            }
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(waited("100000"), finish) };
    let (answer, ()) = tokio::time::timeout(GUARD, both).await.unwrap();
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["preference-applied"], "wait=600");
    let execution: Value = answer.json().await.unwrap();
    assert_eq!((&execution["status"], &execution["exit_code"]), (&json!("completed"), &json!(0)));
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_waits_changes_nothing() {
    let server = Server::start().await;
    server.script("a").await;
    let request = server.post(EXECUTIONS, &json!({"script": "a", "job_id": "gone"}));
    let request = request.header("prefer", "wait=60").timeout(Duration::from_millis(500));
    assert!(request.send().await.unwrap_err().is_timeout());
    let listed = server.get(&format!("{EXECUTIONS}?job_id=gone")).send().await.unwrap();
    let listed: Value = listed.json().await.unwrap();
    assert_eq!(listed[0]["status"], "pending");
}

#[tokio::test]
async fn a_server_that_stops_lets_nobody_wait() {
    let server = Server::start().await;
    server.script("a").await;
    server.stopping.cancel();
    let begun = Instant::now();
    let request = server.post(EXECUTIONS, &json!({"script": "a"})).header("prefer", "wait=60");
    let status = request.send().await.unwrap().status().as_u16();
    assert!(matches!(status, 202 | 503), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn cancelling_is_the_same_however_often() {
    let server = Server::start().await;
    server.script("a").await;
    let id = server.pending("a").await;
    for _ in 0..2 {
        let path = format!("{EXECUTIONS}/{id}/cancel");
        let answer = server.request(Operator, Method::POST, &path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json::<Value>().await.unwrap()["status"], "cancelled");
    }
    let done = server.pending("a").await;
    server.finish(done, "done").await;
    let path = format!("{EXECUTIONS}/{done}/cancel");
    problem(409, server.request(Admin, Method::POST, &path).send().await.unwrap()).await;
    let path = format!("{EXECUTIONS}/{}/cancel", Uuid::now_v7());
    problem(404, server.request(Admin, Method::POST, &path).send().await.unwrap()).await;
}

#[tokio::test]
async fn a_disabled_script_is_a_conflict() {
    let server = Server::start().await;
    let id = server.script("a").await;
    let path = format!("/api/v1/admin/scripts/{id}");
    let answer = server.request(Admin, Method::DELETE, &path).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["is_enabled"], false);
    let answer = server.post(EXECUTIONS, &json!({"script": "a"})).send().await.unwrap();
    assert_eq!(problem(409, answer).await["type"], "urn:gantry:problem:disabled");
}

/// Event, id and content of each message.
async fn events(server: &Server, path: &str, last: Option<&str>) -> Vec<(String, String, Value)> {
    let mut request = server.get(path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let text = answer.text().await.unwrap();
    let message = |message: &str| {
        let field = |name: &str| {
            let line = message.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap_or_default().to_owned()
        };
        (field("event"), field("id"), serde_json::from_str(&field("data")).unwrap())
    };
    text.split("\n\n").filter(|it| it.contains("data:")).map(message).collect()
}

fn printed(events: &[(String, String, Value)]) -> String {
    let texts = events.iter().filter(|(name, ..)| name == "stdout");
    texts.map(|(_, _, data)| data["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_follower_sees_everything_and_can_come_back() {
    let server = Server::start().await;
    server.script("a").await;
    let id = server.pending("a").await;
    let path = format!("{EXECUTIONS}/{id}/events");
    let output = "one\r\ntwo: \"x\"\n\nthree\n".repeat(3);
    let (all, ()) = tokio::join!(events(&server, &path, None), server.finish(id, &output));
    assert_eq!(printed(&all), output);
    assert_eq!(all.first().unwrap().0, "status");
    let (name, _, end) = all.last().unwrap();
    assert_eq!((name.as_str(), &end["status"]), ("end", &json!("completed")));
    let (_, middle, _) = all.iter().find(|(name, ..)| name == "stdout").unwrap();
    let seen: usize = middle.split_once('-').unwrap().0.parse().unwrap();
    let rest = events(&server, &path, Some(middle)).await;
    assert_eq!(printed(&rest), output[seen..]);
    let rest = events(&server, &format!("{path}?last_event_id={middle}"), None).await;
    assert_eq!(printed(&rest), output[seen..]);
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let server = Server::start().await;
    server.script("a").await;
    let id = server.pending("a").await;
    let answer = server.get(&format!("{EXECUTIONS}/{id}/events")).send().await.unwrap();
    let mut stream = answer.bytes_stream();
    assert!(stream.next().await.unwrap().is_ok());
    server.stopping.cancel();
    let rest = tokio::time::timeout(Duration::from_secs(30), stream.count()).await;
    assert!(rest.is_ok());
}

#[tokio::test]
async fn a_trial_waits_for_its_end() {
    let server = Server::start().await;
    let id = server.script("a").await;
    let path = format!("/api/v1/admin/scripts/{id}/test");
    let trial = server.post(&path, &json!({"test_data": {"x": 1}})).send();
    let finish = async {
        loop {
            let path = format!("/api/v1/admin/scripts/{id}/executions");
            let listed: Value = server.get(&path).send().await.unwrap().json().await.unwrap();
            if let Some(id) = listed[0]["id"].as_str() {
                assert_eq!(listed[0]["priority"], 10);
                return server.finish(id.parse().unwrap(), "{\"y\": 2}").await;
            }
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(trial, finish) };
    let (answer, ()) = tokio::time::timeout(GUARD, both).await.unwrap();
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    let result: Value = answer.json().await.unwrap();
    assert_eq!(result["stdout"], "{\"y\": 2}");
    let mut names: Vec<_> = result.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "duration_ms",
            "error_message",
            "execution_id",
            "exit_code",
            "parsed_output",
            "status",
            "stderr",
            "stdout"
        ]
    );
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let server = Server::start_with_queue(0).await;
    server.script("a").await;
    let answer = server.post(EXECUTIONS, &json!({"script": "a"})).send().await.unwrap();
    assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(problem(429, answer).await["type"], "urn:gantry:problem:queue-full");
}

#[tokio::test]
async fn inputs_are_held_to_their_schema() {
    let server = Server::start().await;
    let body = json!({"name": "strict", "script_type": "shell", "source": "cat\n",
        "argument_schema": {"type": "object", "required": ["city"],
            "properties": {"days": {"type": "integer"}}}});
    server.post("/api/v1/admin/scripts", &body).send().await.unwrap();
    let submit =
        |input: Value| server.post(EXECUTIONS, &json!({"script": "strict", "input": input})).send();
    let refused = problem(422, submit(json!({"city": "Turin", "days": "3"})).await.unwrap()).await;
    assert_eq!(refused["errors"][0]["pointer"], "/input/days");
    problem(422, submit(json!({})).await.unwrap()).await;
    assert_eq!(submit(json!({"city": "Turin"})).await.unwrap().status(), 202);
}

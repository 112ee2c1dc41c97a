//! Following executions: live, afterwards, and from any place on.

use serde_json::json;

use crate::gate::gated;
use crate::stream::{follow, text_of};
use crate::testkit::server::server;

#[tokio::test]
async fn what_is_printed_is_told_while_the_script_runs() {
    let (server, gate) = gated(server());
    gate.register(&server, "waits").await;
    let id = server.submit(&json!({"script": "waits"})).await;
    let mut events = follow(&server, &id, None).await;
    assert_eq!(events.next_of("stdout").await.data["text"], "began\n");
    assert_eq!(server.get(&format!("/api/v1/executions/{id}")).await.1["status"], "running");
    gate.open();
    let rest = events.rest().await;
    assert_eq!(text_of(&rest, "stdout"), "ended\n");
    let last = rest.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["status"]), ("end", &json!("completed")));
}

#[tokio::test]
async fn from_any_place_on_exactly_the_rest_is_told() {
    let server = server().start();
    let source = "import sys\nfor n in range(3):\n  print(n, 'aä€𝄞', flush=True)\n  \
         print(n, 'err', file=sys.stderr, flush=True)";
    server.register("talks", "python", source, json!({})).await;
    let execution = server.run(&json!({"script": "talks"})).await;
    let id = execution["id"].as_str().unwrap();
    let log = |name: &str| execution[name].as_str().unwrap().to_owned();
    let (stdout, stderr) = (log("stdout_log"), log("stderr_log"));
    let all = follow(&server, id, None).await.rest().await;
    assert_eq!(
        (text_of(&all, "stdout"), text_of(&all, "stderr")),
        (stdout.clone(), stderr.clone())
    );
    assert_eq!(all.last().unwrap().name, "end");
    let places = |text: &str| text.char_indices().map(|it| it.0).chain([text.len()]).collect();
    let (out, err): (Vec<_>, Vec<_>) = (places(&stdout), places(&stderr));
    for (number, out) in out.iter().enumerate() {
        let err = err[number * 7 % err.len()];
        let rest = follow(&server, id, Some(&format!("{out}-{err}"))).await.rest().await;
        assert_eq!(text_of(&rest, "stdout"), stdout[*out..], "{out}-{err}");
        assert_eq!(text_of(&rest, "stderr"), stderr[err..], "{out}-{err}");
        assert_eq!(rest.last().unwrap().name, "end");
    }
}

#[tokio::test]
async fn behind_any_event_exactly_the_other_events_follow() {
    let server = server().start();
    let source = "for i in {1..5}; do echo out $i; echo err $i >&2; done";
    server.register("talks", "shell", source, json!({})).await;
    let id = server.submit(&json!({"script": "talks"})).await;
    let live = follow(&server, &id, None).await.rest().await;
    let told = |name: &str| text_of(&live, name);
    let (stdout, stderr) = (told("stdout"), told("stderr"));
    for (at, event) in live.iter().enumerate() {
        let Some(behind) = &event.id else { continue };
        let rest = follow(&server, &id, Some(behind)).await.rest().await;
        let before = &live[..=at];
        assert_eq!(text_of(before, "stdout") + &text_of(&rest, "stdout"), stdout, "{behind}");
        assert_eq!(text_of(before, "stderr") + &text_of(&rest, "stderr"), stderr, "{behind}");
    }
}

#[tokio::test]
async fn a_character_that_comes_in_parts_is_told_whole() {
    let (server, gate) = gated(server());
    let source = "
import os, time
os.write(1, b'a\\xe2\\x82')
os.write(2, b'began')
while not os.path.exists('/gate/open'): time.sleep(0.02)
os.write(1, b'\\xac\\n')";
    server.register("parts", "python", source, json!({"mounts": gate.mounts()})).await;
    let id = server.submit(&json!({"script": "parts"})).await;
    let mut events = follow(&server, &id, None).await;
    let mut told = vec![events.next_of("stderr").await];
    assert_eq!(told[0].data["text"], "began");
    gate.open();
    told.extend(events.rest().await);
    let told = text_of(&told, "stdout");
    assert!("a€\n".ends_with(&told) && told.ends_with("€\n"), "{told:?}");
}

#[tokio::test]
async fn slow_and_fast_followers_get_everything() {
    let server = server().start();
    let source = "seq -f '%015.0f' 1 600000";
    server.register("floods", "shell", source, json!({})).await;
    let id = server.submit(&json!({"script": "floods"})).await;
    let slow = follow(&server, &id, None).await;
    let fast = follow(&server, &id, None).await.rest().await;
    let execution = server.ended(&id).await;
    let log = execution["stdout_log"].as_str().unwrap();
    assert_eq!(log.len(), 9_600_000);
    assert!(text_of(&fast, "stdout") == log, "the fast one has missed something");
    let slow = slow.rest().await;
    assert!(text_of(&slow, "stdout") == log, "the slow one has missed something");
    assert_eq!(slow.last().unwrap().name, "end");
}

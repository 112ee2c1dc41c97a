//! A script that was read is sent back as it is, and a version waits for its environment.

use gantry::clock;
use gantry::domain::registry::EnvironmentStatus;
use gantry::domain::token::Role::{self, Admin, Operator};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::server::{Server, problem};

const SCRIPTS: &str = "/api/v1/admin/scripts";
const SCRIPT: &str = "/api/v1/admin/scripts/a";

async fn shown(server: &Server, role: Role) -> Value {
    let answer = server.request(role, Method::GET, SCRIPT).send().await.unwrap();
    answer.json().await.unwrap()
}

async fn put(server: &Server, role: Role, body: &Value) -> Response {
    server.request(role, Method::PUT, SCRIPT).json(body).send().await.unwrap()
}

async fn changed(server: &Server, role: Role, body: &Value) -> Value {
    let answer = put(server, role, body).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_script_that_was_read_can_be_sent_back() {
    let server = Server::start().await;
    server.script("a").await;
    for role in [Admin, Operator] {
        let before = shown(&server, role).await;
        let after = changed(&server, role, &before).await;
        assert_eq!(after["version"], 1, "{after:#}");
        let mut edited = after;
        edited["timeout_secs"] = json!(7);
        edited["limits"]["pids"] = json!(99);
        let after = changed(&server, role, &edited).await;
        assert_eq!((&after["timeout_secs"], &after["limits"]["pids"]), (&json!(7), &json!(99)));
    }
    let mut edited = shown(&server, Admin).await;
    edited["source"] = json!("echo new\n");
    let after = changed(&server, Admin, &edited).await;
    assert_eq!((&after["version"], &after["env"]["SECRET"]), (&json!(2), &json!("s3cr3t")));
    let mut copy = shown(&server, Admin).await;
    copy["name"] = json!("b");
    let registered = server.post(SCRIPTS, &copy).send().await.unwrap();
    assert_eq!(registered.status(), 201, "{}", registered.text().await.unwrap());
}

#[tokio::test]
async fn what_the_server_sets_is_not_set_by_others() {
    let server = Server::start().await;
    server.script("a").await;
    for (field, value) in [
        ("id", json!(7)),
        ("version", json!(2)),
        ("digest", json!("0")),
        ("requirements_hash", json!("0")),
        ("created_by", json!("mallory")),
        ("created_at", json!("2020-01-01T00:00:00Z")),
    ] {
        let refused = problem(422, put(&server, Admin, &json!({ field: value })).await).await;
        assert_eq!(refused["errors"][0]["pointer"], format!("/{field}"), "{refused:#}");
    }
    let unknown = put(&server, Admin, &json!({"no_such_field": 1})).await;
    problem(422, unknown).await;
    let read = shown(&server, Admin).await;
    changed(&server, Admin, &json!({"description": "by somebody else"})).await;
    problem(409, put(&server, Admin, &read).await).await;
    assert_eq!(shown(&server, Admin).await["description"], "by somebody else");
    let mut refused = shown(&server, Operator).await;
    refused["args"] = json!(["-x"]);
    problem(403, put(&server, Operator, &refused).await).await;
}

/// A python script whose second version waits for its environment, with that key.
async fn waiting(server: &Server) -> String {
    let body = json!({"name": "a", "script_type": "python", "source": "print(1)"});
    let registered = server.post(SCRIPTS, &body).send().await.unwrap();
    assert_eq!(registered.status(), 201);
    let after = changed(server, Admin, &json!({"requirements": "six==1.16.0"})).await;
    assert_eq!((&after["version"], &after["pending"]["version"]), (&json!(1), &json!(2)));
    assert_eq!(after["requirements"], Value::Null, "{after:#}");
    let key = after["pending"]["environment"]["key"].as_str().unwrap().to_owned();
    // There is no engine: the build is put off, and nothing of it comes afterwards.
    loop {
        let known = server.store.environment(&key).await.unwrap().unwrap();
        let is_put_off = known.status == EnvironmentStatus::Queued;
        if is_put_off && known.updated_at != known.created_at {
            return key;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_version_becomes_current_when_its_environment_is_ready() {
    let server = Server::start().await;
    let key = waiting(&server).await;
    server.store.set_environment_ready(&key, "sha256:1", None, clock::now()).await.unwrap();
    let after = shown(&server, Admin).await;
    assert_eq!((&after["version"], &after["pending"]), (&json!(2), &Value::Null), "{after:#}");
    let audit = server.get("/api/v1/admin/audit").send().await.unwrap();
    let audit: Value = audit.json().await.unwrap();
    let activated = audit.as_array().unwrap().iter().any(|it| it["action"] == "script.activate");
    assert!(activated, "{audit:#}");
}

#[tokio::test]
async fn a_version_that_can_not_be_built_says_so_and_the_one_before_runs() {
    let server = Server::start().await;
    let key = waiting(&server).await;
    server.store.set_environment_failed(&key, "no such package", clock::now()).await.unwrap();
    let after = shown(&server, Admin).await;
    assert_eq!(after["version"], 1);
    let environment = &after["pending"]["environment"];
    assert_eq!(
        (&environment["status"], &environment["error"]),
        (&json!("failed"), &json!("no such package"))
    );
    let accepted = server.post("/api/v1/executions", &json!({"script": "a"})).send().await.unwrap();
    assert_eq!(accepted.json::<Value>().await.unwrap()["version"], 1);
    // A change of something else is made to what was asked for last, and sending back what
    // was read changes nothing.
    let read = shown(&server, Admin).await;
    let after = changed(&server, Admin, &read).await;
    assert_eq!(after["pending"]["version"], 2, "{after:#}");
    let after = changed(&server, Admin, &json!({"args": ["-v"]})).await;
    assert_eq!((&after["version"], &after["pending"]["version"]), (&json!(1), &json!(3)));
    // Taking the requirements back is a version that needs no environment.
    let after = changed(&server, Admin, &json!({"requirements": null})).await;
    assert_eq!((&after["version"], &after["pending"]), (&json!(4), &Value::Null), "{after:#}");
    assert_eq!(after["args"], json!(["-v"]));
}

#[tokio::test]
async fn going_back_gives_up_what_waits() {
    let server = Server::start().await;
    let key = waiting(&server).await;
    let back = server.post(&format!("{SCRIPT}/versions/1/activate"), &json!({}));
    let back: Value = back.send().await.unwrap().json().await.unwrap();
    assert_eq!((&back["version"], &back["pending"]), (&json!(1), &Value::Null), "{back:#}");
    let forth = server.post(&format!("{SCRIPT}/versions/2/activate"), &json!({}));
    let forth: Value = forth.send().await.unwrap().json().await.unwrap();
    assert_eq!((&forth["version"], &forth["pending"]["version"]), (&json!(1), &json!(2)));
    server.store.set_environment_ready(&key, "sha256:1", None, clock::now()).await.unwrap();
    assert_eq!(shown(&server, Admin).await["version"], 2);
}

#[tokio::test]
async fn nothing_waits_beside_a_version_that_can_not_run_either() {
    let server = Server::start().await;
    let body = json!({"name": "a", "script_type": "python", "source": "print(1)",
        "requirements": "six==1.0"});
    assert_eq!(server.post(SCRIPTS, &body).send().await.unwrap().status(), 201);
    let after = changed(&server, Admin, &json!({"requirements": "six==1.16.0"})).await;
    assert_eq!((&after["version"], &after["pending"]), (&json!(2), &Value::Null), "{after:#}");
}

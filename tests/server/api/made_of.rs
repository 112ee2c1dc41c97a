//! The fields of a script that say what its environment is made of.

use gantry::domain::token::Role::{self, Admin, Operator, Viewer};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::server::{Server, problem};

const SCRIPTS: &str = "/api/v1/admin/scripts";
const SCRIPT: &str = "/api/v1/admin/scripts/a";

fn python() -> Value {
    json!({
        "name": "a", "script_type": "python", "source": "print(1)", "requirements": "six",
        "python": "3.11", "sources": true, "warm_up": ["python3", "script.py", "--fill", ""]
    })
}

async fn registered(server: &Server, body: &Value) -> Value {
    let answer = server.post(SCRIPTS, body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

async fn put(server: &Server, role: Role, body: &Value) -> Response {
    server.request(role, Method::PUT, SCRIPT).json(body).send().await.unwrap()
}

async fn get(server: &Server, role: Role, path: &str) -> Value {
    server.request(role, Method::GET, path).send().await.unwrap().json().await.unwrap()
}

fn made_of(shown: &Value) -> [&Value; 3] {
    ["python", "sources", "warm_up"].map(|name| &shown[name])
}

#[tokio::test]
async fn they_are_shown_and_can_be_sent_back() {
    let server = Server::start().await;
    let sent = python();
    let script = registered(&server, &sent).await;
    assert_eq!(made_of(&script), made_of(&sent), "{script:#}");
    assert_eq!(script["environment"]["python"], "3.11", "{script:#}");
    for role in [Admin, Operator, Viewer] {
        assert_eq!(made_of(&get(&server, role, SCRIPT).await), made_of(&sent));
    }
    let version = get(&server, Admin, &format!("{SCRIPT}/versions/1")).await;
    assert_eq!(made_of(&version), made_of(&sent));
    let key = script["environment"]["key"].as_str().unwrap();
    let environment = get(&server, Admin, &format!("/api/v1/admin/environments/{key}")).await;
    assert_eq!(made_of(&environment), made_of(&sent), "{environment:#}");
    for role in [Admin, Operator] {
        let read = get(&server, role, SCRIPT).await;
        let back: Value = put(&server, role, &read).await.json().await.unwrap();
        assert_eq!((&back["version"], &back["pending"]), (&json!(1), &Value::Null), "{back:#}");
    }
    let mut copy = get(&server, Admin, SCRIPT).await;
    copy["name"] = json!("b");
    let copy = registered(&server, &copy).await;
    assert_eq!(made_of(&copy), made_of(&sent), "{copy:#}");
    assert_eq!(copy["environment"]["key"], key);
}

#[tokio::test]
async fn they_are_for_admins_to_say() {
    let server = Server::start().await;
    registered(&server, &python()).await;
    for body in [json!({"python": "3.12"}), json!({"sources": false}), json!({"warm_up": []})] {
        let refused = problem(403, put(&server, Operator, &body).await).await;
        assert!(refused["detail"].as_str().unwrap().contains("may not change"), "{refused:#}");
    }
    let kept = get(&server, Admin, SCRIPT).await;
    assert_eq!(made_of(&kept), made_of(&python()), "{kept:#}");
}

#[tokio::test]
async fn faults_name_their_field() {
    let server = Server::start().await;
    registered(&server, &python()).await;
    for (body, pointer) in [
        (json!({"python": "3.9"}), "/python"),
        (json!({"python": 3.11}), "/python"),
        (json!({"sources": "yes"}), "/sources"),
        (json!({"sources": true, "requirements": null}), "/sources"),
        (json!({"warm_up": "python3 script.py"}), "/warm_up"),
        (json!({"warm_up": [""]}), "/warm_up"),
        (json!({"source": "#!/usr/bin/python3.9\n", "python": null}), "/source"),
    ] {
        let refused = problem(422, put(&server, Admin, &body).await).await;
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused:#}");
    }
}

#[tokio::test]
async fn another_python_or_warm_up_waits_until_its_environment_is_ready() {
    let server = Server::start().await;
    let plain = json!({"name": "a", "script_type": "python", "source": "print(1)"});
    registered(&server, &plain).await;
    let by_shebang = json!({"source": "#!/usr/bin/env python3.11\nprint(1)"});
    for (fields, version, python) in [
        (json!({"python": "3.11"}), 2, json!("3.11")),
        (json!({"python": null, "warm_up": ["python3", "script.py"]}), 3, Value::Null),
        (
            json!({"python": null, "warm_up": null, "source": by_shebang["source"]}),
            4,
            json!("3.11"),
        ),
    ] {
        let after: Value = put(&server, Admin, &fields).await.json().await.unwrap();
        let pending = &after["pending"];
        assert_eq!((&after["version"], &pending["version"]), (&json!(1), &json!(version)));
        assert_eq!(pending["environment"]["python"], python, "{after:#}");
    }
    let accepted = server.post("/api/v1/executions", &json!({"script": "a"})).send().await.unwrap();
    assert_eq!(accepted.json::<Value>().await.unwrap()["version"], 1);
}

//! What goes in and what comes out is what the schemas say.

use reqwest::StatusCode;
use serde_json::json;

use crate::testkit::server::{answer, server};

#[tokio::test]
async fn an_input_against_its_schema_is_refused_and_nothing_is_stored() {
    let server = server().start();
    let schema = json!({
        "type": "object", "required": ["city"],
        "properties": {"days": {"type": "integer", "minimum": 1}, "city": {"type": "string"}},
    });
    server.register("strict", "shell", "cat", json!({"argument_schema": schema})).await;
    let request = json!({"script": "strict", "input": {"days": 0, "city": 7}});
    let (status, problem) = server.post("/api/v1/executions", &request).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    let errors = problem["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors.iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    assert!(pointers.contains(&"/input/days") && pointers.contains(&"/input/city"), "{problem:#}");
    assert_eq!(server.count("/api/v1/executions").await, 0);
    let execution = server.run(&json!({"script": "strict", "input": {"city": "Turin"}})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
}

#[tokio::test]
async fn an_output_against_its_schema_fails_and_keeps_its_log() {
    let server = server().start();
    let others = json!({"output_schema": {"type": "object", "required": ["x"]}});
    server.register("promises", "shell", "cat; echo said >&2", others).await;
    for input in [json!({"y": 1}), json!([])] {
        let execution = server.run(&json!({"script": "promises", "input": input})).await;
        assert_eq!(execution["status"], "failed", "{execution:#}");
        assert_eq!(execution["error_kind"], "invalid_output", "{execution:#}");
        assert_eq!(execution["stdout_log"], input.to_string());
        assert_eq!(execution["stderr_log"], "said\n");
        assert_eq!(execution["exit_code"], 0);
    }
    let execution = server.run(&json!({"script": "promises", "input": {"x": 1}})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
}

#[tokio::test]
async fn output_that_was_meant_as_json_fails_and_says_where_it_is_none() {
    let server = server().start();
    for (name, source, words) in [
        (
            "nan",
            "printf '{\"loss\":\\n NaN}\\n'; echo said >&2",
            "NaN, for which JSON has no number",
        ),
        (
            "long",
            "printf '[1, '; head -c 2000 /dev/zero | tr '\\0' 7; echo ]; echo said >&2",
            "a number of more than 1000 characters at line 1, column 5",
        ),
    ] {
        server.register(name, "shell", source, json!({})).await;
        let execution = server.run(&json!({"script": name})).await;
        assert_eq!(execution["status"], "failed", "{execution:#}");
        assert_eq!(execution["error_kind"], "invalid_output", "{execution:#}");
        let message = execution["error_message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
        assert_eq!(execution["exit_code"], 0);
        assert_eq!(execution["output_data"], json!(null));
        assert_eq!(execution["stderr_log"], "said\n");
        assert!(execution["stdout_log"].as_str().unwrap().len() > 10);
    }
    server.register("talks", "shell", "echo NaN of 7", json!({})).await;
    let execution = server.run(&json!({"script": "talks"})).await;
    assert_eq!(execution["status"], "completed", "{execution:#}");
    let others = json!({"output_schema": {"type": "object"}});
    server.register("promises-json", "shell", "echo '{1}'", others).await;
    let execution = server.run(&json!({"script": "promises-json"})).await;
    let message = execution["error_message"].as_str().unwrap();
    assert!(message.contains("not one JSON document: key must be a string at line 1, column 2"));
}

#[tokio::test]
async fn a_number_that_is_too_long_is_refused_with_its_place() {
    let server = server().start();
    server.register("reads", "shell", "cat", json!({})).await;
    let body = format!("{{\"script\": \"reads\", \"input\": [\n{}]}}", "7".repeat(1_001));
    let request = server.request(reqwest::Method::POST, "/api/v1/executions");
    let request = request.header("content-type", "application/json").body(body);
    let (status, problem) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem:#}");
    assert_eq!(problem["errors"][0]["pointer"], "/input");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("a number of more than 1000 characters at line 2, column 1"));
}

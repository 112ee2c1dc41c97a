//! What goes in and what comes out is what the schemas say.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::server::server;

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

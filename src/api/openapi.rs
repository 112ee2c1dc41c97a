//! The OpenAPI document: generated from the routes, and completed with the parts common to all
//! operations. It describes no single route here.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Paths};
use utoipa::openapi::security::SecurityRequirement;

use crate::domain::registry::ScriptSettings;
use crate::domain::token::Role;
use crate::http::problem::{MEDIA_TYPE, ProblemBody};

/// Name of the only security scheme.
const SCHEME: &str = "bearer";

/// Methods of operations.
pub(super) const METHODS: [&str; 7] = ["get", "post", "put", "delete", "patch", "head", "options"];

/// Examples of schemas, by name.
const EXAMPLES: &str = include_str!("examples.json");

#[derive(OpenApi)]
#[openapi(components(schemas(ProblemBody<'static>)))]
struct Shared;

/// Adds the allowed roles to the descriptions of operations.
pub(super) fn note_roles(paths: &mut Paths, allowed: &[Role]) {
    let names: Vec<_> = allowed.iter().map(|role| role.name()).collect();
    for item in paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.delete,
            &mut item.patch,
            &mut item.head,
            &mut item.options,
        ];
        for operation in operations.into_iter().flatten() {
            note(operation, &names);
        }
    }
}

fn note(operation: &mut Operation, roles: &[&str]) {
    operation.security = Some(vec![SecurityRequirement::new(SCHEME, roles.iter().copied())]);
    let description = operation.description.take().unwrap_or_default();
    let description = format!("{description}\n\nRoles: {}.", roles.join(", "));
    operation.description = Some(description.trim().to_owned());
}

/// Completes the document.
pub(super) fn finished(mut document: utoipa::openapi::OpenApi) -> Value {
    document.merge(Shared::openapi());
    // Serialising strings and numbers can't fail.
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    let examples = examples();
    document["openapi"] = json!("3.1.0");
    document["info"] = info();
    document["tags"] = tags();
    document["components"]["securitySchemes"] = json!({
        SCHEME: {"type": "http", "scheme": "bearer", "description":
            "A token from `POST /api/v1/admin/tokens` or `gantry token create`. Its role decides \
             what it may do; each operation lists the roles that may use it."}
    });
    let paths = document["paths"].as_object_mut().map(std::mem::take).unwrap_or_default();
    let paths = paths.into_iter().map(|(path, mut item)| {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                complete(&path, operation, &examples);
            }
        }
        // The router's syntax for a part that may have slashes.
        (path.replace("{*", "{"), item)
    });
    document["paths"] = Value::Object(paths.collect());
    document
}

/// Examples of answers. The settings of a script that its example leaves out have their defaults.
fn examples() -> Value {
    let mut examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let settings = serde_json::to_value(ScriptSettings::default());
    let script = examples.get_mut("Script").and_then(Value::as_object_mut);
    if let (Ok(Value::Object(settings)), Some(script)) = (settings, script) {
        for (name, value) in settings {
            script.entry(name).or_insert(value);
        }
    }
    examples
}

fn info() -> Value {
    json!({
        "title": "Gantry",
        "version": env!("CARGO_PKG_VERSION"),
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        "description":
            "Runs every script in its own fresh, hardened container. Scripts are registered once \
             and invoked with JSON in and JSON out.\n\n\
             Every route but `/healthz` and `/readyz` needs a token. Errors are \
             `application/problem+json` (RFC 9457); `request_id`, also sent as `X-Request-Id`, \
             finds the request in the server's log. Lists take `limit` and `offset` and return \
             the total number of entries in `X-Total-Count`. Times are RFC 3339 in UTC."
    })
}

fn tags() -> Value {
    json!([
        {"name": "executions", "description": "Submit, follow and cancel executions."},
        {"name": "artifacts", "description": "Files that executions leave."},
        {"name": "files", "description": "Send, fetch and keep files, by their content."},
        {"name": "scripts", "description": "Register and change scripts."},
        {"name": "environments", "description": "Images that scripts run in."},
        {"name": "tokens", "description": "API tokens and their roles."},
        {"name": "audit", "description": "The log of changes."},
        {"name": "operation", "description": "Health, metrics, and this document."},
    ])
}

/// Adds the parts common to every operation.
fn complete(path: &str, operation: &mut Map<String, Value>, examples: &Value) {
    if let Some(id) = operation.get_mut("operationId") {
        *id = json!(camel_case(id.as_str().unwrap_or_default()));
    }
    let is_open = !operation.contains_key("security");
    let mut expected = Vec::new();
    if !is_open {
        expected.extend([
            ("401", "The token is missing or not valid"),
            ("403", "The token's role may not do this"),
            (
                "429",
                "Too many requests of this token are in progress, or too many tokens that are \
                 not valid came from this address",
            ),
            ("500", "The server failed; its log has details under the request's id"),
            ("503", "A dependency of the server is unavailable, or the server is stopping"),
        ]);
    }
    if path.contains('{') {
        expected.push(("404", "Not found, or hidden from this token"));
    }
    if is_of_bytes(operation) {
        expected.extend([
            ("400", "The request is not well-formed"),
            ("408", "Next to nothing of the body came"),
            ("413", "The body is too large"),
            ("415", "The body is compressed, or of another type"),
            ("422", "The request is not valid, or the content has another digest than was said"),
        ]);
    } else if operation.contains_key("requestBody") {
        expected.extend([
            ("400", "The body is not JSON, or the request is not well-formed"),
            ("404", "Not found, or hidden from this token"),
            ("408", "The body came too slowly"),
            ("413", "The body is too large"),
            ("415", "The body is not of type application/json"),
            ("422", "The request is not valid; `errors` lists what is wrong, and where"),
        ]);
    } else if !is_open && (path.contains('{') || operation.contains_key("parameters")) {
        expected.extend([
            ("400", "The request is not well-formed"),
            ("422", "A parameter is not valid; `errors` lists which"),
        ]);
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(responses) = responses.as_object_mut() else { return };
    for (status, description) in expected {
        responses.entry(status).or_insert_with(|| json!({"description": description}));
    }
    for (status, response) in responses.iter_mut() {
        complete_response(status, response, examples);
    }
    responses.sort_keys();
}

/// True if the body is a file, whose schema is completed here.
fn is_of_bytes(operation: &mut Map<String, Value>) -> bool {
    let content = operation.get_mut("requestBody").and_then(|it| it.get_mut("content"));
    let content = content.and_then(Value::as_object_mut).into_iter().flatten();
    let bytes = content.filter(|(media_type, _)| media_type.ends_with("octet-stream"));
    let bytes =
        bytes.map(|(_, body)| body["schema"] = json!({"type": "string", "format": "binary"}));
    bytes.count() > 0
}

/// Operation id from a handler's name, which is unique in the API.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |id, word| {
        let mut letters = word.chars();
        id.chars().chain(letters.next().map(|it| it.to_ascii_uppercase())).chain(letters).collect()
    })
}

fn complete_response(status: &str, response: &mut Value, examples: &Value) {
    let is_problem = status.starts_with(['4', '5']) && response.get("content").is_none();
    if is_problem {
        response["content"] =
            json!({MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}});
    }
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { return };
    for (media_type, body) in content {
        if matches!(media_type.as_str(), "application/octet-stream" | "application/x-tar") {
            body["schema"] = json!({"type": "string", "format": "binary"});
        }
        if body.get("example").is_none()
            && let Some(example) = example(&body["schema"], examples)
        {
            body["example"] = example;
        }
    }
}

/// Example of a named schema, or a list of one.
fn example(schema: &Value, examples: &Value) -> Option<Value> {
    if let Some(items) = schema.get("items") {
        return example(items, examples).map(|entry| json!([entry]));
    }
    let name = schema.get("$ref")?.as_str()?.rsplit('/').next()?;
    examples.get(name).cloned()
}

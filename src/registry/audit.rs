//! Audit log entries of a change: the changed fields, before and after. Variables appear by name,
//! sources by digest, and long values by digest and size.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::registry::{Definition, ScriptFields};

/// Longest value that is logged, in bytes of JSON (4 KiB).
const MAX_VALUE_BYTES: usize = 4 * 1024;

/// All fields of a script, as the audit log has them.
pub(super) fn snapshot(fields: &ScriptFields, definition: &Definition) -> Map<String, Value> {
    let mut all = Map::new();
    for part in [serde_json::to_value(definition), serde_json::to_value(fields)] {
        if let Ok(Value::Object(part)) = part {
            all.extend(part);
        }
    }
    let names: Vec<_> = definition.env.iter().map(|it| it.name()).collect();
    all.insert("env".to_owned(), json!(names));
    all.insert("content".to_owned(), json!(definition.content_digest()));
    all.into_iter().map(|(name, value)| (name, bounded(value))).collect()
}

/// Changed fields, before and after.
pub(super) fn difference(
    before: Map<String, Value>,
    mut after: Map<String, Value>,
) -> (Option<Value>, Option<Value>) {
    let mut changed = Map::new();
    for (name, value) in before {
        if after.get(&name) == Some(&value) {
            after.remove(&name);
        } else {
            changed.insert(name, value);
        }
    }
    (Some(Value::Object(changed)), Some(Value::Object(after)))
}

fn bounded(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= MAX_VALUE_BYTES {
        return value;
    }
    let digest = hex::encode(Sha256::digest(&text));
    json!({ "sha256": digest, "bytes": text.len() })
}

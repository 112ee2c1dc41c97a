//! Audit log entries of a change: the changed fields, before and after. Variables appear by name,
//! sources by digest, and long values by digest and size.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::registry::{Definition, RegisteredScript, RunSettings};

/// Longest value that is logged, in bytes of JSON (4 KiB).
const MAX_VALUE_BYTES: usize = 4 * 1024;

/// Snapshot of a script for the audit log.
pub(super) struct AuditSnapshot<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) file_path: Option<&'a str>,
    pub(super) requirements_path: Option<&'a str>,
    pub(super) run_settings: &'a RunSettings,
    pub(super) is_enabled: bool,
    pub(super) definition: &'a Definition,
}

impl<'a> From<&'a RegisteredScript> for AuditSnapshot<'a> {
    fn from(script: &'a RegisteredScript) -> Self {
        Self {
            name: script.name.as_str(),
            description: &script.description,
            file_path: script.file_path.as_deref(),
            requirements_path: script.requirements_path.as_deref(),
            run_settings: &script.run_settings,
            is_enabled: script.is_enabled,
            definition: &script.version.definition,
        }
    }
}

impl AuditSnapshot<'_> {
    /// All fields.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        for part in [serde_json::to_value(self.definition), serde_json::to_value(self.run_settings)]
        {
            if let Ok(Value::Object(part)) = part {
                fields.extend(part);
            }
        }
        let names: Vec<_> = self.definition.env.iter().map(|it| it.name()).collect();
        fields.insert("env".to_owned(), json!(names));
        fields.insert("name".to_owned(), json!(self.name));
        fields.insert("description".to_owned(), json!(self.description));
        fields.insert("file_path".to_owned(), json!(self.file_path));
        fields.insert("requirements_path".to_owned(), json!(self.requirements_path));
        fields.insert("is_enabled".to_owned(), json!(self.is_enabled));
        fields.insert("content".to_owned(), json!(self.definition.content_digest()));
        fields.into_iter().map(|(name, value)| (name, bounded(value))).collect()
    }
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

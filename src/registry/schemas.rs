//! Schemas of scripts: checked, and in the form that every database returns.

use serde_json::{Value, json};

use super::faults::Faults;
use crate::domain::json_form::canonical;
use crate::domain::json_schema::JsonSchema;

/// Returns the new schema in canonical form: an unchanged schema must equal itself after it was
/// read back.
pub(super) fn merged(
    field: &'static str,
    before: Option<&Value>,
    input: Option<Option<Value>>,
    faults: &mut Faults,
) -> Value {
    let accepting_all = || json!({});
    let schema = match input {
        None => return before.cloned().unwrap_or_else(accepting_all),
        Some(None) => return accepting_all(),
        Some(Some(schema)) => schema,
    };
    let compiled = JsonSchema::compile(&schema);
    faults.keep(&format!("/{field}"), compiled, |error| error.hint());
    // All schemas that accept everything are stored as one.
    if schema == Value::Bool(true) { accepting_all() } else { canonical(schema) }
}

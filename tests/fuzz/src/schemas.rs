//! An arbitrary JSON Schema, and on the lines behind it documents to check against it.

use gantry::domain::json_schema::{JsonSchema, MAX_FAULTS};
use serde_json::Value;

/// Whatever the schema is, checks end, and say the same each time: yes, or a few
/// faults that are short and have their place.
pub fn hold(input: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(input) else { return false };
    let mut lines = text.lines();
    let schema = lines.next().unwrap_or_default();
    let Ok(value) = serde_json::from_str::<Value>(schema) else { return false };
    let schema = match JsonSchema::compile(&value) {
        Ok(schema) => schema,
        Err(error) => {
            super::is_short(&error.to_string());
            return false;
        }
    };
    let mut are_valid = true;
    for document in lines {
        let checked = schema.check(document);
        assert_eq!(checked, schema.check(document));
        assert!(checked.is_ok() || !schema.accepts_all());
        let Err(faults) = checked else { continue };
        are_valid = false;
        assert!((1..=MAX_FAULTS).contains(&faults.len()));
        for fault in faults {
            assert!(fault.pointer.len() <= 1_000);
            assert!(fault.pointer.is_empty() || fault.pointer.starts_with('/'));
            super::is_short(&fault.detail);
        }
    }
    are_valid
}

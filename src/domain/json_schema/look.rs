//! Checks a schema's size and content before compilation.

use serde_json::Value;

use super::branches::Branches;
use super::{
    MAX_BRANCHES, MAX_REFERENCES, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, MAX_UNFOLLOWED, SchemaError,
};

/// Keywords that refer to another place.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Totals so far.
#[derive(Default)]
struct Totals {
    bytes: usize,
    references: usize,
}

/// Checks that a schema is small enough, and that databases can store it.
pub(super) fn check(schema: &Value) -> Result<(), SchemaError> {
    let mut totals = Totals::default();
    totals.value(schema, 0)?;
    if totals.references > MAX_REFERENCES {
        return Err(SchemaError::TooManyReferences(totals.references));
    }
    let mut branches = Branches::default();
    let most = branches.most(schema);
    let is_opaque = branches.unfollowed > 0 && totals.references > MAX_UNFOLLOWED;
    if most > MAX_BRANCHES || is_opaque { Err(SchemaError::TooManyBranches) } else { Ok(()) }
}

impl Totals {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), SchemaError> {
        if depth > MAX_SCHEMA_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        match value {
            // Each counts as the longest literal: the sum is a size, not a text.
            Value::Null | Value::Bool(_) => self.add(5),
            Value::Number(number) => {
                if number.as_f64().is_none_or(f64::is_infinite) {
                    return Err(SchemaError::Number);
                }
                self.add(number.to_string().len())
            }
            Value::String(text) => self.text(text),
            Value::Array(elements) => {
                self.add(2)?;
                elements.iter().try_for_each(|element| self.value(element, depth + 1))
            }
            Value::Object(members) => {
                self.add(2)?;
                members.iter().try_for_each(|(name, member)| {
                    self.references += usize::from(REFERENCES.contains(&name.as_str()));
                    self.text(name)?;
                    self.value(member, depth + 1)
                })
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<(), SchemaError> {
        if text.contains('\0') {
            return Err(SchemaError::Nul);
        }
        self.add(text.len() + 3)
    }

    fn add(&mut self, bytes: usize) -> Result<(), SchemaError> {
        self.bytes += bytes;
        if self.bytes > MAX_SCHEMA_BYTES { Err(SchemaError::TooLarge) } else { Ok(()) }
    }
}

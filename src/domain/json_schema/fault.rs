//! Faults of a document, described without repeating the document, which may be large and
//! secret.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::counted::{Counted, CountedJson};
use super::reads::within;
use super::tree::Tree;
use super::{MAX_FAULTS, MAX_READS_FOR_FAULTS};
use crate::domain::fault::Fault;
use crate::domain::sanitize::{MAX_SANITIZED_CHARS, sanitize};

/// Stands in for values.
const VALUE: &str = "it";

/// Longest pointer, in bytes; a longer one is cut at the last component that fits.
const MAX_POINTER_BYTES: usize = 1_000;

/// Faults of a document that is known to be invalid.
pub(super) fn of(validator: &Validator<CountedJson>, document: &Tree<'_>) -> Vec<Fault> {
    let all = || {
        let errors = validator.iter_errors(Counted(document)).take(MAX_FAULTS);
        let mut faults: Vec<_> = errors.map(|error| of_error(&error)).collect();
        faults.dedup();
        faults
    };
    let first = || validator.validate(Counted(document)).err().map(|error| of_error(&error));
    // A search for all faults visits everything; a search for one stops there.
    let found = within(MAX_READS_FOR_FAULTS, all)
        .or_else(|_| within(MAX_READS_FOR_FAULTS, first).map(|found| found.into_iter().collect()));
    match found {
        Ok(faults) if !faults.is_empty() => faults,
        _ => vec![Fault::new("", "it does not match the schema")],
    }
}

fn of_error(error: &ValidationError<'_>) -> Fault {
    let detail = match error.kind() {
        // These kinds list all of the schema's values, or nested faults.
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            format!("{VALUE} matches none of the alternatives ({})", error.kind().keyword())
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            format!("{VALUE} matches more than one of the alternatives (oneOf)")
        }
        ValidationErrorKind::Enum { options } => format!("{VALUE} is not one of {}", json(options)),
        ValidationErrorKind::Constant { expected_value } => {
            format!("{VALUE} is not {}", json(expected_value))
        }
        ValidationErrorKind::Not { .. } => format!("{VALUE} matches what it must not match (not)"),
        ValidationErrorKind::FalseSchema => "nothing is allowed here".to_owned(),
        ValidationErrorKind::PropertyNames { .. } => {
            "the name of a property is not allowed (propertyNames)".to_owned()
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let named: Vec<_> = unexpected.iter().take(5).map(|it| format!("{it:?}")).collect();
            format!("{} of its properties are not allowed: {}", unexpected.len(), named.join(", "))
        }
        ValidationErrorKind::UnevaluatedItems { unexpected } => {
            format!("{} of its items are not allowed", unexpected.len())
        }
        _ => error.masked_with(VALUE).to_string(),
    };
    Fault::new(bounded(error.instance_path().as_str()), sanitize(&detail))
}

/// Beginning of a schema's value, as JSON.
fn json(value: &Value) -> String {
    let mut text = value.to_string();
    // Enough for the sanitized text: a character has at most four bytes.
    let mut end = text.len().min(MAX_SANITIZED_CHARS * 4);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Pointer to the place, or to its nearest ancestor whose pointer is short enough.
fn bounded(pointer: &str) -> &str {
    if pointer.len() <= MAX_POINTER_BYTES {
        return pointer;
    }
    let bytes = pointer.as_bytes().get(..MAX_POINTER_BYTES).unwrap_or_default();
    let end = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    pointer.get(..end).unwrap_or_default()
}

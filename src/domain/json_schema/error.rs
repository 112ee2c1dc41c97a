//! Errors of schemas, with advice.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use thiserror::Error;

use super::{MAX_REFERENCES, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH};
use crate::domain::sanitize::sanitize;

/// Reason why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// The value is neither an object nor a boolean.
    #[error("a JSON Schema is an object, or true or false")]
    NotASchema,
    /// The schema has more than [`MAX_SCHEMA_BYTES`].
    #[error("the schema has more than {MAX_SCHEMA_BYTES} bytes (256 KiB)")]
    TooLarge,
    /// The nesting is deeper than [`MAX_SCHEMA_DEPTH`].
    #[error("the schema is nested more than {MAX_SCHEMA_DEPTH} levels deep")]
    TooDeep,
    /// The schema has more than [`MAX_REFERENCES`].
    #[error("the schema has {0} references, at most {MAX_REFERENCES} are allowed")]
    TooManyReferences(usize),
    /// The references multiply.
    #[error("the references of the schema make too many paths through it")]
    TooManyBranches,
    /// A text has a NUL character, which databases do not store.
    #[error("the schema has a NUL character (\\u0000) in a text")]
    Nul,
    /// A number is not finite as a double.
    #[error("the schema has a number that is too large")]
    Number,
    /// Compilation takes too long.
    #[error("the schema can't be compiled within reasonable time and memory")]
    TooHard,
    /// The schema refers to another document.
    #[error(
        "the schema refers to {0:?}, but schemas are never fetched, neither from the network nor from files"
    )]
    Remote(String),
    /// A reference leads nowhere, or not to a place.
    #[error("the schema has a reference that leads nowhere: {0}")]
    Reference(String),
    /// `$schema` names an unknown draft.
    #[error("the schema's $schema is not known: {0}")]
    Draft(String),
    /// A pattern is invalid, or needs exponential time.
    #[error("at {place}: a pattern can't be used: {reason}")]
    Pattern {
        /// Place in the schema, as a JSON pointer.
        place: String,
        /// Reason why it can't be used.
        reason: String,
    },
    /// The draft's meta-schema refuses the schema.
    #[error("not a valid JSON Schema: at {place}: {reason}")]
    Invalid {
        /// Place in the schema, as a JSON pointer.
        place: String,
        /// Fault at this place.
        reason: String,
    },
}

impl SchemaError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotASchema => "write {} to accept everything",
            Self::TooLarge | Self::TooDeep | Self::TooHard | Self::TooManyReferences(_) => {
                "describe what the script needs, and leave the rest to the script"
            }
            Self::TooManyBranches => {
                "refer to a schema once instead of repeating it in allOf, anyOf or oneOf, and refer \
                 by #/$defs/name"
            }
            Self::Remote(_) => "put what it refers to into $defs of the schema itself",
            Self::Reference(_) => "refer to a place in the schema: #/$defs/name",
            Self::Draft(_) => "leave $schema out for draft 2020-12, or name a published draft",
            Self::Pattern { .. } => {
                "patterns are matched in linear time: write it without look-around and back-references"
            }
            Self::Nul | Self::Number | Self::Invalid { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// Error for a validator's complaint about a schema.
pub(super) fn of(error: &ValidationError<'_>) -> SchemaError {
    let place = || match error.instance_path().as_str() {
        "" => "the top".to_owned(),
        pointer => sanitize(pointer),
    };
    match error.kind() {
        ValidationErrorKind::Referencing(error) => of_reference(error),
        ValidationErrorKind::Pattern { .. }
        | ValidationErrorKind::BacktrackLimitExceeded { .. } => {
            SchemaError::Pattern { place: place(), reason: sanitize(&error.to_string()) }
        }
        ValidationErrorKind::Format { format } if format == "regex" => {
            let reason = format!(
                "{} is no regular expression, or none that is matched in linear time",
                error.instance()
            );
            SchemaError::Pattern { place: place(), reason: sanitize(&reason) }
        }
        _ => SchemaError::Invalid { place: place(), reason: sanitize(&error.to_string()) },
    }
}

fn of_reference(error: &jsonschema::ReferencingError) -> SchemaError {
    match error {
        jsonschema::ReferencingError::Unretrievable { uri, .. } => {
            SchemaError::Remote(sanitize(uri))
        }
        jsonschema::ReferencingError::UnknownSpecification { specification } => {
            SchemaError::Draft(sanitize(specification))
        }
        other => SchemaError::Reference(sanitize(&other.to_string())),
    }
}

//! What can be wrong with a schema, and what to do about it.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use thiserror::Error;

use super::{MAX_REFERENCES, MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH};
use crate::domain::sanitize::sanitize;

/// Why a schema is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// Neither an object nor a boolean.
    #[error("a JSON Schema is an object, or true or false")]
    NotASchema,
    /// More than [`MAX_SCHEMA_BYTES`].
    #[error("the schema has more than {MAX_SCHEMA_BYTES} bytes (256 KiB)")]
    TooLarge,
    /// Deeper than [`MAX_SCHEMA_DEPTH`].
    #[error("the schema is nested more than {MAX_SCHEMA_DEPTH} levels deep")]
    TooDeep,
    /// More than [`MAX_REFERENCES`].
    #[error("the schema has {0} references, at most {MAX_REFERENCES} are allowed")]
    TooManyReferences(usize),
    /// References that multiply.
    #[error("the references of the schema lead through it in too many ways")]
    TooManyBranches,
    /// A character that databases don't keep.
    #[error("the schema has a NUL character (\\u0000) in a text")]
    Nul,
    /// A number that is not finite as a double.
    #[error("the schema has a number that is too large")]
    Number,
    /// Compiling it takes too long.
    #[error("the schema can't be compiled within reasonable time and memory")]
    TooHard,
    /// It refers to something outside of itself.
    #[error(
        "the schema refers to {0:?}, and schemas are never fetched, neither from the net nor from files"
    )]
    Remote(String),
    /// It refers to something that is not there, or not a place.
    #[error("the schema has a reference that leads nowhere: {0}")]
    Reference(String),
    /// `$schema` names no draft that is known.
    #[error("the schema's $schema is not known: {0}")]
    Draft(String),
    /// A pattern that is none, or needs what takes exponential time.
    #[error("at {place}: a pattern can't be used: {reason}")]
    Pattern {
        /// Where in the schema, as a JSON pointer.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The draft's own schema does not accept it.
    #[error("not a valid JSON Schema: at {place}: {reason}")]
    Invalid {
        /// Where in the schema, as a JSON pointer.
        place: String,
        /// What is wrong there.
        reason: String,
    },
}

impl SchemaError {
    /// What to do about it.
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

/// What a validator has against a schema.
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

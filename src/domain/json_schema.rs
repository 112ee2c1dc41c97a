//! JSON Schema (2020-12 unless `$schema` names another draft) for inputs and outputs of
//! scripts. Schemas are as hostile as documents: nothing is ever fetched, patterns are
//! matched in linear time, and a check that takes too long is stopped. A document that
//! could not be checked is refused.
//!
//! A check reads its document up to [`MAX_READS`] times, which takes seconds at worst,
//! whatever the document's size: callers on an async thread run it on a blocking one. The
//! memory that it takes is known in advance ([`JsonSchema::checked_bytes`]).

mod branches;
mod counted;
mod error;
mod fault;
mod look;
mod reads;
mod tree;

use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

use super::fault::Fault;
use counted::{Counted, CountedJson};
use reads::within;
use tree::Tree;

pub use error::SchemaError;

/// Largest schema, in bytes of JSON without white space (256 KiB).
pub const MAX_SCHEMA_BYTES: usize = 256 * 1024;

/// Deepest nesting of a schema.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// Most references in a schema: each may lead to every other, one call deeper.
pub const MAX_REFERENCES: usize = 400;

/// Most paths through a schema that do not read the document.
pub const MAX_BRANCHES: u64 = 10_000;

/// Most references if some of them can't be followed in advance. In the worst order they
/// make 1.45 to the power of this many paths.
pub const MAX_UNFOLLOWED: usize = 24;

/// Most faults reported.
pub const MAX_FAULTS: usize = 20;

/// Most reads of the document in one check, as [`counted`] counts them.
pub const MAX_READS: u64 = 100_000_000;

/// Largest document, in bytes of the tree that is checked (256 MiB): a list of small
/// objects may have some 30 MiB of JSON.
pub const MAX_CHECKED_BYTES: usize = 256 * 1024 * 1024;

/// Most reads while faults are listed of a document that is known to be invalid.
const MAX_READS_FOR_FAULTS: u64 = 2_000_000;

/// Largest pattern, as its compiled form in bytes (256 KiB).
const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// Error for a document that is too large for a tree.
const TOO_MANY_VALUES: &str = "it has too many values to be checked against the schema: a \
     document takes 24 bytes for a value in an array, 48 for a member of an object and 80 for \
     an array or object, which may be 256 MiB";

/// Compiled schema.
#[derive(Clone)]
pub struct JsonSchema {
    /// `None` accepts everything.
    validator: Option<Arc<Validator<CountedJson>>>,
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JsonSchema(accepts_all: {})", self.accepts_all())
    }
}

/// Retriever that fetches nothing.
struct Refusing;

/// Error of [`Refusing`], recognized in the validator's error.
#[derive(Debug, thiserror::Error)]
#[error("schemas are never fetched")]
struct NeverFetched;

impl Retrieve for Refusing {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(Box::new(NeverFetched))
    }
}

impl JsonSchema {
    /// Checks and compiles a schema.
    ///
    /// # Errors
    /// [`SchemaError`].
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        match schema {
            Value::Bool(true) => return Ok(Self { validator: None }),
            Value::Object(members) if members.is_empty() => return Ok(Self { validator: None }),
            Value::Object(_) | Value::Bool(false) => {}
            _ => return Err(SchemaError::NotASchema),
        }
        look::check(schema)?;
        let options =
            jsonschema::options_for::<CountedJson>().with_retriever(Refusing).with_pattern_options(
                PatternOptions::regex()
                    .size_limit(MAX_PATTERN_BYTES)
                    .dfa_size_limit(MAX_PATTERN_BYTES),
            );
        // Here the schema itself is the document, checked against its meta-schema.
        let built =
            within(MAX_READS, || options.build(schema)).map_err(|_| SchemaError::TooHard)?;
        let validator = built.map_err(|error| error::of(&error))?;
        Ok(Self { validator: Some(Arc::new(validator)) })
    }

    /// True if the schema is trivially known to accept everything.
    #[must_use]
    pub fn accepts_all(&self) -> bool {
        self.validator.is_none()
    }

    /// Upper bound of the tree that a document is checked as, in bytes. A caller that
    /// checks several documents at once adds them up.
    #[must_use]
    pub fn checked_bytes(document: &str) -> usize {
        tree::bytes_of(document)
    }

    /// Checks a document of at most [`MAX_CHECKED_BYTES`]. If an object has a name twice,
    /// the last value counts, as in Python.
    ///
    /// # Errors
    /// Faults of the document: at least one, at most [`MAX_FAULTS`], with pointers into the
    /// document.
    pub fn check(&self, document: &str) -> Result<(), Vec<Fault>> {
        let Some(validator) = &self.validator else { return Ok(()) };
        if Self::checked_bytes(document) > MAX_CHECKED_BYTES {
            return Err(vec![Fault::new("", TOO_MANY_VALUES)]);
        }
        let document: Tree<'_> = serde_json::from_str(document).map_err(|error| {
            vec![Fault::new("", format!("it can't be checked against the schema: {error}"))]
        })?;
        let too_hard = || vec![Fault::new("", "it takes too long to check it against the schema")];
        let is_valid = within(MAX_READS, || validator.is_valid(Counted(&document)));
        if is_valid.map_err(|_| too_hard())? {
            return Ok(());
        }
        Err(fault::of(validator, &document))
    }
}

#[cfg(test)]
mod tests;

//! Submissions of executions, whichever entrance they come in by.

use serde_json::value::RawValue;

use super::problem::{Kind, Problem};
use crate::domain::json_input::{JsonInput, JsonInputError};

/// Input for requests without one.
pub(crate) const NO_INPUT: &str = "{}";

/// Raw input of a body; `{}` if it is absent.
pub(crate) fn read_input(raw: Option<&RawValue>, pointer: &str) -> Result<JsonInput, Problem> {
    let input = match raw {
        Some(raw) => JsonInput::from_raw(raw),
        None => JsonInput::parse(NO_INPUT.as_bytes().to_vec()),
    };
    input.map_err(|error| {
        let kind = match error {
            JsonInputError::TooLarge(_) => Kind::TooLarge,
            JsonInputError::Empty | JsonInputError::Invalid(_) => Kind::Malformed,
        };
        let problem = Problem::new(kind, error.to_string()).at(pointer);
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    })
}

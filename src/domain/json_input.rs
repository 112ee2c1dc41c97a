//! JSON documents that scripts read and print. They are checked without building a tree and
//! kept byte for byte: numbers that no `f64` holds reach the script unchanged, and so do
//! duplicate keys and key order.

mod fault;
mod output;

use std::fmt;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use thiserror::Error;

pub use fault::JsonFault;
pub use output::{OutputFault, parse_output};

use fault::{fault, offset_of};

/// Largest input, in bytes (64 MiB). Gantry holds it in memory.
pub const MAX_INPUT_BYTES: usize = 64 * 1024 * 1024;

/// Deepest nesting of arrays and objects: `serde_json`'s own limit, so that later readers
/// can parse the document.
pub const MAX_NESTING: usize = 128;

/// Longest number, in bytes: Jackson's default
/// (`StreamReadConstraints.DEFAULT_MAX_NUM_LEN`), the smallest of the common readers'
/// limits; Python's `int` accepts 4,300 digits.
pub const MAX_NUMBER_BYTES: usize = 1_000;

/// One JSON document, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonInput {
    text: String,
}

/// Shows only the size: inputs may be large and secret.
impl fmt::Debug for JsonInput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JsonInput({} bytes)", self.text.len())
    }
}

/// Reason why bytes are not one JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonInputError {
    /// There is only white space.
    #[error("input is empty, it must be one JSON document")]
    Empty,
    /// More than [`MAX_INPUT_BYTES`].
    #[error("input has {0} bytes, at most {MAX_INPUT_BYTES} (64 MiB) are allowed")]
    TooLarge(usize),
    /// Some part is not JSON.
    #[error("input is not JSON: {0}")]
    Invalid(JsonFault),
}

impl JsonInputError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Empty => "send {} or null when there is nothing to say",
            Self::TooLarge(_) => "mount large data, or pass a place to fetch it from",
            Self::Invalid(fault) if fault.reason == BYTE_ORDER_MARK => "save it without one",
            Self::Invalid(_) => return None,
        };
        Some(hint.to_owned())
    }
}

impl JsonInput {
    /// The document `null`.
    #[must_use]
    pub fn null() -> Self {
        Self { text: "null".to_owned() }
    }

    /// Checks that `bytes` are one JSON document (RFC 8259), with optional white space
    /// around it.
    ///
    /// # Errors
    /// [`JsonInputError`]; for invalid JSON with line, column and excerpt.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, JsonInputError> {
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(JsonInputError::TooLarge(bytes.len()));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(JsonInputError::Empty);
        }
        check(&bytes).map_err(JsonInputError::Invalid)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let (offset, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
            JsonInputError::Invalid(fault(bytes, offset, NOT_UTF8))
        })?;
        Ok(Self { text })
    }

    /// Takes a document that was parsed as part of another one. Checks only its size, its
    /// depth and its numbers.
    ///
    /// # Errors
    /// [`JsonInputError::TooLarge`] and [`JsonInputError::Invalid`].
    pub fn from_raw(document: &RawValue) -> Result<Self, JsonInputError> {
        let bytes = document.get().as_bytes();
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(JsonInputError::TooLarge(bytes.len()));
        }
        match first_unreadable(bytes) {
            Some(fault) => Err(JsonInputError::Invalid(fault)),
            None => Ok(Self { text: document.get().to_owned() }),
        }
    }

    /// The document, unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The document's bytes, unchanged.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

const NOT_UTF8: &str = "invalid UTF-8";
const TOO_DEEP: &str = "nested more than 128 levels deep";
const TOO_LONG: &str = "a number of more than 1000 characters";
const BYTE_ORDER_MARK: &str = "byte order mark before the document";

/// Checks that `bytes` are one JSON document that common readers accept.
fn check(bytes: &[u8]) -> Result<(), JsonFault> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| fault(bytes, error.valid_up_to(), NOT_UTF8))?;
    if text.starts_with('\u{feff}') {
        return Err(fault(bytes, 0, BYTE_ORDER_MARK));
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => first_unreadable(bytes).map_or(Ok(()), Err),
        Err(error) => {
            let offset = offset_of(bytes, error.line(), error.column());
            let place = format!(" at line {} column {}", error.line(), error.column());
            let words = error.to_string();
            let reason = words.strip_suffix(&place).unwrap_or(&words);
            Err(output::not_a_number(bytes, offset).unwrap_or_else(|| fault(bytes, offset, reason)))
        }
    }
}

/// First place that readers with limits refuse: nesting deeper than [`MAX_NESTING`], which
/// no tree of `serde_json` holds, or a number longer than [`MAX_NUMBER_BYTES`]. The bytes
/// must be valid JSON.
fn first_unreadable(bytes: &[u8]) -> Option<JsonFault> {
    let mut depth = 0_usize;
    let mut number = 0_usize;
    let mut is_string = false;
    let mut is_escaped = false;
    for (offset, byte) in bytes.iter().enumerate() {
        let is_of_number = !is_string && is_in_numbers(*byte);
        number = if is_of_number { number + 1 } else { 0 };
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Some(fault(bytes, offset, TOO_DEEP));
        }
        if number > MAX_NUMBER_BYTES {
            return Some(fault(bytes, offset - MAX_NUMBER_BYTES, TOO_LONG));
        }
    }
    None
}

/// True if numbers contain this byte; literals contain at most one such byte.
fn is_in_numbers(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

#[cfg(test)]
mod tests;

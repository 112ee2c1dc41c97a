//! Parses a script's output as JSON. Distinguishes a document, plain text, and broken JSON.
//! Plain text is a valid result; broken JSON is a mistake that the caller must learn of.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::fault::{JsonFault, fault};
use super::{check, first_unreadable};

/// Reason why a script's output is not one JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFault {
    /// Fault and its place.
    pub fault: JsonFault,
    /// True if the output is an object or an array except for this fault: NaN or Infinity
    /// in it, bytes that are not UTF-8, a byte order mark, or more than readers accept.
    pub is_meant_as_json: bool,
}

/// Names of floats that JSON has no numbers for, as Python, JavaScript and C's `printf`
/// print them.
const NO_NUMBERS: [&str; 3] = ["Infinity", "NaN", "Inf"];

/// Parses a script's output as exactly one JSON document with optional white space around
/// it. The document is kept as it was printed.
///
/// # Errors
/// [`OutputFault`] if it is anything else.
pub fn parse_output(printed: &[u8]) -> Result<Box<RawValue>, OutputFault> {
    check(printed)
        .map_err(|fault| OutputFault { is_meant_as_json: is_meant_as_json(printed), fault })?;
    let document = std::str::from_utf8(printed).unwrap_or_default().trim().to_owned();
    RawValue::from_string(document).map_err(|error| OutputFault {
        fault: fault(printed, 0, &error.to_string()),
        is_meant_as_json: true,
    })
}

/// True if the output is JSON except for faults that its writer may not know of.
fn is_meant_as_json(printed: &[u8]) -> bool {
    let printed = printed.strip_prefix("\u{feff}".as_bytes()).unwrap_or(printed);
    let is_read = |bytes: &[u8]| serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    match printed.trim_ascii_start().first() {
        Some(b'{' | b'[') => is_read(printed) || is_read(&made_readable(printed)),
        // The number is too long.
        Some(_) => first_unreadable(printed).is_some() && is_read(printed),
        None => false,
    }
}

/// Replaces such names by numbers, and bytes outside ASCII by ASCII.
fn made_readable(mut rest: &[u8]) -> Vec<u8> {
    let mut readable = Vec::with_capacity(rest.len());
    let mut is_string = false;
    while let Some(&byte) = rest.first() {
        if !is_string && let Some(name) = name_at(rest) {
            readable.push(b'0');
            rest = rest.get(name..).unwrap_or_default();
            continue;
        }
        let length = if is_string && byte == b'\\' { 2 } else { 1 };
        is_string ^= byte == b'"';
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        readable.extend(piece.iter().map(|it| if it.is_ascii() { *it } else { b'x' }));
        rest = behind;
    }
    readable
}

/// Length of the non-number name at this place, with its sign.
fn name_at(bytes: &[u8]) -> Option<usize> {
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let rest = bytes.get(sign..)?;
    let is_here = |name: &&&str| {
        rest.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()))
    };
    NO_NUMBERS.iter().find(is_here).map(|name| sign + name.len())
}

/// Fault for a non-number name at which a reader has stopped: at its sign, or at one of the
/// next two bytes, because a sign may begin a number and `n` may begin `null`.
pub(super) fn not_a_number(bytes: &[u8], offset: usize) -> Option<JsonFault> {
    (offset.saturating_sub(2)..=offset).find_map(|at| {
        let rest = bytes.get(at..)?;
        let name = String::from_utf8_lossy(rest.get(..name_at(rest)?)?);
        let reason = format!("{name}, for which JSON has no number (RFC 8259, section 6)");
        Some(fault(bytes, at, &reason))
    })
}

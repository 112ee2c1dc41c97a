//! What a script printed, as JSON: a document, a text that is none, or what was meant
//! as JSON and is not. The last is a mistake that its caller has to hear of; a text
//! is as good an answer as any.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::fault::{JsonFault, fault};
use super::{check, first_unreadable};

/// The reason that a script's output is not one JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFault {
    /// The fault and its place.
    pub fault: JsonFault,
    /// It would be an object or an array but for this: NaN or Infinity in it, bytes
    /// that are not UTF-8, a mark before it, or more than readers take.
    pub is_meant_as_json: bool,
}

/// Names that programs print for floats that JSON has no numbers for: Python's and
/// JavaScript's, and what C's `printf` makes of them.
const NO_NUMBERS: [&str; 3] = ["Infinity", "NaN", "Inf"];

/// A script's output, when it is exactly one JSON document and nothing else
/// but white space around it. The document is kept as it was printed.
///
/// # Errors
/// [`OutputFault`] when it is not.
pub fn parse_output(printed: &[u8]) -> Result<Box<RawValue>, OutputFault> {
    check(printed)
        .map_err(|fault| OutputFault { is_meant_as_json: is_meant_as_json(printed), fault })?;
    let document = std::str::from_utf8(printed).unwrap_or_default().trim().to_owned();
    RawValue::from_string(document).map_err(|error| OutputFault {
        fault: fault(printed, 0, &error.to_string()),
        is_meant_as_json: true,
    })
}

/// True if this is JSON but for what its writer may not have known that it is not.
fn is_meant_as_json(printed: &[u8]) -> bool {
    let printed = printed.strip_prefix("\u{feff}".as_bytes()).unwrap_or(printed);
    let is_read = |bytes: &[u8]| serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    match printed.trim_ascii_start().first() {
        Some(b'{' | b'[') => is_read(printed) || is_read(&made_readable(printed)),
        // A number that is too long.
        Some(_) => first_unreadable(printed).is_some() && is_read(printed),
        None => false,
    }
}

/// The same with numbers in the place of names, and with ASCII for all else.
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

/// Length of the name for no number that stands here, with its sign.
fn name_at(bytes: &[u8]) -> Option<usize> {
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let rest = bytes.get(sign..)?;
    let is_here = |name: &&&str| {
        rest.get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name.as_bytes()))
    };
    NO_NUMBERS.iter().find(is_here).map(|name| sign + name.len())
}

/// The fault of a name for no number that a reader has stumbled over here: at its
/// sign, or at one of the two bytes behind, which begin a number or `null`.
pub(super) fn not_a_number(bytes: &[u8], offset: usize) -> Option<JsonFault> {
    (offset.saturating_sub(2)..=offset).find_map(|at| {
        let rest = bytes.get(at..)?;
        let name = String::from_utf8_lossy(rest.get(..name_at(rest)?)?);
        let reason = format!("{name}, for which JSON has no number (RFC 8259, section 6)");
        Some(fault(bytes, at, &reason))
    })
}

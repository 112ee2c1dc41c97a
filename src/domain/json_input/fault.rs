//! Fault of a JSON document, shown in its line.

use std::fmt;

use crate::domain::sanitize::escaped;

/// Characters shown before and after the fault.
pub(super) const EXCERPT_SIDE: usize = 30;

/// Fault with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFault {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Description of the fault.
    pub reason: String,
    /// Part of the line around the fault, escaped, at most some 70 characters.
    pub excerpt: String,
    /// Characters of `excerpt` before the fault.
    pub caret: usize,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at line {}, column {}", self.reason, self.line, self.column)
    }
}

impl JsonFault {
    /// Excerpt, and a caret below the fault on a second line.
    #[must_use]
    pub fn pointed(&self) -> String {
        format!("{}\n{:caret$}^", self.excerpt, "", caret = self.caret)
    }
}

/// Offset of a place in `serde_json`'s terms: lines from 1, columns in bytes, the last byte
/// read.
pub(super) fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let before = line.saturating_sub(1);
    let start = match before {
        0 => 0,
        _ => nth_line_end(bytes, before).map_or(bytes.len(), |newline| newline + 1),
    };
    // Column 0 is the end of the previous line.
    (start + column).saturating_sub(1).min(bytes.len())
}

/// Offset of the `nth` line end, from 1.
fn nth_line_end(bytes: &[u8], nth: usize) -> Option<usize> {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(nth - 1).map(|(at, _)| at)
}

/// Fault at an offset, with the line around it. Reads only the bytes that it shows, except
/// for counting.
pub(super) fn fault(bytes: &[u8], offset: usize, reason: &str) -> JsonFault {
    let (before, after) = bytes.split_at(offset.min(bytes.len()));
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let before = before.get(start..).unwrap_or_default();
    let end = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
    let after = after.get(..end).unwrap_or_default();

    let column = 1 + before.iter().filter(|byte| is_character_start(**byte)).count();
    let (left, right) = (last_characters(before), first_characters(after));
    let caret = left.chars().count();
    JsonFault { line, column, reason: reason.to_owned(), excerpt: left + &right, caret }
}

/// True if a UTF-8 byte begins a character.
fn is_character_start(byte: u8) -> bool {
    byte & 0b1100_0000 != 0b1000_0000
}

/// End of the text before the fault, escaped, with `…` for the omitted part.
fn last_characters(bytes: &[u8]) -> String {
    let tail = bytes.get(bytes.len().saturating_sub(EXCERPT_SIDE * 4)..).unwrap_or_default();
    let shown = escaped(&String::from_utf8_lossy(tail));
    let kept = shown.chars().count().saturating_sub(EXCERPT_SIDE);
    let kept: String = shown.chars().skip(kept).collect();
    if kept.len() < shown.len() || tail.len() < bytes.len() { format!("…{kept}") } else { kept }
}

/// Beginning of the text after the fault, in the same form.
fn first_characters(bytes: &[u8]) -> String {
    let head = bytes.get(..EXCERPT_SIDE * 4).unwrap_or(bytes);
    let shown = escaped(String::from_utf8_lossy(head).trim_end());
    let kept: String = shown.chars().take(EXCERPT_SIDE).collect();
    if kept.len() < shown.len() || head.len() < bytes.len() { format!("{kept}…") } else { kept }
}

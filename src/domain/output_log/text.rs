//! Finds places where bytes can be cut to be shown as text. It must never change them:
//! bytes that are not UTF-8 are not characters, and nothing waits for their completion.

use super::{OutputLog, Position, StreamName};

/// Bytes of the longest character (RFC 3629).
const MAX_CHARACTER_BYTES: usize = 4;

/// Number of bytes before an incomplete UTF-8 character at the end: all of them, or up to 3
/// fewer. At the end of a stream, or before an event that can't wait, the rest is no
/// character: take it as it is. If the result is 0 for a piece of a log, the rest of the
/// character may follow the other stream's next run: look for it in that stream, and move
/// the position.
#[must_use]
pub fn whole_characters(bytes: &[u8]) -> usize {
    let is_start = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    let Some(behind) = bytes.iter().rev().take(3).position(is_start) else { return bytes.len() };
    let start = bytes.len().saturating_sub(behind + 1);
    let is_incomplete = bytes
        .get(start..)
        .and_then(|last| str::from_utf8(last).err())
        .is_some_and(|error| error.error_len().is_none());
    if is_incomplete { start } else { bytes.len() }
}

impl OutputLog {
    /// Like [`OutputLog::next_piece`], as text that is cut between characters. An
    /// incomplete character is held back while the other stream's next output comes first;
    /// with `is_final`, nothing more can come, and it is shown as it is. Bytes that are not
    /// UTF-8 are replaced.
    #[must_use]
    pub fn next_text(
        &self,
        from: Position,
        max_bytes: usize,
        is_final: bool,
    ) -> Option<(StreamName, String, Position)> {
        let (stream, piece, _) = self.next_piece(from, max_bytes)?;
        let start = from.of(stream);
        let taken = |length: usize| {
            let bytes = self.bytes(stream).get(start..start + length).unwrap_or_default();
            let text = String::from_utf8_lossy(bytes).into_owned();
            Some((stream, text, from.with(stream, start + length)))
        };
        let whole = whole_characters(piece);
        if whole > 0 {
            return taken(whole);
        }
        // The rest of the character may follow the other stream's next run.
        let behind = self.bytes(stream).get(start..).unwrap_or_default();
        let lengths = piece.len() + 1..=behind.len().min(MAX_CHARACTER_BYTES);
        let mut wholes = lengths.map(|end| whole_characters(behind.get(..end).unwrap_or_default()));
        if let Some(whole) = wholes.find(|whole| *whole > 0) {
            return taken(whole);
        }
        if is_final {
            return taken(piece.len());
        }
        let without = from.with(stream, usize::MAX);
        let (other, text, after) = self.next_text(without, max_bytes, is_final)?;
        Some((other, text, after.with(stream, start)))
    }
}

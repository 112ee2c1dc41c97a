//! Bytes that must be text.

use std::fmt;

/// Reason why bytes are not UTF-8 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotText {
    /// The bytes are UTF-16, as some editors and shells of Windows save it.
    Utf16,
    /// Offset of the first invalid byte.
    At(usize),
}

impl fmt::Display for NotText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf16 => formatter.write_str("is UTF-16 text, not UTF-8"),
            Self::At(offset) => write!(formatter, "is not UTF-8 text (byte {offset})"),
        }
    }
}

impl NotText {
    /// Advice for the author.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "save it as UTF-8"
    }
}

/// Text of UTF-8 `bytes`, including a byte order mark.
///
/// # Errors
/// [`NotText`]. UTF-16 of plain ASCII without a byte order mark would be UTF-8 with
/// zeros in it, and is refused as well.
pub fn utf8(bytes: Vec<u8>) -> Result<String, NotText> {
    if is_utf16(&bytes) {
        return Err(NotText::Utf16);
    }
    String::from_utf8(bytes).map_err(|error| NotText::At(error.utf8_error().valid_up_to()))
}

/// True for a byte order mark (Unicode Standard, 23.8), or if every second byte of the
/// first few is zero.
fn is_utf16(bytes: &[u8]) -> bool {
    let is_alternating = |zero: usize| {
        let mut first = bytes.iter().take(8).enumerate();
        bytes.len() >= 4 && first.all(|(at, byte)| (at % 2 == zero) == (*byte == 0))
    };
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) || is_alternating(0) || is_alternating(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_told_from_what_is_no_text() {
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        for text in ["\u{feff}six\r\n", "six==1.17.0\r\n", "\u{feff}", "\u{feff}é"] {
            for bytes in [utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
                assert_eq!(utf8(bytes), Err(NotText::Utf16), "{text:?}");
            }
        }
        assert_eq!(utf8(b"six\n\xff\xfe".to_vec()), Err(NotText::At(4)));
        for text in ["", "a", "six\n", "\u{feff}six", "é", "\0", "a\0b", "日本語"] {
            assert_eq!(utf8(text.into()), Ok(text.to_owned()));
        }
    }
}

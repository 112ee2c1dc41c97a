//! Fields in a memory file, for a process that stands by: each is its length in bytes
//! as decimal digits, a line feed, and its bytes.

use std::io::{self, Write};

/// Appends one field.
pub(crate) fn write_field(to: &mut impl Write, field: &[u8]) -> io::Result<()> {
    writeln!(to, "{}", field.len())?;
    to.write_all(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_says_how_long_it_is() {
        let mut written = Vec::new();
        write_field(&mut written, b"a\nb").unwrap();
        write_field(&mut written, b"").unwrap();
        assert_eq!(written, b"3\na\nb0\n");
    }
}

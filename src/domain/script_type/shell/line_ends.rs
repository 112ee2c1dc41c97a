//! Line ends of a shell script that was saved on Windows. No shell accepts them.

/// The script with Unix line ends; `None` if its first line ends as they do.
pub(super) fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    has_windows_lines(bytes).then(|| unix_lines(bytes))
}

fn has_windows_lines(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n')
        .next()
        .is_some_and(|line| line.len() < bytes.len() && line.ends_with(b"\r"))
}

fn unix_lines(bytes: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\r\n");
        written.extend_from_slice(text.unwrap_or(line));
        written.extend(text.map(|_| b'\n'));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lines_become_unix_lines() {
        let repaired_text = repaired(b"#!/bin/sh\r\na\r\n\r\nb\rc\r");
        assert_eq!(repaired_text.as_deref(), Some(&b"#!/bin/sh\na\n\nb\rc\r"[..]));
        for kept in [&b"a\nb\r\n"[..], b"a\r", b"\r", b"a\r\rb\n"] {
            assert_eq!(repaired(kept), None);
        }
    }
}

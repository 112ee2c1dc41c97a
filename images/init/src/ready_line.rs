//! What a process that stands by says of itself: one line, `ready` or why it can't be
//! used ([`crate::message::StandBy`]).
//!
//! The process is as hostile as its script. No more of what it says is held than is
//! passed on, and what it says may come in whatever pieces.

/// What it says when it is ready.
pub const READY: &str = "ready";

/// Longest text of its own that is passed on, in bytes as it said them.
pub const MAX_REASON: usize = 1024;

/// What has been said so far.
#[derive(Debug, Default)]
pub struct ReadyLine {
    line: Vec<u8>,
    is_whole: bool,
}

impl ReadyLine {
    /// Takes the next bytes; true when no more need to be read: the line has ended,
    /// or is longer than what is passed on.
    pub fn hears_all(&mut self, piece: &[u8]) -> bool {
        if !self.is_whole {
            let end = piece.iter().position(|byte| *byte == b'\n');
            let said = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
            let room = MAX_REASON - self.line.len();
            self.line.extend(said.iter().take(room));
            self.is_whole = end.is_some() || said.len() > room;
        }
        self.is_whole
    }

    /// What it comes to when it says no more.
    ///
    /// # Errors
    /// Why the process can't be used: in its own words, with what is not UTF-8
    /// replaced.
    pub fn verdict(self) -> Result<(), String> {
        match String::from_utf8_lossy(&self.line) {
            line if line.is_empty() => Err("it ended while it got ready".to_owned()),
            line if line == READY => Ok(()),
            line => Err(line.into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pieces: &[&[u8]]) -> Result<(), String> {
        let mut said = ReadyLine::default();
        for piece in pieces {
            said.hears_all(piece);
        }
        said.verdict()
    }

    #[test]
    fn ready_is_one_word_on_a_line_of_its_own() {
        assert_eq!(verdict(&[b"ready\n"]), Ok(()));
        assert_eq!(verdict(&[b"re", b"ady", b"\nand more\n"]), Ok(()));
        for other in ["Ready\n", "ready \n", " ready\n", "already\n", "ready\r\n"] {
            assert_eq!(verdict(&[other.as_bytes()]), Err(other.trim_end_matches('\n').to_owned()));
        }
    }

    #[test]
    fn who_says_nothing_is_not_ready() {
        for pieces in [vec![], vec![&b"\n"[..]], vec![b"", b"\nready\n"]] {
            assert!(verdict(&pieces).is_err_and(|reason| reason.contains("ended")), "{pieces:?}");
        }
    }

    #[test]
    fn no_more_is_read_than_is_passed_on() {
        let mut said = ReadyLine::default();
        assert!(!said.hears_all(&[b'x'; MAX_REASON]));
        assert!(said.hears_all(b"y"));
        assert!(said.hears_all(&[b'z'; 1_000_000]));
        assert_eq!(said.line.len(), MAX_REASON);
        assert_eq!(said.verdict(), Err("x".repeat(MAX_REASON)));
    }
}

//! The one line of a process that stands by ([`crate::message::StandBy`]): `ready`, or
//! the reason that it can't be used. Names of variables may follow, with a space before
//! each: it serves no request that has one of them. A remark may follow after a colon and
//! a space.
//!
//! The process is as hostile as its script. No more of its line is held than is passed
//! on, and the line may come in any pieces.

/// Beginning of the line of a process that is ready.
pub const READY: &str = "ready";

/// Longest reason or remark that is passed on, in bytes before the replacement of what is
/// not UTF-8.
pub const MAX_REASON: usize = 1024;

/// The line so far.
#[derive(Debug, Default)]
pub struct ReadyLine {
    line: Vec<u8>,
    is_whole: bool,
}

/// Message of a process that is ready.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Variables that a request must not have, if it is to serve it.
    pub without: Vec<String>,
    /// The process's remark.
    pub remark: Option<String>,
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

    /// Parses the line.
    ///
    /// The reason that the process can't be used: its line, with what is not UTF-8
    /// replaced.
    /// replaced.
    pub fn verdict(self) -> Result<Ready, String> {
        let line = String::from_utf8_lossy(&self.line);
        if line.is_empty() {
            return Err("it ended while it got ready".to_owned());
        }
        ready(&line).ok_or_else(|| line.into_owned())
    }
}

fn ready(line: &str) -> Option<Ready> {
    let (names, remark) = match line.split_once(": ") {
        Some((names, remark)) => (names, Some(remark.to_owned())),
        None => (line, None),
    };
    let mut words = names.split(' ');
    let is_ready = words.next() == Some(READY);
    let without: Vec<_> = words.map(str::to_owned).collect();
    (is_ready && without.iter().all(|name| is_name(name))).then_some(Ready { without, remark })
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pieces: &[&[u8]]) -> Result<Ready, String> {
        let mut said = ReadyLine::default();
        for piece in pieces {
            said.hears_all(piece);
        }
        said.verdict()
    }

    #[test]
    fn ready_is_the_first_word_of_a_line_of_its_own() {
        assert_eq!(verdict(&[b"ready\n"]), Ok(Ready::default()));
        assert_eq!(verdict(&[b"re", b"ady", b"\nand more\n"]), Ok(Ready::default()));
        for other in [
            "Ready\n",
            "ready \n",
            " ready\n",
            "already\n",
            "ready\r\n",
            "ready  A\n",
            "ready a-b\n",
            "ready:\n",
            "ready, set\n",
            "ready\tA\n",
            ": ready\n",
        ] {
            assert_eq!(verdict(&[other.as_bytes()]), Err(other.trim_end_matches('\n').to_owned()));
        }
    }

    #[test]
    fn names_and_a_remark_may_follow() {
        for (line, without, remark) in [
            ("ready A B_1\n", vec!["A", "B_1"], None),
            ("ready: x: y\n", vec![], Some("x: y")),
            ("ready A: it is slow\n", vec!["A"], Some("it is slow")),
        ] {
            let without = without.into_iter().map(str::to_owned).collect();
            let ready = Ready { without, remark: remark.map(str::to_owned) };
            assert_eq!(verdict(&[line.as_bytes()]), Ok(ready), "{line}");
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

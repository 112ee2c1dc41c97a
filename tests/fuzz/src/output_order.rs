//! Arbitrary bytes as the order of a stored log: a byte for the order's length, one for
//! that of stdout, one for the length of pieces that are read, then order, stdout and
//! stderr.

use gantry::domain::output_log::{OutputLog, Position, StreamName};

/// Whatever stands there, a reader gets every byte once; a log that is kept and read
/// again is the same; and so is one that is written in that order.
pub fn hold(input: &[u8]) -> bool {
    let Some(([order, stdout, piece], rest)) = input.split_first_chunk() else { return false };
    let (order, rest) = rest.split_at(rest.len().min((*order).into()));
    let (stdout, stderr) = rest.split_at(rest.len().min((*stdout).into()));
    let log = OutputLog::from_parts(stdout.to_vec(), stderr.to_vec(), order);
    let kept = log.encode_order();
    assert_eq!(OutputLog::from_parts(stdout.to_vec(), stderr.to_vec(), &kept), log);

    let most = usize::from(*piece);
    let pieces = pieces(&log, Position::default(), most);
    let mut written = OutputLog::default();
    for (stream, piece) in &pieces {
        written.append(*stream, piece);
    }
    assert_eq!((written.stdout(), written.stderr()), (stdout, stderr));
    let again = self::pieces(&written, Position::default(), usize::MAX);
    assert_eq!(joined(&again), joined(&pieces), "they come in the same order");
    reads_on(&log, most);
    reads_text(&log, most);
    kept == order
}

/// All that a reader gets from a position on.
fn pieces(log: &OutputLog, from: Position, most: usize) -> Vec<(StreamName, Vec<u8>)> {
    let (mut pieces, mut at) = (vec![], from);
    while let Some((stream, piece, next)) = log.next_piece(at, most) {
        assert!(!piece.is_empty() && piece.len() <= most.max(1));
        pieces.push((stream, piece.to_vec()));
        at = next;
    }
    pieces
}

/// Adjacent pieces of one stream put together.
fn joined(pieces: &[(StreamName, Vec<u8>)]) -> Vec<(StreamName, Vec<u8>)> {
    let mut runs: Vec<(StreamName, Vec<u8>)> = vec![];
    for (stream, piece) in pieces {
        match runs.last_mut() {
            Some((last, bytes)) if last == stream => bytes.extend(piece),
            _ => runs.push((*stream, piece.clone())),
        }
    }
    runs
}

/// From any position, what is behind it comes once.
fn reads_on(log: &OutputLog, most: usize) {
    let (stdout, stderr) = (log.stdout(), log.stderr());
    for from in [
        Position { stdout: most, stderr: 0 },
        Position { stdout: 0, stderr: most },
        Position { stdout: stdout.len() / 2, stderr: stderr.len() / 2 },
        Position { stdout: usize::MAX, stderr: 1 },
    ] {
        let (mut out, mut err) = (vec![], vec![]);
        for (stream, piece) in pieces(log, from, most) {
            match stream {
                StreamName::Stdout => out.extend(piece),
                StreamName::Stderr => err.extend(piece),
            }
        }
        assert_eq!(out, stdout.get(from.stdout..).unwrap_or_default());
        assert_eq!(err, stderr.get(from.stderr..).unwrap_or_default());
    }
}

/// As text, each stream is what it is as a whole, and readers come to the end.
fn reads_text(log: &OutputLog, most: usize) {
    let (mut out, mut err) = (String::new(), String::new());
    let mut at = Position::default();
    while let Some((stream, text, next)) = log.next_text(at, most, true) {
        assert!(next.stdout > at.stdout || next.stderr > at.stderr);
        assert!(next.stdout >= at.stdout && next.stderr >= at.stderr);
        match stream {
            StreamName::Stdout => out.push_str(&text),
            StreamName::Stderr => err.push_str(&text),
        }
        at = next;
    }
    assert_eq!(at, log.end());
    for (text, bytes) in [(out, log.stdout()), (err, log.stderr())] {
        // A sequence that is broken may be cut, and be replaced in two parts.
        let shown = |text: &str| text.replace('\u{fffd}', "");
        assert_eq!(shown(&text), shown(&String::from_utf8_lossy(bytes)));
    }
}

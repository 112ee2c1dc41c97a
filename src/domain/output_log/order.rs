//! Encodes the order of a log for a database column: the lengths of its runs, alternating
//! between stdout and stderr, as unsigned LEB128. Only the first may be 0, for a log that
//! begins with stderr. Decoding accepts any bytes: beyond a damaged part, the log is shown
//! as all of stdout and then all of stderr.

use super::{MAX_RUNS, OutputLog, Position, StreamName};

/// Set in every byte of a number but the last.
const MORE: u8 = 0x80;

impl OutputLog {
    /// Encodes the order, in a few bytes per run, without any output.
    #[must_use]
    pub fn encode_order(&self) -> Vec<u8> {
        let mut order = Vec::new();
        let (mut stream, mut before) = (StreamName::Stdout, Position::default());
        for end in &self.ends {
            if end.of(stream) == before.of(stream) {
                // Only the first run can be empty, because the streams alternate.
                write_number(0, &mut order);
                stream = stream.other();
            }
            write_number(end.of(stream).saturating_sub(before.of(stream)), &mut order);
            (stream, before) = (stream.other(), *end);
        }
        order
    }

    /// Rebuilds a log from its stored parts. `order` may be any bytes: decoding stops at
    /// the first run that exceeds the streams, is empty, or is one too many.
    #[must_use]
    pub fn from_parts(stdout: Vec<u8>, stderr: Vec<u8>, order: &[u8]) -> Self {
        let mut log = Self { stdout, stderr, ends: Vec::new() };
        let (mut stream, mut at, mut rest) = (StreamName::Stdout, Position::default(), order);
        while let Some(length) = read_number(&mut rest) {
            let end = at.of(stream).saturating_add(length);
            let is_known = end <= log.end().of(stream) && log.ends.len() < MAX_RUNS;
            if length > 0 && is_known {
                at = at.with(stream, end);
                log.ends.push(at);
            } else if length > 0 || at != Position::default() || stream == StreamName::Stderr {
                break;
            }
            stream = stream.other();
        }
        log
    }
}

fn write_number(mut number: usize, to: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            to.push(low & !MORE);
            return;
        }
        to.push(low | MORE);
    }
}

/// Takes a number off the front; `None` if there is none, or if it overflows.
fn read_number(from: &mut &[u8]) -> Option<usize> {
    let mut number = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        let bits = usize::from(byte & !MORE);
        let placed = bits << shift;
        if placed >> shift != bits {
            return None;
        }
        number |= placed;
        if byte & MORE == 0 {
            return Some(number);
        }
    }
    None
}

//! Properties that hold for any bytes at either end of the frame protocol.
//!
//! Each module has a `hold`, which panics when they do not, and returns true if its input
//! was read to the end. Fuzzers call them with generated inputs, and an ordinary test
//! (`images/init/tests/fuzz_seeds.rs`) with the seeds that are checked in.

pub mod answers;
pub mod ready_line;
pub mod requests;

use gantry_init::frame::{Header, Kind};

/// The kinds that there are, by trying every number.
fn kind(number: u8) -> Option<Kind> {
    Kind::from_number(number % 32)
}

/// One frame, of as much of the payload as its kind allows.
fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(kind.max_payload())];
    let header = Header::encode(kind, payload.len()).expect("it is short enough");
    [&header, payload].concat()
}

/// Well-formed frames out of arbitrary bytes, so that a fuzzer does not have to find
/// out how headers are made: each is a kind, a length of two bytes (little-endian)
/// and so many bytes.
fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![];
    while let Some(([number, a, b], rest)) = bytes.split_first_chunk() {
        let (payload, rest) = rest.split_at(rest.len().min(u16::from_le_bytes([*a, *b]).into()));
        bytes = rest;
        if let Some(kind) = kind(*number) {
            stream.extend(frame(kind, payload));
        }
    }
    stream
}

/// Decodes an input by its first byte: the lowest bit selects a stream as it stands or
/// one to be [`framed`], the others the length of the pieces that the stream arrives in.
fn stream(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (first, rest) = input.split_first()?;
    let stream = if first & 1 == 0 { rest.to_vec() } else { framed(rest) };
    Some((stream, usize::from(first >> 1) + 1))
}

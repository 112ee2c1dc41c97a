//! Arbitrary bytes where answers of gantry-init are expected.
//!
//! The first byte says how long the pieces are that the rest arrives in.

#![no_main]

use gantry_init::frame::{Decoder, Frame, FrameError, Header, Kind};
use gantry_init::message::{ArtifactBegin, Exit, Hello, Refused, Request};
use libfuzzer_sys::fuzz_target;
use serde_json::from_slice;

fuzz_target!(|input: &[u8]| {
    let Some((&piece, stream)) = input.split_first() else { return };
    let whole = read(stream, stream.len().max(1));
    let in_pieces = read(stream, usize::from(piece) + 1);
    assert_eq!(whole, in_pieces, "how it is cut makes no difference");

    let (frames, _) = whole;
    let mut encoded = vec![];
    for Frame { kind, payload } in &frames {
        assert!(payload.len() <= kind.max_payload());
        encoded.extend(Header::encode(*kind, payload.len()).unwrap());
        encoded.extend(payload);
        read_message(*kind, payload);
    }
    assert!(stream.starts_with(&encoded), "frames are what was sent, and nothing else");
});

/// The frames of a stream that arrives in pieces, and why it is broken.
fn read(stream: &[u8], piece: usize) -> (Vec<Frame>, Option<FrameError>) {
    let mut decoder = Decoder::new();
    let mut frames = vec![];
    for piece in stream.chunks(piece) {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn read_message(kind: Kind, payload: &[u8]) {
    match kind {
        Kind::Hello => drop(from_slice::<Hello>(payload)),
        Kind::ArtifactBegin => drop(from_slice::<ArtifactBegin>(payload)),
        Kind::Exit => drop(from_slice::<Exit>(payload)),
        Kind::Refused => drop(from_slice::<Refused>(payload)),
        Kind::Request => drop(from_slice::<Request>(payload)),
        _ => {}
    }
}

//! Arbitrary bytes where a container's answers are expected, for Gantry's decoder.

use std::fmt::Debug;

use gantry_init::frame::{Decoder, Frame, FrameError, Kind};
use gantry_init::message::{ArtifactBegin, DiskUse, Exit, Hello, LeftFile, Prepared, Refused};
use serde::{Serialize, de::DeserializeOwned};

use super::{frame, stream};

/// Checks that the pieces make no difference; that frames are those that were sent, no
/// longer than their kinds allow; that a broken stream stays broken; and that messages
/// are the same when they are written and read again.
pub fn hold(input: &[u8]) -> bool {
    let Some((stream, piece)) = stream(input) else { return false };
    let (frames, broken) = read(&stream, stream.len().max(1));
    assert_eq!(read(&stream, piece), (frames.clone(), broken.clone()));

    let mut rest = stream.as_slice();
    for Frame { kind, payload } in &frames {
        assert!(payload.len() <= kind.max_payload());
        let behind = without_line_feeds(rest).strip_prefix(frame(*kind, payload).as_slice());
        rest = behind.expect("frames are what was sent, and nothing else but line feeds");
        read_message(*kind, payload);
    }
    broken.is_none() && without_line_feeds(rest).is_empty()
}

/// Skips the terminators between frames, which mean nothing.
fn without_line_feeds(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\n") {
        bytes = rest;
    }
    bytes
}

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
                Err(error) => {
                    decoder.feed(b"G");
                    assert_eq!(decoder.next_frame(), Err(error.clone()), "it is broken for good");
                    assert!(!decoder.is_at_boundary());
                    return (frames, Some(error));
                }
            }
        }
    }
    (frames, None)
}

fn read_message(kind: Kind, payload: &[u8]) {
    match kind {
        Kind::Hello => stays_the_same::<Hello>(payload),
        Kind::Prepared => stays_the_same::<Prepared>(payload),
        Kind::ArtifactBegin => stays_the_same::<ArtifactBegin>(payload),
        Kind::LeftFile => stays_the_same::<LeftFile>(payload),
        Kind::DiskUse => stays_the_same::<DiskUse>(payload),
        Kind::Exit => stays_the_same::<Exit>(payload),
        Kind::Refused => stays_the_same::<Refused>(payload),
        _ => {}
    }
}

fn stays_the_same<T: Serialize + DeserializeOwned + PartialEq + Debug>(payload: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(payload) else { return };
    let written = serde_json::to_vec(&message).expect("messages can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("and read again"), message);
}

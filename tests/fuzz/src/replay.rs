//! What a hostile container prints, heard by somebody whose connection breaks: the
//! engine's log begins with the first byte each time, however much of it is there.
//!
//! Two bytes are the length of the pieces in which it comes, and how often it breaks (up
//! to 7 times). Two of each break follow: the length of pieces until then, and the share
//! of the output that is there, in 256ths. What follows is the output.

use gantry::sandbox::OutputLimits;
use gantry::sandbox::conversation::{Conversation, Event};
use gantry::sandbox::transcript::Transcript;
use gantry_init::frame::{Decoder, Frame, FrameError};
use gantry_init::message::ArtifactCaps;

type Decoded = (Vec<Frame>, Option<FrameError>);

/// It is heard as if nothing had broken: nothing is missing, and nothing comes twice.
pub fn hold(input: &[u8]) -> bool {
    let Some(([piece, breaks], rest)) = input.split_first_chunk() else { return false };
    let Some((breaks, output)) = rest.split_at_checked(usize::from(breaks % 8) * 2) else {
        return false;
    };
    let mut transcript = Transcript::new();
    let mut heard = Decoded::default();
    for part in breaks.chunks_exact(2) {
        let end = output.len() * usize::from(part[1]) / 256;
        listen(&mut transcript, &output[..end], part[0], &mut heard);
        transcript.restart();
    }
    listen(&mut transcript, output, *piece, &mut heard);
    assert_eq!(heard, uncut(output));
    has_an_end(heard)
}

fn listen(transcript: &mut Transcript, output: &[u8], piece: u8, (frames, broken): &mut Decoded) {
    for piece in output.chunks(usize::from(piece) + 1) {
        transcript.feed(piece);
        loop {
            match transcript.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert!(broken.as_ref().is_none_or(|before| *before == error));
                    *broken = Some(error);
                    break;
                }
            }
        }
    }
}

fn uncut(output: &[u8]) -> Decoded {
    let mut decoder = Decoder::new();
    decoder.feed(output);
    let mut frames = vec![];
    loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// Whether it is a conversation from the first word to the last.
fn has_an_end((frames, broken): Decoded) -> bool {
    let artifacts = ArtifactCaps { count: 10, bytes: 1_000 };
    let grace = std::time::Duration::ZERO;
    let limits = OutputLimits {
        stream_cap: 1_000,
        output_file_cap: Some(100),
        artifacts,
        on_disk: false,
        grace,
    };
    let mut conversation = Conversation::from_hello(&limits);
    let mut has_ended = false;
    for (number, frame) in frames.into_iter().enumerate() {
        let Ok(event) = conversation.accept(frame) else { return false };
        assert!(!has_ended, "nothing comes after the end");
        assert!(number > 0 || matches!(event, Event::Up), "it begins with Hello");
        has_ended = matches!(event, Event::Exit(_) | Event::Refused(_));
    }
    has_ended && broken.is_none()
}

//! Decoder of a container's output that may start over: after a lost connection the
//! engine's log is read from its first byte, and the bytes decoded before are skipped.
//! Pure: bytes in, frames out. Public for the fuzzers (`tests/fuzz`), which restart it at
//! any byte.
//!
//! Replayed bytes are counted, not compared: the engine's log has the same bytes as the
//! attached output.

use gantry_init::frame::{Decoder, Frame, FrameError};

/// Decoder of one container's output.
#[derive(Debug, Default)]
pub struct Transcript {
    decoder: Decoder,
    /// Bytes given to the decoder so far.
    decoded: u64,
    /// Replayed bytes that are still to be skipped.
    to_skip: u64,
}

impl Transcript {
    /// A decoder that has read nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts over: the next byte is the output's first one.
    pub fn restart(&mut self) {
        self.to_skip = self.decoded;
    }

    /// Decodes the next bytes, of any number.
    pub fn feed(&mut self, bytes: &[u8]) {
        let skipped = usize::try_from(self.to_skip).map_or(bytes.len(), |it| it.min(bytes.len()));
        let new = &bytes[skipped..];
        self.to_skip -= skipped as u64;
        self.decoded = self.decoded.saturating_add(new.len() as u64);
        self.decoder.feed(new);
    }

    /// Returns the next whole frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// Any [`FrameError`]. No frame follows then, even after a restart.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.next_frame()
    }
}

#[cfg(test)]
mod tests {
    use gantry_init::frame::{Header, Kind, MAGIC, TERMINATOR};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Decoded = (Vec<Frame>, Option<FrameError>);

    fn stream(payloads: &[Vec<u8>]) -> Vec<u8> {
        let frame = |payload: &Vec<u8>| {
            let header = Header::encode(Kind::Stdout, payload.len()).unwrap();
            [header.as_slice(), payload, &[TERMINATOR]].concat()
        };
        payloads.iter().flat_map(frame).collect()
    }

    /// Appends the available frames to those decoded before.
    fn take(transcript: &mut Transcript, (frames, broken): &mut Decoded) {
        loop {
            match transcript.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return,
                Err(error) => return *broken = Some(error),
            }
        }
    }

    fn uncut(stream: &[u8]) -> Decoded {
        let (mut transcript, mut heard) = (Transcript::new(), Decoded::default());
        transcript.feed(stream);
        take(&mut transcript, &mut heard);
        heard
    }

    /// Frames, or bytes that hardly ever are.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let frames = vec(vec(any::<u8>(), 0..40), 0..8).prop_map(|it| stream(&it));
        let bytes = vec(prop_oneof![Just(MAGIC), Just(1), Just(18), Just(0), any::<u8>()], 0..60);
        (frames, bytes, any::<bool>()).prop_map(|(mut frames, bytes, is_broken)| {
            if is_broken {
                frames.extend(bytes);
            }
            frames
        })
    }

    proptest! {
        #[test]
        fn wherever_it_begins_again_the_frames_are_those_of_one_reading(
            stream in streams(),
            readings in vec((any::<prop::sample::Index>(), 1..50_usize), 0..6),
            piece in 1..50_usize,
        ) {
            let (mut transcript, mut heard) = (Transcript::new(), Decoded::default());
            let part = |end: prop::sample::Index| end.index(stream.len() + 1);
            let parts = readings.into_iter().map(|(end, piece)| (part(end), piece));
            for (end, piece) in parts.chain([(stream.len(), piece)]) {
                transcript.restart();
                for piece in stream[..end].chunks(piece) {
                    transcript.feed(piece);
                    take(&mut transcript, &mut heard);
                }
            }
            prop_assert_eq!(heard, uncut(&stream));
        }
    }

    #[test]
    fn a_log_that_is_shorter_than_what_was_heard_says_nothing() {
        let stream = stream(&[b"one".to_vec(), b"two".to_vec()]);
        let mut transcript = Transcript::new();
        transcript.feed(&stream);
        assert_eq!(transcript.next_frame().unwrap().unwrap().payload, b"one");
        for length in [0, 1, stream.len() - 1] {
            transcript.restart();
            transcript.feed(&stream[..length]);
        }
        assert_eq!(transcript.next_frame().unwrap().unwrap().payload, b"two");
        assert_eq!(transcript.next_frame(), Ok(None));
        // The last bytes count as decoded all the same.
        transcript.feed(&stream[stream.len() - 1..]);
        assert_eq!(transcript.next_frame(), Ok(None));
        assert_eq!((transcript.decoded, transcript.to_skip), (stream.len() as u64, 0));
    }

    #[test]
    fn there_is_no_number_of_bytes_that_can_not_be_counted() {
        let mut transcript = Transcript { decoded: u64::MAX - 1, ..Transcript::new() };
        transcript.feed(b"\n\n\n");
        assert_eq!(transcript.decoded, u64::MAX);
        transcript.restart();
        transcript.feed(b"\n");
        assert_eq!(transcript.to_skip, u64::MAX - 1);
    }
}

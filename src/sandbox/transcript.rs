//! The frames of a container whose output may begin again: whoever loses the
//! connection reads the engine's log from its first byte, and what was heard before is
//! not heard twice. Pure: bytes in, frames out. Public for the fuzzers (`tests/fuzz`),
//! who let it begin again wherever they like.
//!
//! What comes again is counted and not compared: the engine keeps the same bytes that
//! it sends to whoever is attached.

use gantry_init::frame::{Decoder, Frame, FrameError};

/// What was heard of one container.
#[derive(Debug, Default)]
pub struct Transcript {
    decoder: Decoder,
    /// Bytes that were given to the decoder.
    heard: u64,
    /// Those of them that come once more.
    known: u64,
}

impl Transcript {
    /// Nothing was heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next byte is the first one once more.
    pub fn begin_again(&mut self) {
        self.known = self.heard;
    }

    /// Takes the next bytes, of any number.
    pub fn feed(&mut self, bytes: &[u8]) {
        let known = usize::try_from(self.known).map_or(bytes.len(), |it| it.min(bytes.len()));
        let new = &bytes[known..];
        self.known -= known as u64;
        self.heard = self.heard.saturating_add(new.len() as u64);
        self.decoder.feed(new);
    }

    /// The next whole frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// Any [`FrameError`]. No frame comes any more then, however often it begins again.
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

    /// Adds the frames that are there to what was heard.
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

    /// Frames, or bytes that are hardly any.
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
                transcript.begin_again();
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
            transcript.begin_again();
            transcript.feed(&stream[..length]);
        }
        assert_eq!(transcript.next_frame().unwrap().unwrap().payload, b"two");
        assert_eq!(transcript.next_frame(), Ok(None));
        // What was missing last is known all the same.
        transcript.feed(&stream[stream.len() - 1..]);
        assert_eq!(transcript.next_frame(), Ok(None));
        assert_eq!((transcript.heard, transcript.known), (stream.len() as u64, 0));
    }

    #[test]
    fn there_is_no_number_of_bytes_that_can_not_be_counted() {
        let mut transcript = Transcript { heard: u64::MAX - 1, ..Transcript::new() };
        transcript.feed(b"\n\n\n");
        assert_eq!(transcript.heard, u64::MAX);
        transcript.begin_again();
        transcript.feed(b"\n");
        assert_eq!(transcript.known, u64::MAX - 1);
    }
}

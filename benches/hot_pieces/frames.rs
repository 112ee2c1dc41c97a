//! The frame protocol: what is written to PID 1, and what comes from it.

use divan::Bencher;
use divan::counter::BytesCount;
use gantry_init::frame::{Decoder, HEADER_BYTES, Header, Kind, MAX_REPLY_PAYLOAD};

/// Bytes of payload: a line, a page, and as many as there may be.
const PAYLOADS: [usize; 3] = [64, 4096, MAX_REPLY_PAYLOAD];

/// What a read from the engine brings at most.
const PIECE: usize = 16 * 1024;

fn encoded(payload: usize) -> Vec<u8> {
    let header = Header::encode(Kind::Stdout, payload).unwrap_or_default();
    [header.as_slice(), vec![b'x'; payload].as_slice()].concat()
}

#[divan::bench]
fn encode_header() -> Option<[u8; HEADER_BYTES]> {
    Header::encode(divan::black_box(Kind::Stdout), divan::black_box(4096)).ok()
}

#[divan::bench(args = PAYLOADS)]
fn decode(bencher: Bencher<'_, '_>, payload: usize) {
    let stream = encoded(payload);
    bencher.counter(BytesCount::new(stream.len())).bench(|| {
        let mut decoder = Decoder::new();
        for piece in stream.chunks(PIECE) {
            decoder.feed(piece);
        }
        decoder.next_frame()
    });
}

/// What an execution that prints little sends, in one read.
#[divan::bench]
fn decode_thirty_frames(bencher: Bencher<'_, '_>) {
    let stream = encoded(64).repeat(30);
    bencher.counter(BytesCount::new(stream.len())).bench(|| {
        let mut decoder = Decoder::new();
        decoder.feed(&stream);
        std::iter::from_fn(|| decoder.next_frame().ok().flatten()).count()
    });
}

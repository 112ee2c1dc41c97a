//! The frame protocol: what is sent arrives in whatever pieces, and what is not
//! a frame is never taken for one. Nothing panics.

#![allow(clippy::unwrap_used, reason = "a test")]

use gantry_init::frame::{
    Decoder, Frame, FrameError, HEADER_BYTES, Header, Kind, MAX_REPLY_PAYLOAD, MAX_REQUEST_JSON,
    MAX_REQUEST_PAYLOAD, VERSION,
};
use gantry_init::message::{
    ArtifactBegin, ArtifactCaps, DiskEnd, DiskUse, End, Exit, Hello, Launch, LeftFile, OutputFile,
    OutputFileEnd, OverDisk, Place, Refused, RefusedReason, Request, SkipReason, SkippedArtifact,
    StoodBy, Stopped, Usage,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

/// Every kind, by trying every number.
fn kinds() -> Vec<Kind> {
    (0..=u8::MAX).filter_map(Kind::from_number).collect()
}

fn frame() -> impl Strategy<Value = Frame> {
    (proptest::sample::select(kinds()), proptest::collection::vec(any::<u8>(), 0..300)).prop_map(
        |(kind, mut payload)| {
            payload.truncate(kind.max_payload());
            Frame { kind, payload }
        },
    )
}

fn encode(frame: &Frame) -> Vec<u8> {
    [&Header::encode(frame.kind, frame.payload.len()).unwrap(), frame.payload.as_slice()].concat()
}

/// All frames up to where more bytes are needed.
fn frames(decoder: &mut Decoder) -> Result<Vec<Frame>, FrameError> {
    std::iter::from_fn(|| decoder.next_frame().transpose()).collect()
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(message: &T) {
    let json = serde_json::to_vec(message).unwrap();
    assert_eq!(&serde_json::from_slice::<T>(&json).unwrap(), message);
}

#[test]
fn a_kind_is_known_by_its_number() {
    assert_eq!(kinds().len(), 19);
    for kind in kinds() {
        assert_eq!(Kind::from_number(kind as u8), Some(kind));
        let from_init = kind as u8 >= 16;
        assert!(!from_init || kind.max_payload() <= MAX_REPLY_PAYLOAD, "{kind:?}");
    }
}

#[test]
fn every_kind_has_a_longest_payload() {
    for kind in kinds() {
        let most = kind.max_payload();
        let header = Header::encode(kind, most).unwrap();
        assert_eq!(Header::decode(header), Ok(Header { kind, length: most }));
        let too_long = FrameError::Length { kind, length: most + 1 };
        assert_eq!(Header::encode(kind, most + 1), Err(too_long.clone()));
        let mut header = header;
        header[4..].copy_from_slice(&u32::try_from(most + 1).unwrap().to_le_bytes());
        assert_eq!(Header::decode(header), Err(too_long));
    }
    assert_eq!(Kind::Request.max_payload(), MAX_REQUEST_JSON);
    assert_eq!(Kind::Script.max_payload(), MAX_REQUEST_PAYLOAD);
}

#[test]
fn a_broken_stream_stays_broken() {
    for (bytes, error) in [
        ([b'X', VERSION, 17, 0, 0, 0, 0, 0], FrameError::Magic(b'X')),
        ([b'G', VERSION + 1, 17, 0, 0, 0, 0, 0], FrameError::Version(VERSION + 1)),
        ([b'G', VERSION, 99, 0, 0, 0, 0, 0], FrameError::Kind(99)),
        ([b'G', VERSION, 17, 1, 0, 0, 0, 0], FrameError::Kind(17)),
        ([b'G', VERSION, 17, 0, 1, 0, 0, 0], FrameError::Length { kind: Kind::Started, length: 1 }),
    ] {
        let mut decoder = Decoder::new();
        decoder.feed(&bytes);
        assert_eq!(decoder.next_frame(), Err(error.clone()));
        decoder.feed(&Header::encode(Kind::Started, 0).unwrap());
        assert_eq!(decoder.next_frame(), Err(error));
    }
}

#[test]
fn a_frame_that_is_cut_is_no_frame() {
    let bytes = encode(&Frame { kind: Kind::Stdout, payload: b"abc".to_vec() });
    for cut in 1..bytes.len() {
        let mut decoder = Decoder::new();
        decoder.feed(&bytes[..cut]);
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(!decoder.is_at_boundary());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_arrive_in_whatever_pieces(
        sent in proptest::collection::vec(frame(), 0..20),
        piece in 1..500_usize,
    ) {
        let bytes = sent.iter().flat_map(encode).collect::<Vec<_>>();
        let mut decoder = Decoder::new();
        let mut received = vec![];
        for piece in bytes.chunks(piece) {
            decoder.feed(piece);
            received.extend(frames(&mut decoder).unwrap());
        }
        prop_assert!(decoder.is_at_boundary());
        prop_assert_eq!(received, sent);
    }

    #[test]
    fn arbitrary_bytes_are_never_too_much(
        start in proptest::collection::vec(frame(), 0..3),
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20),
    ) {
        let mut decoder = Decoder::new();
        decoder.feed(&start.iter().flat_map(encode).collect::<Vec<_>>());
        prop_assert_eq!(frames(&mut decoder).unwrap(), start);
        for piece in pieces {
            decoder.feed(&piece);
            if let Ok(frames) = frames(&mut decoder) {
                prop_assert!(frames.iter().all(|it| it.payload.len() <= it.kind.max_payload()));
            } else {
                break;
            }
        }
    }

    #[test]
    fn a_header_is_what_it_was_or_nothing(bytes in any::<[u8; HEADER_BYTES]>(), honest in any::<bool>()) {
        let mut bytes = bytes;
        if honest {
            (bytes[0], bytes[1], bytes[3], bytes[6], bytes[7]) = (b'G', VERSION, 0, 0, 0);
        }
        if let Ok(header) = Header::decode(bytes) {
            prop_assert_eq!(Header::encode(header.kind, header.length), Ok(bytes));
        }
    }

    #[test]
    fn requests_are_understood(
        texts in proptest::collection::vec(any::<String>(), 6),
        numbers in any::<[u64; 7]>(),
        count in any::<u32>(),
        form in 0..3,
    ) {
        let [script_bytes, stdin_bytes, timeout_ms, grace_ms, stream_cap, cap, bytes] = numbers;
        let text = |index: usize| texts[index].clone();
        let launch = match form {
            0 => Launch::Interpreted { interpreter: vec![text(0), text(1)], file_name: text(2) },
            1 => Launch::Executable { name: text(0) },
            _ => Launch::InImage { command: vec![text(0), text(1)], path: text(2) },
        };
        round_trip(&Request {
            launch,
            args: texts.clone(),
            env: vec![(text(3), text(4))],
            working_directory: text(5),
            script_bytes,
            stdin_bytes,
            timeout_ms,
            grace_ms,
            stream_cap,
            output_file: (form == 0).then(|| OutputFile { path: text(1), cap }),
            artifacts: ArtifactCaps { count, bytes },
            disk: None,
            stay_ms: 0,
        });
    }

    #[test]
    fn answers_are_understood(
        text in any::<String>(),
        numbers in any::<[u64; 6]>(),
        code in any::<i32>(),
        variant in 0..4_usize,
    ) {
        let [duration_us, stdout_bytes, stderr_bytes, cpu_us, peak_memory_bytes, size] = numbers;
        let reasons =
            [SkipReason::TooMany, SkipReason::TooLarge, SkipReason::Name, SkipReason::Unreadable];
        let files = [
            OutputFileEnd::Sent,
            OutputFileEnd::Missing,
            OutputFileEnd::TooLarge(size),
            OutputFileEnd::Unreadable,
        ];
        let over = [
            None,
            Some(OverDisk::Bytes(numbers[2])),
            Some(OverDisk::Files(numbers[2])),
            Some(OverDisk::Depth),
        ][variant];
        round_trip(&LeftFile { name: text.clone(), size: numbers[0], executable: variant == 0 });
        round_trip(&DiskUse { bytes: numbers[0] });
        round_trip(&Exit {
            end: if variant % 2 == 0 { End::Code(code) } else { End::Signal(code) },
            stopped: [None, Some(Stopped::Deadline), Some(Stopped::Cancelled), Some(Stopped::Disk)][variant],
            duration_us,
            stdout_bytes,
            stderr_bytes,
            usage: Usage { cpu_us, peak_memory_bytes, oom_kills: size },
            output_file: Some(files[variant]),
            artifacts_skipped: vec![SkippedArtifact { name: text.clone(), reason: reasons[variant] }],
            artifacts_unlisted: size,
            artifacts_sent: size,
            places: vec![Place { path: text.clone(), bytes: size, was_full: true, is_full: false }],
            disk: over.map(|over| DiskEnd {
                limit_bytes: numbers[0],
                peak_bytes: numbers[1],
                over: Some(over),
            }),
            stood_by: [None, Some(StoodBy::Ran), Some(StoodBy::Replaced(text.clone())), None]
                [variant]
                .clone(),
        });
        round_trip(&Hello { init: text.clone() });
        round_trip(&ArtifactBegin { name: text.clone(), size });
        round_trip(&Refused { reason: RefusedReason::NotFound, detail: text });
    }
}

#[test]
fn a_later_version_may_say_more() {
    let hello: Hello = serde_json::from_str(r#"{"init":"9.9.9","colour":"blue"}"#).unwrap();
    assert_eq!(hello.init, "9.9.9");
}

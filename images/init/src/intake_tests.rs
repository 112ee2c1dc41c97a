//! A request is read the same in whatever pieces it comes, and nothing but a
//! request is taken for one.

use super::*;
use crate::message::{ArtifactCaps, Launch, Preparation};
use proptest::prelude::*;

fn request(script_bytes: u64, stdin_bytes: u64) -> Request {
    Request {
        launch: Launch::Executable { name: "it".into() },
        args: vec!["--exactly".into()],
        env: vec![],
        working_directory: "/work".into(),
        script_bytes,
        stdin_bytes,
        timeout_ms: 1,
        grace_ms: 1,
        stream_cap: 1,
        output_file: None,
        artifacts: ArtifactCaps { count: 0, bytes: 0 },
        disk: None,
        stay_ms: 0,
    }
}

fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    [&Header::encode(kind, payload.len()).unwrap(), payload].concat()
}

fn preparation() -> Preparation {
    Preparation { rehearsal: vec!["/bin/true".into()], stand_by: None }
}

fn preparation_frame() -> Vec<u8> {
    frame(Kind::Prepare, &serde_json::to_vec(&preparation()).unwrap())
}

fn request_frame(request: &Request) -> Vec<u8> {
    frame(Kind::Request, &serde_json::to_vec(request).unwrap())
}

/// Events of a stream: the request, the script's and stdin's bytes, words to start,
/// cancels.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    preparation: Option<Box<Preparation>>,
    request: Option<Box<Request>>,
    script: Vec<u8>,
    stdin: Vec<u8>,
    gos: usize,
    cancels: usize,
}

fn read(intake: &mut Intake, mut bytes: &[u8], seen: &mut Seen) -> Result<(), IntakeError> {
    while let Some(event) = intake.next(&mut bytes)? {
        match event {
            Event::Prepare(preparation) => seen.preparation = Some(preparation),
            Event::Request(request) => seen.request = Some(request),
            Event::Script(piece) => seen.script.extend(piece),
            Event::Stdin(piece) => seen.stdin.extend(piece),
            Event::Go => seen.gos += 1,
            Event::Cancel => seen.cancels += 1,
        }
    }
    assert!(bytes.is_empty(), "all that was given is taken");
    Ok(())
}

fn refusal(stream: &[u8]) -> IntakeError {
    read(&mut Intake::default(), stream, &mut Seen::default()).unwrap_err()
}

#[test]
fn without_script_and_stdin_the_request_is_complete() {
    let mut intake = Intake::default();
    assert!(!intake.is_complete());
    read(&mut intake, &request_frame(&request(0, 0)), &mut Seen::default()).unwrap();
    assert!(intake.is_complete());
}

#[test]
fn it_is_not_complete_before_its_last_byte() {
    let mut intake = Intake::default();
    let stream = [request_frame(&request(1, 2)), frame(Kind::Script, b"s")].concat();
    read(&mut intake, &stream, &mut Seen::default()).unwrap();
    let stdin = frame(Kind::Stdin, b"in");
    let (most, last) = stdin.split_at(stdin.len() - 1);
    read(&mut intake, most, &mut Seen::default()).unwrap();
    assert!(!intake.is_complete());
    read(&mut intake, last, &mut Seen::default()).unwrap();
    assert!(intake.is_complete());
}

#[test]
fn a_complete_request_is_not_to_be_started_before_it_is_said() {
    let mut intake = Intake::default();
    let mut seen = Seen::default();
    read(&mut intake, &request_frame(&request(0, 0)), &mut seen).unwrap();
    let go = frame(Kind::Go, b"");
    let (most, last) = go.split_at(go.len() - 1);
    read(&mut intake, most, &mut seen).unwrap();
    assert!(intake.is_complete() && !intake.has_go());
    read(&mut intake, last, &mut seen).unwrap();
    assert!(intake.is_complete() && intake.has_go());
    assert_eq!(seen.gos, 1);
}

#[test]
fn a_cancel_is_heard_before_and_after() {
    let (cancel, go) = (frame(Kind::Cancel, b""), frame(Kind::Go, b""));
    let mut seen = Seen::default();
    let request = request_frame(&request(0, 0));
    let stream = [cancel.clone(), request, cancel.clone(), go, cancel].concat();
    read(&mut Intake::default(), &stream, &mut seen).unwrap();
    assert_eq!((seen.cancels, seen.gos), (3, 1));
}

#[test]
fn what_is_out_of_order_is_refused() {
    let begun = |script, stdin| request_frame(&request(script, stdin));
    let go = || frame(Kind::Go, b"");
    let prepare = preparation_frame;
    for (case, stream) in [
        ("second preparation", [prepare(), prepare()].concat()),
        ("preparation after the request", [begun(0, 0), prepare()].concat()),
        ("start of a preparation", [prepare(), go()].concat()),
        ("script first", frame(Kind::Script, b"s")),
        ("second request", [begun(0, 0), begun(0, 0)].concat()),
        ("stdin before the script", [begun(1, 1), frame(Kind::Stdin, b"i")].concat()),
        ("more script than announced", [begun(1, 0), frame(Kind::Script, b"ss")].concat()),
        ("stdin that was not announced", [begun(0, 0), frame(Kind::Stdin, b"i")].concat()),
        ("start first", go()),
        ("start before the script", [begun(1, 0), go()].concat()),
        ("start before stdin", [begun(0, 1), go()].concat()),
        ("second start", [begun(0, 0), go(), go()].concat()),
        ("script after the start", [begun(0, 0), go(), frame(Kind::Script, b"s")].concat()),
        ("an answer", frame(Kind::Stdout, b"o")),
    ] {
        assert!(matches!(refusal(&stream), IntakeError::Order { .. }), "{case}");
    }
}

#[test]
fn garbage_is_refused() {
    assert!(matches!(refusal(b"GET / HTTP/1.1\r\n"), IntakeError::Frame(_)));
    assert!(matches!(refusal(&frame(Kind::Request, b"{}")), IntakeError::Json(_)));
    assert!(matches!(refusal(&frame(Kind::Request, b"")), IntakeError::Json(_)));
    assert!(matches!(refusal(&frame(Kind::Prepare, b"[]x")), IntakeError::Json(_)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_make_no_difference(
        script in proptest::collection::vec(any::<u8>(), 0..200),
        stdin in proptest::collection::vec(any::<u8>(), 0..200),
        frame_length in 1..64_usize,
        piece_length in 1..64_usize,
    ) {
        let request = request(script.len() as u64, stdin.len() as u64);
        let mut stream = [preparation_frame(), request_frame(&request)].concat();
        for (kind, content) in [(Kind::Script, &script), (Kind::Stdin, &stdin)] {
            stream.extend(content.chunks(frame_length).flat_map(|piece| frame(kind, piece)));
        }
        let mut intake = Intake::default();
        let mut seen = Seen::default();
        for piece in stream.chunks(piece_length) {
            prop_assert!(!intake.is_complete());
            read(&mut intake, piece, &mut seen).unwrap();
        }
        prop_assert!(intake.is_complete() && !intake.has_go());
        for piece in frame(Kind::Go, b"").chunks(piece_length) {
            prop_assert!(!intake.has_go());
            read(&mut intake, piece, &mut seen).unwrap();
        }
        prop_assert!(intake.has_go());
        prop_assert_eq!(
            seen,
            Seen {
                preparation: Some(Box::new(preparation())),
                request: Some(Box::new(request)),
                script,
                stdin,
                gos: 1,
                cancels: 0,
            }
        );
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..10),
        valid_start in any::<bool>(),
    ) {
        let mut intake = Intake::default();
        let mut seen = Seen::default();
        if valid_start {
            read(&mut intake, &request_frame(&request(9, 9)), &mut seen).unwrap();
        }
        for piece in pieces {
            if read(&mut intake, &piece, &mut seen).is_err() {
                break;
            }
        }
    }
}

//! A request is taken whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test")]

mod sandbox;

use std::io::{Read, Write};

use gantry_init::frame::{Decoder, Kind};
use gantry_init::message::{Refused, RefusedReason};
use nix::sys::signal::{Signal, kill};
use sandbox::run::{frame, shell};
use sandbox::{Sandbox, children, next_frame};

/// PID 1's exit code when it got no word to start.
const NO_REQUEST: i32 = 65;

/// Runs it on these bytes and the end of stdin.
fn fed(bytes: &[u8]) -> Option<(i32, Vec<Kind>, Option<Refused>)> {
    let mut sandbox = Sandbox::start()?;
    let _ = sandbox.input.take().unwrap().write_all(bytes);
    let mut decoder = Decoder::new();
    decoder.feed(&sandbox.output());
    let (mut kinds, mut refused) = (vec![], None);
    while let Some(frame) = decoder.next_frame().unwrap() {
        if frame.kind == Kind::Refused {
            refused = Some(serde_json::from_slice(&frame.payload).unwrap());
        }
        kinds.push(frame.kind);
    }
    Some((sandbox.exit_code(), kinds, refused))
}

/// The frames that come up to one of this kind. Reads no further.
fn heard(output: &mut impl Read, last: Kind) -> Vec<Kind> {
    let mut kinds = vec![];
    while kinds.last() != Some(&last) {
        kinds.push(next_frame(output).kind);
    }
    kinds
}

#[test]
fn without_gantry_it_exits_at_once() {
    let request = shell("echo never").stdin(b"in").request_bytes();
    for cut in [0, 1, 8, 100, request.len() - 1] {
        let Some((code, kinds, _)) = fed(&request[..cut]) else { return };
        assert_eq!((code, kinds), (NO_REQUEST, vec![Kind::Hello]), "cut at {cut}");
    }
}

#[test]
fn without_the_word_to_start_a_whole_request_runs_nothing() {
    let go = frame(Kind::Go, b"");
    for cut in 0..go.len() {
        let request = shell("echo never").stdin(b"in").request_bytes();
        let Some((code, kinds, _)) = fed(&[&request, &go[..cut]].concat()) else { return };
        let expected = vec![Kind::Hello, Kind::Loaded];
        assert_eq!((code, kinds), (NO_REQUEST, expected), "{cut} bytes of Go");
    }
}

#[test]
fn a_loaded_request_waits_until_it_is_started() {
    let Some(mut sandbox) = Sandbox::start() else { return };
    let request = shell("cat").stdin(b"in").request_bytes();
    sandbox.input.as_mut().unwrap().write_all(&request).unwrap();
    let mut output = sandbox.output.take().unwrap();
    assert_eq!(heard(&mut output, Kind::Loaded), [Kind::Hello, Kind::Loaded]);
    let init = sandbox.init();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(children(init), []);
    sandbox.input.as_mut().unwrap().write_all(&frame(Kind::Go, b"")).unwrap();
    let expected = [Kind::Started, Kind::Stdout, Kind::Exit];
    assert_eq!(heard(&mut output, Kind::Exit), expected);
    assert_eq!(sandbox.exit_code(), 0);
}

#[test]
fn a_loaded_request_is_dropped_by_a_cancel_and_by_term() {
    let cancel = |sandbox: &mut Sandbox| {
        let _ = sandbox.input.as_mut().unwrap().write_all(&frame(Kind::Cancel, b""));
    };
    let term = |sandbox: &mut Sandbox| kill(sandbox.init(), Signal::SIGTERM).unwrap();
    for end in [cancel, term] {
        let Some(mut sandbox) = Sandbox::start() else { return };
        let request = shell("echo never").request_bytes();
        sandbox.input.as_mut().unwrap().write_all(&request).unwrap();
        let mut output = sandbox.output.take().unwrap();
        assert_eq!(heard(&mut output, Kind::Loaded), [Kind::Hello, Kind::Loaded]);
        end(&mut sandbox);
        assert_eq!(sandbox.exit_code(), NO_REQUEST);
        assert_eq!(std::io::read_to_string(output).unwrap(), "");
    }
}

#[test]
fn garbage_in_place_of_the_word_to_start_is_refused() {
    for garbage in [vec![0; 100], frame(Kind::Stdin, b"more"), frame(Kind::Request, b"{}")] {
        let bytes = [shell("echo never").request_bytes(), garbage].concat();
        let Some((code, kinds, refused)) = fed(&bytes) else { return };
        assert_eq!((code, kinds.last()), (0, Some(&Kind::Refused)));
        assert!(!kinds.contains(&Kind::Started), "{kinds:?}");
        assert_eq!(refused.unwrap().reason, RefusedReason::Request);
    }
}

#[test]
fn the_end_of_stdin_after_the_start_means_nothing() {
    let request = shell("sleep 0.2; echo late").bytes();
    let Some((code, kinds, _)) = fed(&request) else { return };
    let expected = [Kind::Hello, Kind::Loaded, Kind::Started, Kind::Stdout, Kind::Exit];
    assert_eq!((code, kinds.as_slice()), (0, expected.as_slice()));
}

#[test]
fn garbage_after_the_start_means_nothing() {
    for garbage in [vec![0; 100], frame(Kind::Go, b"")] {
        let request = [shell("sleep 0.2; echo late").bytes(), garbage].concat();
        let Some((code, kinds, _)) = fed(&request) else { return };
        assert_eq!((code, kinds.last()), (0, Some(&Kind::Exit)));
    }
}

#[test]
fn a_cancel_before_the_request_is_whole_ends_it() {
    let request = shell("echo never").stdin(b"in").request_bytes();
    let stdin = frame(Kind::Stdin, b"in").len();
    let bytes = [&request[..request.len() - stdin], &frame(Kind::Cancel, b"")].concat();
    let Some((code, kinds, _)) = fed(&bytes) else { return };
    assert_eq!((code, kinds), (NO_REQUEST, vec![Kind::Hello]));
}

#[test]
fn term_from_outside_ends_a_sandbox_that_waits() {
    let Some(mut sandbox) = Sandbox::start() else { return };
    let mut hello = [0; 1];
    std::io::Read::read_exact(sandbox.output.as_mut().unwrap(), &mut hello).unwrap();
    kill(sandbox.init(), Signal::SIGTERM).unwrap();
    assert_eq!(sandbox.exit_code(), NO_REQUEST);
}

#[test]
fn what_is_no_request_is_refused() {
    let no_request = frame(Kind::Request, br#"{"launch":"?"}"#);
    let too_much = {
        let mut bytes = shell("").request_bytes();
        bytes.truncate(bytes.len() - 1);
        [bytes, frame(Kind::Stdin, b"x")].concat()
    };
    for bytes in [
        b"HTTP/1.1 400 Bad Request".to_vec(),
        no_request,
        frame(Kind::Script, b"exit 0"),
        frame(Kind::Go, b""),
        too_much,
        shell("").working_directory("relative").bytes(),
        shell("").output_file("../../etc/passwd", 10).bytes(),
        shell("").args(&["a\0b"]).bytes(),
    ] {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((code, kinds, refused)) = fed(&bytes) else { return };
        assert_eq!((code, kinds), (0, vec![Kind::Hello, Kind::Refused]), "{text}");
        assert_eq!(refused.unwrap().reason, RefusedReason::Request, "{text}");
    }
}

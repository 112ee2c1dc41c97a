//! A request is taken whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test")]

mod sandbox;

use std::io::Write;

use gantry_init::frame::{Decoder, Kind};
use gantry_init::message::{Refused, RefusedReason};
use nix::sys::signal::{Signal, kill};
use sandbox::Sandbox;
use sandbox::run::{frame, shell};

/// PID 1's exit code when there was no request.
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

#[test]
fn without_gantry_it_exits_at_once() {
    let request = shell("echo never").stdin(b"in").bytes();
    for cut in [0, 1, 8, 100, request.len() - 1] {
        let Some((code, kinds, _)) = fed(&request[..cut]) else { return };
        assert_eq!((code, kinds), (NO_REQUEST, vec![Kind::Hello]), "cut at {cut}");
    }
}

#[test]
fn the_end_of_stdin_after_the_request_means_nothing() {
    let request = shell("sleep 0.2; echo late").bytes();
    let Some((code, kinds, _)) = fed(&request) else { return };
    let expected = [Kind::Hello, Kind::Started, Kind::Stdout, Kind::Exit];
    assert_eq!((code, kinds.as_slice()), (0, expected.as_slice()));
}

#[test]
fn garbage_after_the_request_means_nothing() {
    let request = [shell("sleep 0.2; echo late").bytes(), vec![0; 100]].concat();
    let Some((code, kinds, _)) = fed(&request) else { return };
    assert_eq!((code, kinds.last()), (0, Some(&Kind::Exit)));
}

#[test]
fn a_cancel_before_the_request_is_whole_ends_it() {
    let request = shell("echo never").stdin(b"in").bytes();
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
        let mut bytes = shell("").bytes();
        bytes.truncate(bytes.len() - 1);
        [bytes, frame(Kind::Stdin, b"x")].concat()
    };
    for bytes in [
        b"HTTP/1.1 400 Bad Request".to_vec(),
        no_request,
        frame(Kind::Script, b"exit 0"),
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

//! Arbitrary frames of a hostile container, held against the limits of a request.
//!
//! Four bytes are the limits: of each stream, of the output file (255: none is
//! declared), the number of artifacts and their bytes. A number from 128 on is less 128, of
//! files that are left on disk. What follows are frames: a kind, a length of one byte, and
//! so many bytes. A kind above 127 is an artifact's beginning, or a file on disk: its size
//! and its name.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use gantry::sandbox::OutputLimits;
use gantry::sandbox::conversation::{Conversation, Event};
use gantry_init::frame::{Frame, Kind};
use gantry_init::message::{
    ArtifactBegin, ArtifactCaps, DiskCaps, Launch, LeftFile, OutputFile, Request,
};

/// Nothing is let through that the request does not allow or that has no place there;
/// and what is let through is what was sent.
pub fn hold(input: &[u8]) -> bool {
    let Some((limits, rest)) = input.split_first_chunk() else { return false };
    let request = request(*limits);
    let mut conversation = Conversation::new(&OutputLimits::from(&request));
    let mut seen = Seen::default();
    for frame in frames(rest, request.disk.is_some()) {
        match conversation.accept(frame.clone()) {
            Ok(event) => seen.add(event, &frame, &request),
            Err(violation) => {
                super::is_short(&violation.to_string());
                return false;
            }
        }
    }
    seen.has_ended
}

fn request([stream_cap, output_cap, count, bytes]: [u8; 4]) -> Request {
    let cap = (output_cap < 255).then_some(output_cap.into());
    Request {
        launch: Launch::Executable { name: "it".into() },
        args: vec![],
        env: vec![],
        working_directory: "/work".into(),
        script_bytes: 0,
        stdin_bytes: 0,
        timeout_ms: 1_000,
        grace_ms: 100,
        stream_cap: stream_cap.into(),
        output_file: cap.map(|cap| OutputFile { path: "out".into(), cap }),
        artifacts: ArtifactCaps { count: (count % 128).into(), bytes: bytes.into() },
        disk: (count >= 128).then_some(DiskCaps { bytes: bytes.into(), files: 100 }),
        stay_ms: 0,
    }
}

fn frames(mut bytes: &[u8], on_disk: bool) -> Vec<Frame> {
    let mut frames = vec![];
    while let Some(([number, length], rest)) = bytes.split_first_chunk() {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes = rest;
        let frame = match (number, payload.split_first()) {
            (128.., Some((size, name))) if on_disk => left_file(*size, name),
            (128.., Some((size, name))) => artifact_begin(*size, name),
            _ => {
                let Some(kind) = Kind::from_number(number % 32) else { continue };
                // No decoder gives a longer one.
                let payload = payload[..payload.len().min(kind.max_payload())].to_vec();
                Frame { kind, payload }
            }
        };
        frames.push(frame);
    }
    frames
}

fn artifact_begin(size: u8, name: &[u8]) -> Frame {
    let begin =
        ArtifactBegin { name: String::from_utf8_lossy(name).into_owned(), size: size.into() };
    let payload = serde_json::to_vec(&begin).expect("messages can be written");
    Frame { kind: Kind::ArtifactBegin, payload }
}

fn left_file(size: u8, name: &[u8]) -> Frame {
    let name = String::from_utf8_lossy(name).into_owned();
    let file = LeftFile { name, size: size.into(), executable: size.is_multiple_of(2) };
    let payload = serde_json::to_vec(&file).expect("messages can be written");
    Frame { kind: Kind::LeftFile, payload }
}

/// What has been let through.
#[derive(Default)]
struct Seen {
    is_loaded: bool,
    has_started: bool,
    has_ended: bool,
    /// Whether the script's own output is over.
    is_collecting: bool,
    stdout: u64,
    stderr: u64,
    output_file: u64,
    artifacts: u64,
    artifact_bytes: u64,
    /// Of the artifact that was begun last.
    missing: u64,
    /// Names of files on disk.
    names: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, event: Event, frame: &Frame, request: &Request) {
        assert!(!self.has_ended, "nothing comes after the end");
        let size = frame.payload.len() as u64;
        let is_data = matches!(event, Event::ArtifactData(_));
        assert!(self.missing == 0 || is_data, "an artifact is sent as a whole");
        let is_before = matches!(event, Event::Loaded | Event::Started | Event::Refused(_));
        assert_eq!(is_before, !self.has_started, "{:?}", frame.kind);
        match event {
            Event::Up => unreachable!("a request comes after it"),
            Event::Loaded => assert!(!std::mem::replace(&mut self.is_loaded, true)),
            Event::Started => {
                assert!(self.is_loaded);
                self.has_started = true;
            }
            Event::Stdout(bytes) => {
                assert!(!self.is_collecting && bytes == frame.payload);
                add(&mut self.stdout, size, request.stream_cap);
            }
            Event::Stderr(bytes) => {
                assert!(!self.is_collecting && bytes == frame.payload);
                add(&mut self.stderr, size, request.stream_cap);
            }
            Event::OutputFile(bytes) => {
                assert!(self.artifacts == 0 && bytes == frame.payload);
                self.is_collecting = true;
                let cap = request.output_file.as_ref().map_or(0, |file| file.cap);
                add(&mut self.output_file, size, cap);
            }
            Event::ArtifactBegin(ArtifactBegin { name, size }) => {
                assert!(request.disk.is_none());
                self.is_collecting = true;
                add(&mut self.artifacts, 1, request.artifacts.count.into());
                add(&mut self.artifact_bytes, size, request.artifacts.bytes);
                self.missing = size;
                stays_below(&name);
            }
            Event::ArtifactData(bytes) => {
                assert!(self.artifacts > 0 && bytes == frame.payload && size <= self.missing);
                self.missing -= size;
            }
            Event::LeftFile(LeftFile { name, size, .. }) => {
                assert!(request.disk.is_some());
                self.is_collecting = true;
                add(&mut self.artifacts, 1, request.artifacts.count.into());
                add(&mut self.artifact_bytes, size, request.artifacts.bytes);
                stays_below(&name);
                assert!(self.names.insert(name), "no name comes twice");
            }
            Event::DiskUse(_) => assert!(request.disk.is_some() && !self.is_collecting),
            Event::Exit(_) | Event::Refused(_) => self.has_ended = true,
        }
    }
}

#[track_caller]
fn add(sum: &mut u64, more: u64, cap: u64) {
    *sum += more;
    assert!(*sum <= cap, "{sum} of {cap}");
}

/// The name leads to a file below where it is put, and shows what it is.
fn stays_below(name: &str) {
    assert!(!name.is_empty() && name.len() <= 1024 && !name.contains('\\'));
    assert!(!name.contains(char::is_control));
    let mut components = Path::new(name).components();
    assert!(components.all(|it| matches!(it, Component::Normal(_))), "{name:?}");
}

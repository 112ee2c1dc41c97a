//! Nothing beyond the limits of a request passes the conversation, whatever a container
//! sends.

use std::time::Duration;

use gantry_init::message::{ArtifactCaps, End, RefusedReason, Usage};
use proptest::prelude::*;

use super::*;

const STREAM_CAP: u64 = 40;
const OUTPUT_FILE_CAP: u64 = 30;
const ARTIFACTS: u32 = 3;
const ARTIFACT_BYTES: u64 = 50;

fn limits() -> OutputLimits {
    OutputLimits {
        stream_cap: STREAM_CAP,
        output_file_cap: Some(OUTPUT_FILE_CAP),
        artifacts: ArtifactCaps { count: ARTIFACTS, bytes: ARTIFACT_BYTES },
        on_disk: false,
        grace: Duration::from_secs(1),
    }
}

fn frame(kind: Kind, payload: impl Into<Vec<u8>>) -> Frame {
    Frame { kind, payload: payload.into() }
}

fn loaded() -> Frame {
    frame(Kind::Loaded, [])
}

fn started() -> Frame {
    frame(Kind::Started, [])
}

fn artifact(name: &str, size: u64) -> Frame {
    let begin = ArtifactBegin { name: name.to_owned(), size };
    frame(Kind::ArtifactBegin, serde_json::to_vec(&begin).unwrap())
}

fn exit() -> Frame {
    let exit = Exit {
        end: End::Code(0),
        stopped: None,
        duration_us: 0,
        stdout_bytes: 0,
        stderr_bytes: 0,
        usage: Usage::default(),
        output_file: None,
        artifacts_skipped: Vec::new(),
        artifacts_unlisted: 0,
        artifacts_sent: 0,
        places: Vec::new(),
        disk: None,
        stood_by: None,
    };
    frame(Kind::Exit, serde_json::to_vec(&exit).unwrap())
}

fn refused() -> Frame {
    let refused = Refused { reason: RefusedReason::Spawn, detail: String::new() };
    frame(Kind::Refused, serde_json::to_vec(&refused).unwrap())
}

/// Meaning of the last frame of a conversation that begins with these.
fn last_of(frames: impl IntoIterator<Item = Frame>) -> Result<Event, ProtocolError> {
    let mut conversation = Conversation::new(&limits());
    let mut frames: Vec<_> = frames.into_iter().collect();
    let last = frames.pop().unwrap();
    for frame in frames {
        conversation.accept(frame).unwrap();
    }
    conversation.accept(last)
}

/// Meaning of the last frame if the request is loaded before the first one.
fn last(frames: impl IntoIterator<Item = Frame>) -> Result<Event, ProtocolError> {
    last_of([loaded()].into_iter().chain(frames))
}

#[test]
fn a_request_is_loaded_once_and_first() {
    assert_eq!(last_of([loaded()]), Ok(Event::Loaded));
    assert_eq!(last_of([started()]), Err(ProtocolError::Unexpected(Kind::Started)));
    let again = Err(ProtocolError::Unexpected(Kind::Loaded));
    assert_eq!(last([loaded()]), again);
    assert_eq!(last([started(), loaded()]), again);
    assert_eq!(last([started(), artifact("a", 0), loaded()]), again);
    assert_eq!(last([started(), exit(), loaded()]), again);
    assert_eq!(last_of([refused(), loaded()]), again);
}

#[test]
fn a_script_starts_before_it_prints() {
    for kind in [Kind::Stdout, Kind::Stderr, Kind::OutputFile, Kind::ArtifactData] {
        assert_eq!(last_of([frame(kind, "x")]), Err(ProtocolError::Unexpected(kind)));
        assert_eq!(last([frame(kind, "x")]), Err(ProtocolError::Unexpected(kind)));
    }
    assert_eq!(last_of([exit()]), Err(ProtocolError::Unexpected(Kind::Exit)));
    assert_eq!(last([exit()]), Err(ProtocolError::Unexpected(Kind::Exit)));
    assert_eq!(last([started(), started()]), Err(ProtocolError::Unexpected(Kind::Started)));
}

#[test]
fn it_is_refused_only_before_it_starts() {
    assert!(matches!(last_of([refused()]), Ok(Event::Refused(_))));
    assert!(matches!(last([refused()]), Ok(Event::Refused(_))));
    assert_eq!(last([started(), refused()]), Err(ProtocolError::Unexpected(Kind::Refused)));
}

#[test]
fn what_goes_to_pid_1_never_comes_from_it() {
    for kind in [Kind::Request, Kind::Script, Kind::Stdin, Kind::Cancel, Kind::Go, Kind::Hello] {
        assert_eq!(last_of([frame(kind, [])]), Err(ProtocolError::Unexpected(kind)));
        assert_eq!(last([frame(kind, [])]), Err(ProtocolError::Unexpected(kind)));
        assert_eq!(last([started(), frame(kind, [])]), Err(ProtocolError::Unexpected(kind)));
    }
}

#[test]
fn files_come_after_all_that_was_printed_and_the_output_file_comes_first() {
    let file = || frame(Kind::OutputFile, "{}");
    let unexpected = |kind| Err(ProtocolError::Unexpected(kind));
    let late = frame(Kind::Stdout, "x");
    assert_eq!(last([started(), file(), late.clone()]), unexpected(Kind::Stdout));
    assert_eq!(last([started(), artifact("a", 0), late]), unexpected(Kind::Stdout));
    assert_eq!(last([started(), artifact("a", 0), file()]), unexpected(Kind::OutputFile));
    assert!(last([started(), file(), file(), artifact("a", 0), exit()]).is_ok());
}

#[test]
fn each_stream_has_its_own_cap() {
    let full = vec![b'x'; usize::try_from(STREAM_CAP).unwrap()];
    let (out, err) = (frame(Kind::Stdout, full.clone()), frame(Kind::Stderr, full));
    assert!(last([started(), out.clone(), err.clone(), exit()]).is_ok());
    let more = frame(Kind::Stdout, "x");
    assert_eq!(last([started(), out, more]), Err(ProtocolError::LimitExceeded("stdout")));
    let more = frame(Kind::Stderr, "x");
    assert_eq!(last([started(), err, more]), Err(ProtocolError::LimitExceeded("stderr")));
}

#[test]
fn an_output_file_that_was_not_asked_for_has_no_bytes() {
    let mut conversation = Conversation::new(&OutputLimits { output_file_cap: None, ..limits() });
    conversation.accept(loaded()).unwrap();
    conversation.accept(started()).unwrap();
    let file = conversation.accept(frame(Kind::OutputFile, "x"));
    assert_eq!(file, Err(ProtocolError::LimitExceeded("output file")));
}

#[test]
fn an_artifact_is_as_long_as_it_said() {
    let data = |bytes: &str| frame(Kind::ArtifactData, bytes);
    assert!(last([started(), artifact("a", 3), data("ab"), data("c"), exit()]).is_ok());
    let too_much = last([started(), artifact("a", 3), data("abcd")]);
    assert_eq!(too_much, Err(ProtocolError::LimitExceeded("artifact")));
    for next in [exit(), artifact("b", 1), frame(Kind::Stdout, "x")] {
        let cut = last([started(), artifact("a", 3), data("ab"), next]);
        assert_eq!(cut, Err(ProtocolError::ArtifactIncomplete));
    }
}

#[test]
fn artifacts_are_no_more_and_no_larger_than_allowed() {
    let many = (0..=ARTIFACTS).map(|number| artifact(&number.to_string(), 0));
    let too_many = last([started()].into_iter().chain(many));
    assert_eq!(too_many, Err(ProtocolError::LimitExceeded("artifacts")));
    let too_large = last([started(), artifact("a", ARTIFACT_BYTES + 1)]);
    assert_eq!(too_large, Err(ProtocolError::LimitExceeded("artifact bytes")));
    let huge = last([started(), artifact("a", u64::MAX)]);
    assert_eq!(huge, Err(ProtocolError::LimitExceeded("artifact bytes")));
}

#[test]
fn an_artifact_stays_where_it_is_put() {
    assert!(last([started(), artifact("a/b", 0)]).is_ok());
    for name in ["../a", "a\\b"] {
        let begun = last([started(), artifact(name, 0)]);
        assert_eq!(begun, Err(ProtocolError::ArtifactName), "{name:?}");
    }
}

#[test]
fn a_message_that_is_none_is_unreadable() {
    for kind in [Kind::ArtifactBegin, Kind::Exit] {
        for payload in ["", "null", "{}", "[", "{\"name\":1}", "\u{feff}{}"] {
            let read = last([started(), frame(kind, payload)]);
            assert_eq!(read, Err(ProtocolError::Malformed(kind)), "{payload:?}");
        }
    }
    assert_eq!(last([frame(Kind::Refused, "x")]), Err(ProtocolError::Malformed(Kind::Refused)));
}

const KINDS: [Kind; 15] = [
    Kind::Request,
    Kind::Script,
    Kind::Stdin,
    Kind::Cancel,
    Kind::Go,
    Kind::Hello,
    Kind::Started,
    Kind::Stdout,
    Kind::Stderr,
    Kind::OutputFile,
    Kind::ArtifactBegin,
    Kind::ArtifactData,
    Kind::Exit,
    Kind::Refused,
    Kind::Loaded,
];

fn any_frame() -> impl Strategy<Value = Frame> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        2 => (proptest::sample::select(&KINDS[..]), bytes.clone())
            .prop_map(|(kind, payload)| frame(kind, payload)),
        4 => (proptest::sample::select(vec![Kind::Stdout, Kind::Stderr]), bytes.clone())
            .prop_map(|(kind, payload)| frame(kind, payload)),
        2 => bytes.clone().prop_map(|payload| frame(Kind::OutputFile, payload)),
        2 => ("(a|\\.\\.|/|b){0,4}", 0..30_u64).prop_map(|(name, size)| artifact(&name, size)),
        3 => bytes.prop_map(|payload| frame(Kind::ArtifactData, payload)),
        1 => Just(exit()),
        1 => Just(refused()),
        1 => Just(loaded()),
        1 => Just(started()),
    ]
}

/// Output that the conversation accepted.
#[derive(Debug, Default)]
struct Passed {
    loaded: usize,
    started: usize,
    stdout: u64,
    stderr: u64,
    output_file: u64,
    artifacts: u32,
    announced: u64,
    artifact_data: u64,
    ends: usize,
}

impl Passed {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Up => {}
            Event::Loaded => self.loaded += 1,
            Event::Started => self.started += 1,
            Event::Stdout(bytes) => self.stdout += bytes.len() as u64,
            Event::Stderr(bytes) => self.stderr += bytes.len() as u64,
            Event::OutputFile(bytes) => self.output_file += bytes.len() as u64,
            Event::ArtifactBegin(begin) => {
                self.artifacts += 1;
                self.announced += begin.size;
            }
            Event::ArtifactData(bytes) => self.artifact_data += bytes.len() as u64,
            Event::LeftFile(_) | Event::DiskUse(_) => panic!("its files are in memory"),
            Event::Exit(_) | Event::Refused(_) => self.ends += 1,
        }
    }

    fn is_within_the_request(&self) -> bool {
        self.loaded <= 1
            && self.started <= self.loaded
            && self.stdout <= STREAM_CAP
            && self.stderr <= STREAM_CAP
            && self.output_file <= OUTPUT_FILE_CAP
            && self.artifacts <= ARTIFACTS
            && self.announced <= ARTIFACT_BYTES
            && self.artifact_data <= self.announced
            && self.ends <= 1
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Even to a caller who goes on after a violation.
    #[test]
    fn nothing_beyond_the_request_gets_past(
        begins in 0..=2_usize,
        frames in proptest::collection::vec(any_frame(), 0..60),
    ) {
        let mut conversation = Conversation::new(&limits());
        let mut passed = Passed::default();
        let first = [loaded(), started()].into_iter().take(begins);
        for frame in first.chain(frames) {
            let ended = passed.ends > 0;
            let Ok(event) = conversation.accept(frame) else { continue };
            prop_assert!(!ended, "{event:?} came after the end");
            let is_first = matches!(event, Event::Loaded | Event::Started | Event::Refused(_));
            prop_assert!(is_first == (passed.started == 0), "{event:?}");
            passed.note(&event);
            prop_assert!(passed.is_within_the_request(), "{passed:?}");
        }
    }

    #[test]
    fn all_that_keeps_to_the_request_gets_past(
        out in proptest::collection::vec(0..8_u8, 0..5),
        file in proptest::collection::vec(0..6_u8, 0..5),
        artifacts in proptest::collection::vec(0..16_u64, 0..=3),
    ) {
        let piece = |kind, length: &u8| frame(kind, vec![b'x'; usize::from(*length)]);
        let mut frames = vec![started()];
        frames.extend(out.iter().map(|length| piece(Kind::Stdout, length)));
        frames.extend(out.iter().map(|length| piece(Kind::Stderr, length)));
        frames.extend(file.iter().map(|length| piece(Kind::OutputFile, length)));
        for (number, size) in artifacts.iter().enumerate() {
            frames.push(artifact(&format!("a/{number}"), *size));
            frames.extend((0..*size).map(|_| frame(Kind::ArtifactData, "x")));
        }
        frames.push(exit());
        prop_assert!(matches!(last(frames), Ok(Event::Exit(_))));
    }
}

fn left(name: &str, size: u64) -> Frame {
    let file = LeftFile { name: name.to_owned(), size, executable: false };
    frame(Kind::LeftFile, serde_json::to_vec(&file).unwrap())
}

fn disk_use(bytes: u64) -> Frame {
    frame(Kind::DiskUse, serde_json::to_vec(&DiskUse { bytes }).unwrap())
}

/// Meaning of the last of these frames of a script with scratch on disk.
fn last_on_disk(
    frames: impl IntoIterator<Item = Frame>,
    on_disk: bool,
) -> Result<Event, ProtocolError> {
    let mut conversation = Conversation::new(&OutputLimits { on_disk, ..limits() });
    let mut last = Ok(Event::Up);
    for frame in [loaded(), started()].into_iter().chain(frames) {
        last.unwrap();
        last = conversation.accept(frame);
    }
    last
}

#[test]
fn files_on_disk_are_told_within_the_same_limits() {
    let on_disk = |frames: Vec<Frame>| last_on_disk(frames, true);
    assert!(matches!(on_disk(vec![left("a", ARTIFACT_BYTES)]), Ok(Event::LeftFile(_))));
    let too_many = (0..=ARTIFACTS).map(|number| left(&format!("f{number}"), 0)).collect();
    assert_eq!(on_disk(too_many), Err(ProtocolError::LimitExceeded("artifacts")));
    let too_large = vec![left("a", 1), left("b", ARTIFACT_BYTES)];
    assert_eq!(on_disk(too_large), Err(ProtocolError::LimitExceeded("artifact bytes")));
    for name in ["", "../a", "/a", "a//b", "a\nb"] {
        assert_eq!(on_disk(vec![left(name, 0)]), Err(ProtocolError::ArtifactName), "{name:?}");
    }
    for frame in [frame(Kind::Stdout, "x"), disk_use(1)] {
        let kind = frame.kind;
        assert_eq!(on_disk(vec![left("a", 0), frame]), Err(ProtocolError::Unexpected(kind)));
    }
}

#[test]
fn files_on_disk_come_in_the_order_of_their_folders_and_once() {
    let sorted = ["a", "b/c/x", "b/c.d"].map(|name| left(name, 0));
    assert!(matches!(last_on_disk(sorted, true), Ok(Event::LeftFile(_))));
    for names in [["b", "a"], ["a", "a"], ["a/b", "a/b"], ["a/c", "a/b"]] {
        let frames = names.map(|name| left(name, 0));
        assert_eq!(last_on_disk(frames, true), Err(ProtocolError::FileOrder), "{names:?}");
    }
}

#[test]
fn files_are_sent_or_left_on_disk_and_never_both() {
    let unexpected = |kind| Err(ProtocolError::Unexpected(kind));
    assert_eq!(last_on_disk([artifact("a", 0)], true), unexpected(Kind::ArtifactBegin));
    assert_eq!(last_on_disk([left("a", 0)], false), unexpected(Kind::LeftFile));
    let none = Err(ProtocolError::LimitExceeded("reports of the disk"));
    assert_eq!(last_on_disk([disk_use(1)], false), none);
    assert_eq!(last_on_disk([disk_use(1), disk_use(7)], true), Ok(Event::DiskUse(7)));
}

//! The [lifecycle contract](super) as tests that every engine has to pass: the fake one
//! here, the real one in [`crate::engine_contract`], which can have its image built.
//!
//! Each rule is a function that takes a [`Subject`]. Its containers run gantry-init or a
//! program that behaves like it. [`contract_tests`] makes the tests, and [`check`]
//! removes what they leave.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use gantry_init::frame::{Decoder, Frame, Header, Kind, MAX_REQUEST_PAYLOAD};
use gantry_init::message::{ArtifactCaps, End, Exit, Launch, Request};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use uuid::Uuid;

use super::{
    Attached, ContainerState, Engine, EngineError, LABEL_EXECUTION, LABEL_INSTALLATION, LABEL_ROLE,
    Labels, NewContainer, OutputChunk, OutputStream,
};
use crate::domain::limits::Limits;
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};

/// Exit code of PID 1 when its stdin ends before Go.
const NO_REQUEST: i64 = gantry_init::message::NO_REQUEST as i64;

/// Exit code of a killed process: 128 and the signal.
const KILLED: i64 = 137;

/// An engine under test.
pub(crate) struct Subject {
    engine: Arc<dyn Engine>,
    image: String,
    /// Labels of everything that this test creates, and of nothing else.
    labels: Labels,
}

/// Makes one test of every rule. `$engine` is an async function that returns an engine
/// and the id of an image in it.
macro_rules! contract_tests {
    ($engine:path) => {
        $crate::engine::contract::contract_tests! {
            $engine =>
            all_that_is_printed_is_heard,
            the_state_is_told_before_during_and_after,
            all_that_was_printed_is_replayed,
            what_is_printed_from_now_on_is_replayed_too,
            what_was_asked_to_end_says_so_itself,
            it_is_fine_to_ask_at_any_time_for_an_end,
            a_container_is_confined_as_it_was_asked_for,
            a_client_that_goes_away_ends_what_waits_for_its_request,
            a_client_that_goes_away_ends_what_waits_for_its_start,
            a_kill_ends_what_runs,
            a_kill_is_fine_at_any_time,
            a_removal_is_fine_at_any_time,
            a_removal_ends_what_runs,
            two_removals_at_once_are_both_fine,
            a_list_has_what_has_all_labels_and_nothing_else,
            a_name_is_taken_once,
            what_is_not_there_is_not_found,
        }
    };
    ($engine:path => $($point:ident,)+) => {$(
        #[tokio::test]
        async fn $point() {
            let (engine, image) = $engine().await;
            let point = $crate::engine::contract::$point;
            $crate::engine::contract::check(engine, image, point).await;
        }
    )+};
}
pub(crate) use contract_tests;

/// Checks one rule and removes all containers of the test.
pub(crate) async fn check(
    engine: Arc<dyn Engine>,
    image: String,
    point: impl AsyncFnOnce(&Subject),
) {
    let labels = Labels::from([
        (LABEL_INSTALLATION.to_owned(), format!("contract-{}", Uuid::new_v4().simple())),
        (LABEL_ROLE.to_owned(), "contract".to_owned()),
    ]);
    let subject = Subject { engine, image, labels };
    let held = AssertUnwindSafe(point(&subject)).catch_unwind().await;
    for name in subject.listed().await {
        subject.engine.remove(&name).await.unwrap();
    }
    assert_eq!(subject.listed().await, Vec::<String>::new());
    held.unwrap_or_else(|panic| resume_unwind(panic));
}

impl Subject {
    fn new_container(&self) -> NewContainer {
        NewContainer {
            name: format!("gantry-contract-{}", Uuid::new_v4().simple()),
            spec: SandboxSpec {
                image: self.image.clone(),
                limits: Limits::default(),
                network: Network::None,
                mounts: Vec::new(),
                owner: None,
                folder: RunFolder::None,
                oci_runtime: None,
                exec: true,
                purpose: Purpose::Execution,
            },
            labels: self.labels.clone(),
        }
    }

    async fn created(&self) -> String {
        let container = self.new_container();
        self.engine.create(&container).await.unwrap();
        container.name
    }

    /// Starts a container and reads its Hello.
    async fn running(&self) -> (String, Connection) {
        let name = self.created().await;
        let mut connection = Connection::new(self.engine.attach(&name).await.unwrap());
        self.engine.start(&name).await.unwrap();
        assert_eq!(connection.frame().await.unwrap().kind, Kind::Hello);
        (name, connection)
    }

    /// Starts a container and lets it exit by itself.
    async fn ended(&self) -> String {
        let (name, mut connection) = self.running().await;
        connection.attached.input.shutdown().await.unwrap();
        assert_eq!(connection.frame().await, None);
        assert_eq!(self.engine.wait(&name).await.unwrap(), NO_REQUEST);
        name
    }

    async fn listed(&self) -> Vec<String> {
        let listed = self.engine.list(&self.labels).await.unwrap();
        listed.into_iter().map(|container| container.name).collect()
    }

    async fn is_gone(&self, name: &str) -> bool {
        matches!(self.engine.inspect(name).await, Err(EngineError::NotFound { .. }))
    }
}

/// An attached container, read frame by frame.
struct Connection {
    attached: Attached,
    decoder: Decoder,
}

impl Connection {
    fn new(attached: Attached) -> Self {
        Self { attached, decoder: Decoder::new() }
    }

    /// Reads a replayed output.
    fn replaying(output: OutputStream) -> Self {
        Self::new(Attached { input: Box::pin(tokio::io::sink()), output })
    }

    /// Takes the input, so that it can be written while this reads.
    fn hand_over_input(&mut self) -> Pin<Box<dyn AsyncWrite + Send>> {
        std::mem::replace(&mut self.attached.input, Box::pin(tokio::io::sink()))
    }

    /// Reads the next frame; `None` at the end of the output.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            match self.attached.output.next().await?.unwrap() {
                OutputChunk::Stdout(bytes) => self.decoder.feed(&bytes),
                OutputChunk::Stderr(bytes) => panic!("{}", String::from_utf8_lossy(&bytes)),
            }
        }
    }
}

/// Wire format of a request that echoes its stdin, without the Go frame.
fn cat(stdin: &[u8]) -> Vec<u8> {
    let script = b"exec cat\n";
    let request = Request {
        launch: Launch::Interpreted {
            interpreter: vec!["/bin/sh".to_owned()],
            file_name: "cat.sh".to_owned(),
        },
        args: Vec::new(),
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        working_directory: "/work".to_owned(),
        script_bytes: script.len() as u64,
        stdin_bytes: stdin.len() as u64,
        timeout_ms: 20_000,
        grace_ms: 1000,
        stream_cap: stdin.len() as u64,
        output_file: None,
        artifacts: ArtifactCaps { count: 0, bytes: 0 },
        disk: None,
        stay_ms: 0,
    };
    let mut wire = Vec::new();
    let mut frame = |kind, payload: &[u8]| {
        wire.extend(Header::encode(kind, payload.len()).unwrap());
        wire.extend(payload);
    };
    frame(Kind::Request, &serde_json::to_vec(&request).unwrap());
    frame(Kind::Script, script);
    for piece in stdin.chunks(MAX_REQUEST_PAYLOAD) {
        frame(Kind::Stdin, piece);
    }
    wire
}

/// Wire format of the Go frame.
fn go() -> Vec<u8> {
    Header::encode(Kind::Go, 0).unwrap().to_vec()
}

/// Reads a script's stdout and its Exit message.
async fn printed(connection: &mut Connection) -> (Vec<u8>, Exit) {
    let (mut stdout, mut exit) = (Vec::new(), None);
    while let Some(Frame { kind, payload }) = connection.frame().await {
        match kind {
            Kind::Hello | Kind::Loaded | Kind::Started => {}
            Kind::Stdout => stdout.extend(payload),
            Kind::Exit => {
                exit = Some(serde_json::from_slice::<Exit>(&payload).unwrap());
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    (stdout, exit.unwrap())
}

/// Has a container print these bytes, reads them, and returns its name.
async fn print(subject: &Subject, bytes: &[u8]) -> String {
    let (name, mut connection) = subject.running().await;
    let request = [cat(bytes), go()].concat();
    let input = connection.hand_over_input();
    let send = async {
        let mut input = input;
        input.write_all(&request).await.unwrap();
        input.flush().await.unwrap();
    };
    let ((), (stdout, exit)) = tokio::join!(send, printed(&mut connection));
    assert!(stdout == bytes, "{} bytes came of {}", stdout.len(), bytes.len());
    assert_eq!(exit.end, End::Code(0));
    assert_eq!(subject.engine.wait(&name).await.unwrap(), 0);
    name
}

/// Pseudo-random bytes with long lines and empty ones, as compressed data has them.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes: Vec<u8> = (0..count).map(|_| next()).collect();
    bytes[count / 2..count / 2 + 1000].fill(b'\n');
    bytes[count / 4..count / 4 + 100_000].fill(b'\r');
    bytes
}

pub(crate) async fn all_that_is_printed_is_heard(subject: &Subject) {
    print(subject, &bytes(3_000_000)).await;
}

pub(crate) async fn all_that_was_printed_is_replayed(subject: &Subject) {
    for bytes in [bytes(1_000_000), b"\n\n".to_vec(), Vec::new()] {
        let name = print(subject, &bytes).await;
        for _ in 0..2 {
            let mut replayed = Connection::replaying(subject.engine.replay(&name).await.unwrap());
            let (stdout, exit) = printed(&mut replayed).await;
            assert!(stdout == bytes, "{} bytes came of {}", stdout.len(), bytes.len());
            assert_eq!(exit.end, End::Code(0));
        }
    }
}

pub(crate) async fn what_is_printed_from_now_on_is_replayed_too(subject: &Subject) {
    let (name, mut connection) = subject.running().await;
    let mut replayed = Connection::replaying(subject.engine.replay(&name).await.unwrap());
    assert_eq!(replayed.frame().await.unwrap().kind, Kind::Hello);
    connection.attached.input.write_all(&[cat(b"in"), go()].concat()).await.unwrap();
    connection.attached.input.flush().await.unwrap();
    // After Go no client needs to stay attached.
    while connection.frame().await.unwrap().kind != Kind::Started {}
    drop(connection);
    let (stdout, exit) = printed(&mut replayed).await;
    assert_eq!((stdout, exit.end), (b"in".to_vec(), End::Code(0)));
}

pub(crate) async fn what_was_asked_to_end_says_so_itself(subject: &Subject) {
    let (name, mut connection) = subject.running().await;
    subject.engine.terminate(&name).await.unwrap();
    assert_eq!(connection.frame().await, None);
    assert_eq!(subject.engine.wait(&name).await.unwrap(), NO_REQUEST);
}

pub(crate) async fn it_is_fine_to_ask_at_any_time_for_an_end(subject: &Subject) {
    let (created, ended) = (subject.created().await, subject.ended().await);
    for name in [created, ended, subject.new_container().name] {
        subject.engine.terminate(&name).await.unwrap();
    }
}

pub(crate) async fn the_state_is_told_before_during_and_after(subject: &Subject) {
    let state = |running, exit_code| ContainerState {
        running,
        exit_code,
        out_of_memory: false,
        error: String::new(),
        installation: subject.labels.get(LABEL_INSTALLATION).cloned(),
    };
    let created = subject.created().await;
    assert_eq!(subject.engine.inspect(&created).await.unwrap(), state(false, None));
    let (running, _connection) = subject.running().await;
    assert_eq!(subject.engine.inspect(&running).await.unwrap(), state(true, None));
    let ended = subject.ended().await;
    assert_eq!(subject.engine.inspect(&ended).await.unwrap(), state(false, Some(NO_REQUEST)));
    assert_eq!(subject.engine.wait(&ended).await.unwrap(), NO_REQUEST, "it can be asked again");
}

pub(crate) async fn a_container_is_confined_as_it_was_asked_for(subject: &Subject) {
    let (name, _connection) = subject.running().await;
    let confinement = subject.engine.confinement(&name).await.unwrap();
    let requested = subject.engine.requested_confinement(&name, &subject.new_container().spec);
    assert_eq!(confinement.verify_against(&requested), Ok(()), "{confinement:#?}");
}

pub(crate) async fn a_client_that_goes_away_ends_what_waits_for_its_request(subject: &Subject) {
    let (name, connection) = subject.running().await;
    drop(connection);
    assert_eq!(subject.engine.wait(&name).await.unwrap(), NO_REQUEST);
}

pub(crate) async fn a_client_that_goes_away_ends_what_waits_for_its_start(subject: &Subject) {
    let (name, mut connection) = subject.running().await;
    connection.attached.input.write_all(&cat(b"in")).await.unwrap();
    connection.attached.input.flush().await.unwrap();
    assert_eq!(connection.frame().await.unwrap().kind, Kind::Loaded);
    drop(connection);
    assert_eq!(subject.engine.wait(&name).await.unwrap(), NO_REQUEST);
}

pub(crate) async fn a_kill_ends_what_runs(subject: &Subject) {
    let (name, mut connection) = subject.running().await;
    subject.engine.kill(&name).await.unwrap();
    assert_eq!(connection.frame().await, None);
    assert_eq!(subject.engine.wait(&name).await.unwrap(), KILLED);
    assert_eq!(subject.engine.inspect(&name).await.unwrap().exit_code, Some(KILLED));
}

pub(crate) async fn a_kill_is_fine_at_any_time(subject: &Subject) {
    let created = subject.created().await;
    subject.engine.kill(&created).await.unwrap();
    assert_eq!(subject.engine.inspect(&created).await.unwrap().exit_code, None);
    let ended = subject.ended().await;
    subject.engine.kill(&ended).await.unwrap();
    assert_eq!(subject.engine.wait(&ended).await.unwrap(), NO_REQUEST);
    subject.engine.kill(&subject.new_container().name).await.unwrap();
}

pub(crate) async fn a_removal_is_fine_at_any_time(subject: &Subject) {
    let never_was = subject.new_container().name;
    let (created, ended) = (subject.created().await, subject.ended().await);
    for name in [created, ended, never_was] {
        for _ in 0..2 {
            subject.engine.remove(&name).await.unwrap();
            assert!(subject.is_gone(&name).await);
        }
    }
}

pub(crate) async fn a_removal_ends_what_runs(subject: &Subject) {
    let (name, mut connection) = subject.running().await;
    subject.engine.remove(&name).await.unwrap();
    assert!(subject.is_gone(&name).await);
    assert_eq!(connection.frame().await, None);
}

pub(crate) async fn two_removals_at_once_are_both_fine(subject: &Subject) {
    let (name, _connection) = subject.running().await;
    let (one, other) = tokio::join!(subject.engine.remove(&name), subject.engine.remove(&name));
    one.unwrap();
    other.unwrap();
    assert!(subject.is_gone(&name).await);
}

pub(crate) async fn a_list_has_what_has_all_labels_and_nothing_else(subject: &Subject) {
    let mut container = subject.new_container();
    container.labels.insert(LABEL_EXECUTION.to_owned(), "one, \"two\" = ü".to_owned());
    subject.engine.create(&container).await.unwrap();
    let (running, _connection) = subject.running().await;

    let all = subject.engine.list(&subject.labels).await.unwrap();
    let find = |name: &str| all.iter().find(|listed| listed.name == name).unwrap();
    assert_eq!(all.len(), 2);
    assert!(find(&running).running && !find(&container.name).running);
    // The list may include the image's own labels.
    let labels = &find(&container.name).labels;
    assert!(container.labels.iter().all(|(name, value)| labels.get(name) == Some(value)));
    assert!(all.iter().all(|listed| listed.created > 0));

    let one = subject.engine.list(&container.labels).await.unwrap();
    let names: Vec<_> = one.iter().map(|listed| &listed.name).collect();
    assert_eq!(names, [&container.name]);
}

pub(crate) async fn a_name_is_taken_once(subject: &Subject) {
    let (name, mut connection) = subject.running().await;
    let second = NewContainer { name: name.clone(), ..subject.new_container() };
    let refused = subject.engine.create(&second).await.unwrap_err();
    assert!(matches!(refused, EngineError::Refused { status: 409, .. }), "{refused}");
    // The first container is not affected.
    assert!(subject.engine.inspect(&name).await.unwrap().running);
    connection.attached.input.shutdown().await.unwrap();
    assert_eq!(connection.frame().await, None);
    assert_eq!(subject.engine.wait(&name).await.unwrap(), NO_REQUEST);
}

pub(crate) async fn what_is_not_there_is_not_found(subject: &Subject) {
    let name = subject.new_container().name;
    let is_not_found = |error| matches!(error, EngineError::NotFound { .. });
    assert!(is_not_found(subject.engine.attach(&name).await.err().unwrap()));
    assert!(is_not_found(subject.engine.start(&name).await.unwrap_err()));
    assert!(is_not_found(subject.engine.wait(&name).await.unwrap_err()));
    assert!(is_not_found(subject.engine.inspect(&name).await.unwrap_err()));
    let mut container = subject.new_container();
    container.spec.image = format!("sha256:{}", "0".repeat(64));
    assert!(is_not_found(subject.engine.create(&container).await.unwrap_err()));
    assert!(subject.is_gone(&container.name).await);
}

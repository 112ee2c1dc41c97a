//! Sandboxes on an engine that fails on command. The clock is paused, so deadlines take
//! no time and waiting times are exact.

mod cancelling;
mod confinement;
mod dropping;
mod endings;
mod faults;
mod leaving;
mod loading;
mod preparing;
mod resuming;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gantry_init::message::{ArtifactBegin, ArtifactCaps, Launch, OutputFile, Request};

use super::{Cancel, LaunchRequest, Loaded, Remover, Sandbox, SandboxError, Sink};
use crate::domain::limits::Limits;
use crate::domain::outcome::Ending;
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::engine::fake::{Fake, IMAGE, Program};
use crate::engine::{Engine, EngineError, Labels, NewContainer, Verb};

const NAME: &str = "gantry-test";
const SCRIPT: &[u8] = b"cat";
const TIMEOUT: Duration = Duration::from_secs(3600);
const GRACE: Duration = Duration::from_secs(1);

/// Time for PID 1's own work after the script (`INIT_OVERHEAD`).
const INIT_OVERHEAD: Duration = Duration::from_secs(15);

/// Time for PID 1 to receive its request (`LOAD_TIMEOUT`).
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// An engine and the remover of its containers.
struct Bench {
    engine: Arc<Fake>,
    remover: Remover,
}

impl Bench {
    fn running(program: Program) -> Self {
        let engine = Fake::running(program);
        let remover = Remover::new(Arc::clone(&engine) as Arc<dyn Engine>);
        Self { engine, remover }
    }

    async fn start(&self) -> Result<Sandbox, SandboxError> {
        let engine = Arc::clone(&self.engine) as Arc<dyn Engine>;
        Sandbox::start(engine, &self.remover, &container()).await
    }

    /// Starts a sandbox and runs it with `stdin`.
    async fn run(
        &self,
        stdin: &[u8],
        kept: &mut Kept,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        let loaded = load(self.start().await?, stdin, cancel).await?;
        loaded.run_to_end(kept, cancel).await
    }

    /// Runs a sandbox and returns its ending only.
    async fn ending(&self) -> Result<Ending, SandboxError> {
        self.run(b"{}", &mut Kept::default(), &Cancel::new()).await
    }

    /// Asserts that no container is left after draining the remover, and that none was
    /// started twice. Other violations of the contract fail the test when the engine is
    /// dropped.
    async fn assert_nothing_is_left(self) {
        self.remover.drain().await;
        assert_eq!(self.engine.containers(), Vec::<String>::new());
        assert!(self.engine.calls(Verb::Start) <= 1);
    }
}

/// Loads a request with `stdin`.
async fn load(sandbox: Sandbox, stdin: &[u8], cancel: &Cancel) -> Result<Loaded, SandboxError> {
    let request = request(stdin.len());
    sandbox.load(&LaunchRequest { head: &request, script: SCRIPT, stdin }, cancel).await
}

fn container() -> NewContainer {
    NewContainer {
        name: NAME.to_owned(),
        spec: SandboxSpec {
            image: IMAGE.to_owned(),
            limits: Limits::default(),
            network: Network::None,
            mounts: Vec::new(),
            owner: None,
            folder: RunFolder::None,
            oci_runtime: None,
            exec: true,
            purpose: Purpose::Execution,
        },
        labels: Labels::new(),
    }
}

fn request(stdin_bytes: usize) -> Request {
    Request {
        launch: Launch::Executable { name: "cat".to_owned() },
        args: Vec::new(),
        env: Vec::new(),
        working_directory: "/work".to_owned(),
        script_bytes: SCRIPT.len() as u64,
        stdin_bytes: stdin_bytes as u64,
        timeout_ms: u64::try_from(TIMEOUT.as_millis()).unwrap(),
        grace_ms: u64::try_from(GRACE.as_millis()).unwrap(),
        stream_cap: 1024 * 1024,
        output_file: Some(OutputFile { path: "out.json".to_owned(), cap: 1024 }),
        artifacts: ArtifactCaps { count: 2, bytes: 1024 },
        disk: None,
        stay_ms: 0,
    }
}

/// Asserts a duration, with one second of tolerance for checks of the engine.
#[track_caller]
fn assert_about(took: Duration, expected: Duration) {
    let most = expected + Duration::from_secs(1);
    assert!((expected..=most).contains(&took), "{took:?} instead of {expected:?}");
}

fn refused(verb: Verb) -> EngineError {
    EngineError::Refused { verb, status: 500, message: "no".to_owned() }
}

fn unreachable() -> EngineError {
    EngineError::Unreachable { endpoint: "fake".to_owned(), reason: "broken pipe".to_owned() }
}

/// Sink that keeps all output.
#[derive(Debug, Default, PartialEq)]
struct Kept {
    started: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    output_file: Vec<u8>,
    artifacts: Vec<(ArtifactBegin, Vec<u8>)>,
    /// Kind of output that it fails to store.
    no_room_for: Option<&'static str>,
}

impl Kept {
    fn room_for(&self, what: &str) -> io::Result<()> {
        match self.no_room_for {
            Some(full) if full == what => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl Sink for Kept {
    fn started(&mut self) {
        self.started += 1;
    }

    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdout.extend(bytes);
        self.room_for("stdout")
    }

    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stderr.extend(bytes);
        self.room_for("stderr")
    }

    fn output_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output_file.extend(bytes);
        self.room_for("output file")
    }

    fn artifact_begin(&mut self, artifact: &ArtifactBegin) -> io::Result<()> {
        self.artifacts.push((artifact.clone(), Vec::new()));
        self.room_for("artifact")
    }

    fn artifact_data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.artifacts.last_mut().unwrap().1.extend(bytes);
        self.room_for("artifact data")
    }
}

//! One job, once: image, sandbox, run, report. Nothing is stored.
//!
//! [`Runner::run`] does all of it. Whoever has to write something down before the
//! script's first instruction takes the steps by itself: [`Runner::start`],
//! [`Runner::load`], which may go on meanwhile, and then [`Runner::execute`].

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_init::message::{Exit, Request};
use thiserror::Error;
use uuid::Uuid;

use super::BuildFailure;
use super::capture::Capture;
use crate::clock;
use crate::domain::execution::{Report, SandboxReceipt, Usage, milliseconds};
use crate::domain::job::Job;
use crate::domain::json_input::parse_output;
use crate::domain::outcome::{Ending, ErrorKind, Outcome, classify};
use crate::domain::sandbox_spec::Network;
use crate::engine::docker::Docker;
use crate::engine::{
    Engine, EngineError, LABEL_EXECUTION, LABEL_PROCESS, LABEL_ROLE, Labels, NewContainer, Verb,
};
use crate::images::ImageError;
use crate::pool::{Pool, PoolStatus, Template};
use crate::sandbox::{Cancel, Loaded, Order, Remover, Sandbox, SandboxError};

/// How long the container of a warm execution stays after the answer, in milliseconds:
/// others that came with it are over by then, and the engine's work for its end does
/// not slow them down.
const STAY_MS: u64 = 120;

/// Runs jobs on one engine.
#[derive(Clone)]
pub struct Runner {
    docker: Docker,
    engine: Arc<dyn Engine>,
    remover: Remover,
    pool: Pool,
    made_by: Labels,
}

/// Why a job did not run, or its end is not known: our side's failure.
#[derive(Debug, Error)]
pub enum RunError {
    /// It was cancelled before its sandbox was ready.
    #[error("it was cancelled")]
    Cancelled,
    /// Its environment could not be built.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Its environment could not be built, by whoever asked for it first.
    #[error("{}", .0.message)]
    Build(BuildFailure),
    /// Its sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl RunError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::Build(_) | Self::Cancelled => None,
            Self::Sandbox(error) => error.hint().map(str::to_owned),
        }
    }

    /// Nothing has run in the sandbox, and another one may do better.
    pub(super) fn is_unused_sandbox(&self) -> bool {
        matches!(self, Self::Sandbox(SandboxError::NotReady(_) | SandboxError::Engine(_)))
    }

    /// It was the database that was out, and not the engine.
    pub(super) fn is_of_database(&self) -> bool {
        matches!(self, Self::Build(failure) if failure.is_of_database)
    }

    /// The image that the engine did not have when a sandbox was to be made of it.
    pub(super) fn is_missing_image(&self) -> bool {
        let Self::Sandbox(SandboxError::Engine(error)) = self else { return false };
        matches!(error, EngineError::NotFound { verb: Verb::Create, .. })
    }

    /// The outcome that an execution with this error has.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let kind = match self {
            Self::Cancelled | Self::Image(ImageError::Cancelled) => {
                return classify(&Ending::Withdrawn);
            }
            Self::Image(error) if error.is_outage() => ErrorKind::EngineUnavailable,
            Self::Sandbox(SandboxError::Engine(error)) if error.is_outage() => {
                ErrorKind::EngineUnavailable
            }
            Self::Build(failure) => failure.kind,
            Self::Image(_) => ErrorKind::EnvironmentFailed,
            Self::Sandbox(_) => ErrorKind::SandboxFailed,
        };
        Outcome::failed(kind, self.to_string())
    }

    /// What callers of a server are told: nothing of the server's own files.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Image(error) => error.told(),
            Self::Sandbox(SandboxError::Engine(error)) => error.told(),
            Self::Sandbox(SandboxError::Sink(_)) => {
                "what the script left could not be stored".to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// A sandbox that waits for its request.
pub(super) struct Ready {
    sandbox: Sandbox,
    /// Where it is.
    pub(super) receipt: SandboxReceipt,
    begun: Instant,
}

/// A sandbox that has its request and waits for the word to run it.
pub(super) struct Prepared {
    loaded: Loaded,
    receipt: SandboxReceipt,
    begun: Instant,
}

impl Runner {
    /// A runner that takes unused sandboxes from `pool`, and whose own containers
    /// are labelled with the installation and the process that they are of.
    #[must_use]
    pub fn new(docker: Docker, remover: Remover, pool: Pool, made_by: Labels) -> Self {
        let engine = Arc::new(docker.clone());
        Self { docker, engine, remover, pool, made_by }
    }

    /// How many sandboxes wait.
    pub(super) fn pool_status(&self) -> PoolStatus {
        self.pool.status()
    }

    /// The sandboxes that wait.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Makes the network that sandboxes reach the outside through, if it is not
    /// there.
    pub(super) async fn ensure_egress_network(&self) -> Result<(), EngineError> {
        self.docker.ensure_egress_network().await
    }

    /// Gives up what waits in an image that the engine no longer has.
    pub(super) fn forget_image(&self, image: &str) {
        self.pool.forget(image);
    }

    /// Runs `job` in an image, given by its id, to its end. The second value is
    /// our side's failure, when there was one; the report says the same to those
    /// who only read it.
    pub async fn run(
        &self,
        job: &Job,
        image: impl Future<Output = Result<String, RunError>>,
        capture: Capture,
        cancel: &Cancel,
    ) -> (Report, Option<RunError>) {
        let begun = Instant::now();
        let mut receipt = None;
        let ready = async {
            // Wherever it is, waiting for another's build included.
            let image = tokio::select! {
                image = image => image?,
                () = cancel.cancelled() => return Err(RunError::Cancelled),
            };
            let name = container_name(&job.execution_id);
            receipt = Some(self::receipt(&name, &image));
            let ready = self.start(job, name, image, cancel).await?;
            self.load(job, Ready { begun, ..ready }, cancel).await
        };
        match ready.await {
            Ok(prepared) => self.execute(job, prepared, capture, cancel).await,
            Err(error) => {
                let reached = Reached { receipt, took: begun.elapsed() };
                (report(job, error.outcome(), None, reached, capture), Some(error))
            }
        }
    }

    /// A sandbox for a job: one that waits for such, or else a new one, in a
    /// container of this name.
    ///
    /// # Errors
    /// [`RunError`]; nothing is left then, or will be soon.
    pub(super) async fn start(
        &self,
        job: &Job,
        name: String,
        image: String,
        cancel: &Cancel,
    ) -> Result<Ready, RunError> {
        let begun = Instant::now();
        let is_held = self.pool.holds(&job.mounts);
        let unused = is_held.then(|| self.pool.take(template(job, image.clone()))).flatten();
        if let Some(sandbox) = unused {
            let receipt = SandboxReceipt { warm: true, ..receipt(sandbox.name(), &image) };
            return Ok(Ready { sandbox, receipt, begun });
        }
        let _cold = self.pool.cold();
        let receipt = receipt(&name, &image);
        let container = self.container(job, name, image);
        let starting = async {
            if job.network == Network::Egress {
                self.docker.ensure_egress_network().await?;
            }
            Sandbox::start(Arc::clone(&self.engine), &self.remover, &container).await
        };
        let sandbox = tokio::select! {
            started = starting => started?,
            () = cancel.cancelled() => return Err(RunError::Cancelled),
        };
        Ok(Ready { sandbox, receipt, begun })
    }

    /// Gives a sandbox its request; nothing of the script runs yet.
    ///
    /// # Errors
    /// [`RunError`]; nothing is left of the sandbox then, or will be soon.
    pub(super) async fn load(
        &self,
        job: &Job,
        ready: Ready,
        cancel: &Cancel,
    ) -> Result<Prepared, RunError> {
        let Ready { sandbox, mut receipt, begun } = ready;
        let stay_ms = if receipt.warm { STAY_MS } else { 0 };
        let request = Request { stay_ms, ..job.request() };
        let order = Order { request: &request, script: job.script.bytes(), stdin: job.stdin() };
        let (loaded, confinement) = match sandbox.confinement().cloned() {
            None if !receipt.warm => {
                let spec = job.sandbox_spec(receipt.image.clone());
                sandbox.load_examined(&order, &spec, cancel).await?
            }
            known => (sandbox.load(&order, cancel).await?, known),
        };
        receipt.confinement = confinement;
        Ok(Prepared { loaded, receipt, begun })
    }

    /// Runs `job` in its sandbox to its end; as [`run`](Self::run).
    pub(super) async fn execute(
        &self,
        job: &Job,
        prepared: Prepared,
        mut capture: Capture,
        cancel: &Cancel,
    ) -> (Report, Option<RunError>) {
        let Prepared { loaded, receipt, begun } = prepared;
        let ended = loaded.run(&mut capture, cancel).await;
        let reached = Reached { receipt: Some(receipt), took: begun.elapsed() };
        match ended {
            Ok(ending) => {
                let outcome = classify(&ending);
                (report(job, outcome, reported(ending), reached, capture), None)
            }
            Err(error) => {
                let error = RunError::from(error);
                (report(job, error.outcome(), None, reached, capture), Some(error))
            }
        }
    }

    /// Removes a container, in the background.
    pub(super) fn remove_named(&self, name: String) {
        self.remover.remove(name);
    }

    /// The containers of this installation, whatever they are for: their names, and
    /// the processes that made them.
    pub(super) async fn containers(&self) -> Result<Vec<(String, String)>, EngineError> {
        let mut labels = self.made_by.clone();
        labels.remove(LABEL_PROCESS);
        let listed = self.engine.list(&labels).await?;
        let known = listed.into_iter().filter_map(|container| {
            let process = container.labels.get(LABEL_PROCESS)?.clone();
            Some((container.name, process))
        });
        Ok(known.collect())
    }

    fn container(&self, job: &Job, name: String, image: String) -> NewContainer {
        NewContainer { name, spec: job.sandbox_spec(image), labels: self.labels(job) }
    }

    fn labels(&self, job: &Job) -> Labels {
        let mut labels = self.made_by.clone();
        labels.insert(LABEL_ROLE.to_owned(), "execution".to_owned());
        labels.insert(LABEL_EXECUTION.to_owned(), job.execution_id.clone());
        labels
    }
}

/// The unused sandboxes that a job can take.
pub(super) fn template(job: &Job, image: String) -> Template {
    Template { spec: job.sandbox_spec(image), preparation: job.preparation() }
}

/// The name of the only container of an execution.
#[must_use]
pub fn container_name(execution_id: &str) -> String {
    format!("gantry-{execution_id}")
}

/// The name of one of the containers of an execution that may be tried again: the
/// one before may not be removed yet.
pub(super) fn fresh_container_name(execution_id: &str) -> String {
    let number = Uuid::new_v4().as_u64_pair().1 & 0xffff_ffff;
    format!("{}-{number:08x}", container_name(execution_id))
}

fn receipt(name: &str, image: &str) -> SandboxReceipt {
    SandboxReceipt {
        image: image.to_owned(),
        container_id: name.to_owned(),
        node: None,
        warm: false,
        confinement: None,
    }
}

/// What a run has come to.
struct Reached {
    receipt: Option<SandboxReceipt>,
    took: Duration,
}

fn reported(ending: Ending) -> Option<Exit> {
    match ending {
        Ending::Reported(exit) => Some(exit),
        _ => None,
    }
}

fn report(
    job: &Job,
    outcome: Outcome,
    exit: Option<Exit>,
    reached: Reached,
    mut capture: Capture,
) -> Report {
    if let Some(exit) = &exit {
        capture.note_skipped(exit);
    }
    let log = capture.live.take_log();
    let written = |kept: &[u8], reported: Option<u64>| reported.unwrap_or(kept.len() as u64);
    let stdout_bytes = written(log.stdout(), exit.as_ref().map(|it| it.stdout_bytes));
    let is_whole = stdout_bytes == log.stdout().len() as u64;
    Report {
        output: match &job.output_file {
            Some(_) => parse_output(&capture.output_file),
            // The beginning of a document may be another one.
            None => is_whole.then(|| parse_output(log.stdout())).flatten(),
        },
        stdout_bytes,
        stderr_bytes: written(log.stderr(), exit.as_ref().map(|it| it.stderr_bytes)),
        duration: exit.as_ref().map(|it| Duration::from_micros(it.duration_us)),
        usage: exit.as_ref().map(usage),
        sandbox: reached.receipt,
        outcome,
        log,
        took: reached.took,
        artifacts: capture.artifacts,
        started_at: capture.started_at,
        completed_at: clock::now(),
    }
}

fn usage(exit: &Exit) -> Usage {
    Usage {
        cpu_ms: milliseconds(Duration::from_micros(exit.usage.cpu_us)),
        peak_memory_bytes: exit.usage.peak_memory_bytes,
        oom_kills: exit.usage.oom_kills,
    }
}

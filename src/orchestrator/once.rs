//! One job, once: image, sandbox, run, outcome. Nothing is stored.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use gantry_init::message::Exit;
use serde_json::value::RawValue;
use thiserror::Error;

use super::capture::{Capture, log_text};
use super::{ArtifactStore, Live, LiveSender};
use crate::domain::execution::{Execution, SandboxReceipt, Usage};
use crate::domain::job::Job;
use crate::domain::json_input::parse_output;
use crate::domain::outcome::{Ending, ErrorKind, Outcome, classify};
use crate::domain::sandbox_spec::Network;
use crate::engine::docker::{Docker, Image};
use crate::engine::{LABEL_EXECUTION, LABEL_INSTALLATION, LABEL_ROLE, Labels, NewContainer};
use crate::images::{ImageError, Library};
use crate::sandbox::{Cancel, Order, Remover, Sandbox, SandboxError};

/// Runs jobs on one engine.
#[derive(Clone)]
pub struct Orchestrator {
    docker: Docker,
    library: Library,
    remover: Remover,
    installation: String,
}

/// Why a job did not run, or its end is not known: our side's failure.
#[derive(Debug, Error)]
pub enum RunError {
    /// Its environment could not be built.
    #[error(transparent)]
    Image(#[from] ImageError),
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
            Self::Sandbox(error) => error.hint().map(str::to_owned),
        }
    }

    /// The outcome that an execution with this error has.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let kind = match self {
            Self::Image(ImageError::Cancelled) => return classify(&Ending::Withdrawn),
            Self::Image(ImageError::Engine(error)) | Self::Sandbox(SandboxError::Engine(error))
                if error.is_outage() =>
            {
                ErrorKind::EngineUnavailable
            }
            Self::Image(_) => ErrorKind::EnvironmentFailed,
            Self::Sandbox(_) => ErrorKind::SandboxFailed,
        };
        Outcome::failed(kind, self.to_string())
    }
}

/// What is known of a run that ended.
struct Run {
    outcome: Outcome,
    exit: Option<Exit>,
    image: Option<Image>,
    capture: Capture,
    created: SystemTime,
    took: Duration,
}

impl Orchestrator {
    /// An orchestrator whose containers and images are labelled with
    /// `installation`.
    #[must_use]
    pub fn new(docker: Docker, library: Library, remover: Remover, installation: String) -> Self {
        Self { docker, library, remover, installation }
    }

    /// Runs `job` to its end. The second value is our side's failure, when there
    /// was one; the execution says the same to those who only read it.
    pub async fn run_once(
        &self,
        job: &Job,
        artifacts: ArtifactStore,
        live: LiveSender,
        cancel: &Cancel,
    ) -> (Execution, Option<RunError>) {
        let (created, begun) = (SystemTime::now(), Instant::now());
        let mut capture = Capture::new(artifacts, live.clone());
        let mut image = None;
        let ended = self.attempt(job, &mut image, &mut capture, &live, cancel).await;
        let took = begun.elapsed();
        let (outcome, exit, error) = match ended {
            Ok(ending) => (classify(&ending), reported(ending), None),
            Err(error) => (error.outcome(), None, Some(error)),
        };
        let run = Run { outcome, exit, image, capture, created, took };
        (execution(job, run), error)
    }

    async fn attempt(
        &self,
        job: &Job,
        used_image: &mut Option<Image>,
        capture: &mut Capture,
        live: &LiveSender,
        cancel: &Cancel,
    ) -> Result<Ending, RunError> {
        // Wherever it is, waiting for another's build included.
        let image = tokio::select! {
            image = self.image(job, live, cancel) => image?,
            () = cancel.cancelled() => return Err(ImageError::Cancelled.into()),
        };
        let spec = job.sandbox_spec(image.id.clone());
        *used_image = Some(image);
        if job.network == Network::Egress {
            self.docker.ensure_egress_network().await.map_err(SandboxError::from)?;
        }
        let container = NewContainer {
            name: container_name(&job.execution_id),
            spec,
            labels: Labels::from([
                (LABEL_ROLE.to_owned(), "execution".to_owned()),
                (LABEL_INSTALLATION.to_owned(), self.installation.clone()),
                (LABEL_EXECUTION.to_owned(), job.execution_id.clone()),
            ]),
        };
        let engine = Arc::new(self.docker.clone());
        let sandbox = tokio::select! {
            started = Sandbox::start(engine, &self.remover, &container) => started?,
            () = cancel.cancelled() => return Ok(Ending::Withdrawn),
        };
        let request = job.request();
        let order = Order { request: &request, script: job.script.bytes(), stdin: job.stdin() };
        Ok(sandbox.run(&order, capture, cancel).await?)
    }

    async fn image(
        &self,
        job: &Job,
        live: &LiveSender,
        cancel: &Cancel,
    ) -> Result<Image, ImageError> {
        let progress = |line: &str| {
            let _ = live.send(Live::Progress(line.to_owned()));
        };
        match job.needed_requirements() {
            Some(requirements) => {
                let environment = self.library.environment(requirements, &progress, cancel);
                environment.await.map(|it| it.image)
            }
            None => self.library.runtime(job.script.runtime(), &progress, cancel).await,
        }
    }
}

/// The name of the container that an execution runs in.
#[must_use]
pub fn container_name(execution_id: &str) -> String {
    format!("gantry-{execution_id}")
}

fn reported(ending: Ending) -> Option<Exit> {
    match ending {
        Ending::Reported(exit) => Some(exit),
        _ => None,
    }
}

fn execution(job: &Job, run: Run) -> Execution {
    let Run { outcome, exit, image, mut capture, created, took } = run;
    if let Some(exit) = &exit {
        capture.note_skipped(exit);
    }
    let written = |kept: &[u8], reported: Option<u64>| reported.unwrap_or(kept.len() as u64);
    let stdout_bytes = written(&capture.stdout, exit.as_ref().map(|it| it.stdout_bytes));
    let stderr_bytes = written(&capture.stderr, exit.as_ref().map(|it| it.stderr_bytes));
    let duration = exit.as_ref().map_or(0, |it| it.duration_us);
    let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    Execution {
        id: job.execution_id.clone(),
        script_name: job.script_name.clone(),
        digest: job.script.digest(),
        status: outcome.status,
        error_kind: outcome.error_kind,
        error_message: outcome.error_message,
        input_data: raw(job),
        output_data: match &job.output_file {
            Some(_) => parse_output(&capture.output_file),
            None => parse_output(&capture.stdout),
        },
        stdout_log: log_text(&capture.stdout, stdout_bytes, "stdout"),
        stderr_log: log_text(&capture.stderr, stderr_bytes, "stderr"),
        stdout_bytes,
        stderr_bytes,
        stdout_truncated: stdout_bytes > capture.stdout.len() as u64,
        stderr_truncated: stderr_bytes > capture.stderr.len() as u64,
        exit_code: outcome.exit_code,
        signal: outcome.signal,
        duration_ms: milliseconds(duration),
        overhead_ms: milliseconds(took.saturating_sub(duration)),
        usage: exit.as_ref().map(usage).unwrap_or_default(),
        sandbox: image.map(|image| SandboxReceipt {
            image: image.id,
            container_id: container_name(&job.execution_id),
            warm: false,
        }),
        artifacts: capture.artifacts,
        started_at: capture.started_at.map(rfc3339),
        completed_at: rfc3339(SystemTime::now()),
        created_at: rfc3339(created),
    }
}

fn usage(exit: &Exit) -> Usage {
    Usage {
        cpu_ms: milliseconds(exit.usage.cpu_us),
        peak_memory_bytes: exit.usage.peak_memory_bytes,
        oom_kills: exit.usage.oom_kills,
    }
}

/// The input as it came: it has been checked to be one JSON document.
fn raw(job: &Job) -> Option<Box<RawValue>> {
    let input = job.input.as_ref()?;
    serde_json::from_str(input.as_str()).ok()
}

/// Microseconds as milliseconds. Exact for anything below centuries.
#[expect(clippy::cast_precision_loss, reason = "f64 counts microseconds exactly for 285 years")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

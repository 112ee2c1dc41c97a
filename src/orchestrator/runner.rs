//! One job, once: image, sandbox, run, report. Nothing is stored.
//!
//! [`Runner::run`] does all of it. Whoever has to write something down before the
//! script's first instruction takes the steps by itself: [`Runner::start`],
//! [`Runner::load`], which may go on meanwhile, and then [`Runner::execute`].

use std::convert::Infallible;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use gantry_init::message::{Exit, Request, StoodBy};
use uuid::Uuid;

use super::artifact_writer::is_want_of_room;
use super::capture::Capture;
use super::container_name::container_name;
use super::input_folder;
use super::left_files;
use super::run_error::RunError;
use super::unwritable;
use crate::clock;
use crate::domain::confinement::{Confinement, SealedConfinement};
use crate::domain::execution::{Report, SandboxReceipt, Usage, milliseconds};
use crate::domain::job::Job;
use crate::domain::json_input::{OutputFault, parse_output};
use crate::domain::limits::Limits;
use crate::domain::outcome::{Ending, ErrorKind, Outcome, Status, classify};
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::domain::system_packages::missing;
use crate::engine::docker::Docker;
use crate::engine::{
    Engine, EngineError, LABEL_EXECUTION, LABEL_INSTALLATION, LABEL_PROCESS, LABEL_ROLE, Labels,
    ListedContainer, NewContainer,
};
use crate::pool::{Pool, PoolStatus, Template};
use crate::sandbox::{
    Cancel, ContainerGuard, LaunchRequest, LeftFile, Loaded, OutputLimits, Remover, RunResult,
    RunSignals, Running, Sandbox, SandboxError, printable,
};

/// Time that the container of a warm execution stays after the answer, in milliseconds:
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

/// A sandbox that waits for its request.
pub(super) struct Ready {
    sandbox: Sandbox,
    /// Its container and image.
    pub(super) receipt: SandboxReceipt,
    begun: Instant,
}

/// A sandbox that has its request and waits for the word to run it.
pub(super) struct Prepared {
    loaded: Loaded,
    output_limits: OutputLimits,
    receipt: SandboxReceipt,
    begun: Instant,
}

impl Ready {
    /// Folder of the host that the sandbox sees as `/work/in`, if it has one.
    pub(super) fn inputs_folder(&self) -> Option<PathBuf> {
        self.sandbox.inputs_folder().map(Path::to_owned)
    }
}

impl Prepared {
    /// Leaves the sandbox to the next process, which finds that nothing has run.
    pub(super) fn detach(self) {
        self.loaded.detach();
    }
}

/// A script that another process has started.
pub(super) struct Adopted {
    /// Its container and image.
    pub(super) receipt: SandboxReceipt,
    /// Bounds of its output.
    pub(super) output_limits: OutputLimits,
    /// The rest of its time.
    pub(super) time_left: Duration,
    /// Start of its attempt.
    pub(super) since: DateTime<Utc>,
}

/// An execution whose end is known.
pub(super) struct Executed {
    /// The end.
    pub(super) report: Report,
    /// Files on disk, the first of the report's artifacts, in the same order.
    pub(super) left: Vec<LeftFile>,
    /// Our side's failure, when there was one.
    pub(super) error: Option<RunError>,
    /// To be kept until the end is stored.
    pub(super) container: ContainerGuard,
}

impl Executed {
    /// True if some of the script's files found no room.
    pub(super) fn found_no_room(&self) -> bool {
        let error = self.error.as_ref();
        error.is_some_and(|it| matches!(it, RunError::Sandbox(SandboxError::Sink(error)) if is_want_of_room(error)))
    }
}

impl Runner {
    /// A runner that takes unused sandboxes from `pool`, and whose own containers
    /// are labelled with the installation and the process that they are of.
    #[must_use]
    pub fn new(docker: Docker, remover: Remover, pool: Pool, made_by: Labels) -> Self {
        let engine = Arc::new(docker.clone());
        Self { docker, engine, remover, pool, made_by }
    }

    /// Status of the pool.
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
        self.pool.evict_image(image);
    }

    /// Runs `job` in an image, given by its id, to its end. The second value is
    /// our side's failure, when there was one; the report says the same to those
    /// who only read it. Files that the script left on disk go to `folder`.
    pub async fn run(
        &self,
        job: &Job,
        image: impl Future<Output = Result<String, RunError>>,
        capture: Capture,
        folder: Option<&Path>,
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
            input_folder::place_local(ready.inputs_folder(), &job.inputs).await?;
            self.load(job, ready, cancel).await
        };
        let mut capture = capture;
        let prepared = match ready.await {
            Ok(prepared) => prepared,
            Err(error) => {
                let reached = Reached { receipt, took: begun.elapsed() };
                return concluded(OutputLimits::from(&job.request()), Err(error), reached, capture);
            }
        };
        let Prepared { loaded, output_limits, .. } = prepared;
        let never = Cancel::new();
        let signals = RunSignals { cancel, detach: &never };
        let RunResult { ending, container } = loaded.run(&mut capture, signals).await;
        let left = container.left(std::mem::take(&mut capture.left)).await;
        let reached = Reached { receipt, took: begun.elapsed() };
        let ending = ending.map_err(RunError::from);
        let ending = ending.map(|ending| ending.unwrap_or(Ending::RemovedOnCancel));
        let (mut report, error) = concluded(output_limits, ending, reached, capture);
        left_files::hand_over(left, folder, &mut report).await;
        (report, error)
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
        let is_held = job.shared.is_empty() && self.pool.supports(&job.mounts);
        let unused = is_held.then(|| self.pool.take(template(job, image.clone()))).flatten();
        if let Some(sandbox) = unused {
            let mut receipt = SandboxReceipt { warm: true, ..receipt(sandbox.name(), &image) };
            note_not_preloaded(&mut receipt, job, sandbox.stand_by_failure());
            return Ok(Ready { sandbox, receipt, begun });
        }
        let _cold_start = self.pool.begin_cold_start();
        let mut receipt = receipt(&name, &image);
        note_not_preloaded(&mut receipt, job, Some("its container was started for it"));
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
        let launch =
            LaunchRequest { head: &request, script: job.script.carried(), stdin: job.stdin() };
        let (loaded, confinement) = match sandbox.confinement().cloned() {
            None if !receipt.warm => {
                let spec = job.sandbox_spec(receipt.image.clone());
                sandbox.load_verified(&launch, &spec, cancel).await?
            }
            known => (sandbox.load(&launch, cancel).await?, known),
        };
        receipt.confinement = confinement;
        Ok(Prepared { loaded, output_limits: OutputLimits::from(&request), receipt, begun })
    }

    /// Runs a job in its sandbox until its end is known, or it is to be left: then
    /// there is no answer, and its script runs on.
    pub(super) async fn execute(
        &self,
        prepared: Prepared,
        mut capture: Capture,
        signals: RunSignals<'_>,
    ) -> Option<Executed> {
        let Prepared { loaded, output_limits, receipt, begun } = prepared;
        let RunResult { ending, container } = loaded.run(&mut capture, signals).await;
        let reached = Reached { receipt: Some(receipt), took: begun.elapsed() };
        let ran = RunResult { ending, container };
        executed(output_limits, ran, reached, capture, signals.detach).await
    }

    /// The same for a script that another process has started.
    pub(super) async fn resume(
        &self,
        adopted: Adopted,
        mut capture: Capture,
        signals: RunSignals<'_>,
    ) -> Option<Executed> {
        let Adopted { mut receipt, output_limits, time_left, since } = adopted;
        let (engine, name) = (Arc::clone(&self.engine), receipt.container_id.clone());
        let running = Running::adopt(engine, &self.remover, name.clone(), output_limits, time_left);
        let following = running.follow(&mut capture, signals);
        let mut seen = None;
        let examine = async {
            seen = self.engine.confinement(&name).await.ok();
            std::future::pending::<Infallible>().await
        };
        let RunResult { ending, container } = tokio::select! {
            ran = following => ran,
            never = examine => match never {},
        };
        receipt.confinement = seen.and_then(|it| SealedConfinement::new(it).ok());
        let took = (clock::now() - since).to_std().unwrap_or_default();
        let reached = Reached { receipt: Some(receipt), took };
        let ran = RunResult { ending, container };
        executed(output_limits, ran, reached, capture, signals.detach).await
    }

    /// Starts a sandbox of nobody and removes it; where there is no image for one, only
    /// asks the engine for a sign of life.
    ///
    /// # Errors
    /// [`RunError`] when the engine can't do it.
    pub(super) async fn try_start(
        &self,
        image: Option<String>,
        cancel: &Cancel,
    ) -> Result<(), RunError> {
        let Some(image) = image else {
            return Ok(self.docker.describe().await.map(drop).map_err(SandboxError::Engine)?);
        };
        let mut labels = self.made_by.clone();
        labels.insert(LABEL_ROLE.to_owned(), "trial".to_owned());
        let spec = SandboxSpec {
            image,
            limits: Limits::default(),
            network: Network::None,
            mounts: Vec::new(),
            owner: None,
            folder: RunFolder::None,
            oci_runtime: None,
            exec: true,
            purpose: Purpose::Execution,
        };
        let name = format!("gantry-trial-{}", Uuid::now_v7().simple());
        let container = NewContainer { name, spec, labels };
        let engine = Arc::clone(&self.engine);
        tokio::select! {
            started = Sandbox::start(engine, &self.remover, &container) => Ok(started.map(drop)?),
            () = cancel.cancelled() => Err(RunError::Cancelled),
        }
    }

    /// The remover of containers.
    pub(super) fn remover(&self) -> &Remover {
        &self.remover
    }

    /// The containers of this installation, whatever they are for.
    pub(super) async fn containers(&self) -> Result<Vec<ListedContainer>, EngineError> {
        let mut labels = self.made_by.clone();
        labels.remove(LABEL_PROCESS);
        self.engine.list(&labels).await
    }

    /// True if the engine has this container, and another installation has made it: whoever
    /// works on a copy of its database must not touch it.
    pub(super) async fn is_foreign(&self, container: &str) -> Result<bool, EngineError> {
        match self.engine.inspect(container).await {
            Ok(state) => Ok(state.installation.as_ref() != self.made_by.get(LABEL_INSTALLATION)),
            Err(EngineError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The process that this runner is of, as labels say it.
    pub(super) fn process(&self) -> &str {
        self.made_by.get(LABEL_PROCESS).map_or("", String::as_str)
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

fn receipt(name: &str, image: &str) -> SandboxReceipt {
    SandboxReceipt {
        image: image.to_owned(),
        container_id: name.to_owned(),
        node: None,
        warm: false,
        preloaded: None,
        preload_reason: None,
        confinement: None,
    }
}

/// Notes why nothing is imported ahead, if that is known before the script has run.
fn note_not_preloaded(receipt: &mut SandboxReceipt, job: &Job, of_sandbox: Option<&str>) {
    let reason = match job.preloads() {
        Ok(false) => None,
        Ok(true) => of_sandbox,
        Err(reason) => Some(reason),
    };
    if let Some(reason) = reason {
        receipt.note_preload(Err(reason.to_owned()));
    }
}

/// PID 1's report of the interpreter that stood by.
fn preload_of(exit: &Exit) -> Option<Result<(), String>> {
    match exit.stood_by.as_ref()? {
        StoodBy::Ran => Some(Ok(())),
        StoodBy::Replaced(reason) => Some(Err(printable(reason))),
    }
}

/// Progress of a run when it ended.
struct Reached {
    receipt: Option<SandboxReceipt>,
    took: Duration,
}

/// An execution whose end is known, with the files that it left on disk; `None` when it is
/// left to the next process.
async fn executed(
    output_limits: OutputLimits,
    ran: RunResult,
    reached: Reached,
    mut capture: Capture,
    detach: &Cancel,
) -> Option<Executed> {
    let RunResult { ending, container } = ran;
    let ending = ending.map_err(RunError::from).transpose()?;
    let told = std::mem::take(&mut capture.left);
    let left = tokio::select! {
        left = container.left(told) => Some(left),
        () = detach.cancelled() => None,
    };
    let Some(left) = left else {
        container.detach();
        return None;
    };
    let (report, error) = concluded(output_limits, ending, reached, capture);
    Some(Executed { report, left, error, container })
}

/// Report of an execution, and our side's failure when there was one.
fn concluded(
    output_limits: OutputLimits,
    ending: Result<Ending, RunError>,
    reached: Reached,
    capture: Capture,
) -> (Report, Option<RunError>) {
    let (mut outcome, exit, error) = match ending {
        Ok(ending) => (classify(&ending), exit_of(ending), None),
        Err(error) => (error.outcome(), None, Some(error)),
    };
    let confinement = reached.receipt.as_ref().and_then(|it| it.confinement.as_deref());
    outcome.note_noexec(confinement);
    (report(output_limits, outcome, exit, reached, capture), error)
}

fn exit_of(ending: Ending) -> Option<Exit> {
    match ending {
        Ending::Reported(exit) | Ending::StoppedFromOutside(exit) => Some(exit),
        _ => None,
    }
}

fn report(
    output_limits: OutputLimits,
    mut outcome: Outcome,
    exit: Option<Exit>,
    mut reached: Reached,
    mut capture: Capture,
) -> Report {
    let preload = exit.as_ref().and_then(preload_of);
    if let Some((receipt, preload)) = reached.receipt.as_mut().zip(preload) {
        receipt.note_preload(preload);
    }
    if let Some(exit) = &exit {
        capture.note_skipped(exit);
    }
    let log = capture.live.take_log();
    let written = |kept: &[u8], reported: Option<u64>| reported.unwrap_or(kept.len() as u64);
    let stdout_bytes = written(log.stdout(), exit.as_ref().map(|it| it.stdout_bytes));
    let is_whole = stdout_bytes == log.stdout().len() as u64;
    let is_end_missing = exit.is_none() && may_have_started(&outcome, &capture);
    let is_unknown = |kept: &[u8]| {
        is_end_missing
            && !(capture.has_printed_all && (kept.len() as u64) < output_limits.stream_cap)
    };
    let printed = match &output_limits.output_file_cap {
        Some(_) => Some(capture.output_file.as_slice()),
        // The beginning of a document may be another one.
        None => is_whole.then(|| log.stdout()),
    };
    let (output, output_fault) = match printed.map(parse_output) {
        Some(Ok(output)) => (Some(output), None),
        Some(Err(fault)) => (None, Some(fault)),
        None => (None, None),
    };
    if let Some(OutputFault { fault, is_meant_as_json: true }) = &output_fault {
        outcome.fail_output(&format!("the output is not JSON: {fault}\n{}", fault.pointed()));
    }
    let confinement = reached.receipt.as_ref().and_then(|it| it.confinement.as_deref());
    let outcome = with_hint(outcome, confinement, log.stderr());
    Report {
        output,
        output_fault: output_fault.map(|it| it.fault),
        is_stdout_unknown: is_unknown(log.stdout()),
        is_stderr_unknown: is_unknown(log.stderr()),
        stdout_bytes,
        stderr_bytes: written(log.stderr(), exit.as_ref().map(|it| it.stderr_bytes)),
        duration: exit.as_ref().map(|it| Duration::from_micros(it.duration_us)),
        usage: exit.as_ref().map(usage),
        sandbox: reached.receipt,
        outcome,
        log,
        took: reached.took,
        artifacts: capture.artifacts,
        kept_until: None,
        started_at: capture.started_at,
        completed_at: clock::now(),
    }
}

/// A script that did not find a library, or may not write to a mount, says so in words that
/// don't say what to do.
fn with_hint(mut outcome: Outcome, confinement: Option<&Confinement>, stderr: &[u8]) -> Outcome {
    if outcome.error_kind == Some(ErrorKind::ExitNonzero)
        && let Some(message) = &mut outcome.error_message
    {
        if let Some(hint) = missing::hint(stderr) {
            *message = format!("{message}\nhint: {hint}");
        }
        if let Some(words) = confinement.and_then(|it| unwritable::hint(it, stderr)) {
            *message = format!("{message}\n{words}");
        }
    }
    outcome
}

/// Nobody may have heard that it did.
fn may_have_started(outcome: &Outcome, capture: &Capture) -> bool {
    capture.started_at.is_some()
        || outcome.error_kind == Some(ErrorKind::Lost)
        || outcome.status == Status::Timeout
}

fn usage(exit: &Exit) -> Usage {
    Usage {
        cpu_ms: milliseconds(Duration::from_micros(exit.usage.cpu_us)),
        peak_memory_bytes: exit.usage.peak_memory_bytes,
        oom_kills: exit.usage.oom_kills,
        peak_disk_bytes: exit.disk.map(|it| it.peak_bytes),
    }
}

#[cfg(test)]
mod tests {
    use gantry_init::message::{ArtifactBegin, ArtifactCaps};

    use super::*;
    use crate::sandbox::Sink;

    /// Truncation of the streams of a script that printed 4 bytes of each, when nobody
    /// saw its end.
    fn are_cut(stream_cap: u64, files_came: bool) -> (bool, bool) {
        let artifacts = ArtifactCaps { count: 1, bytes: 1 };
        let on_disk = false;
        let grace = Duration::ZERO;
        let output_limits =
            OutputLimits { stream_cap, output_file_cap: None, artifacts, on_disk, grace };
        let mut capture = Capture::unfollowed();
        capture.started();
        capture.stdout(b"four").unwrap();
        capture.stderr(b"four").unwrap();
        if files_came {
            capture.artifact_begin(&ArtifactBegin { name: "a".to_owned(), size: 1 }).unwrap();
        }
        let outcome = Outcome::failed(ErrorKind::SandboxFailed, "it broke the protocol");
        let reached = Reached { receipt: None, took: Duration::ZERO };
        let report = report(output_limits, outcome, None, reached, capture);
        (report.is_stdout_truncated(), report.is_stderr_truncated())
    }

    #[test]
    fn a_stream_is_whole_once_files_have_come_and_it_is_below_its_cap() {
        assert_eq!(are_cut(5, true), (false, false));
        assert_eq!(are_cut(4, true), (true, true));
        assert_eq!(are_cut(5, false), (true, true));
    }
}

//! `gantry run`: one file or folder, one sandbox.

pub(super) mod bundle;
pub(super) mod environment;
pub(super) mod file;
mod inputs;
mod output;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::outcome::{self, GANTRY_FAILED, INTERRUPTED};
use super::progress::Progress;
use super::signals::Interrupts;
use super::{message, removal, stdout};
use crate::bundles::Packed;
use crate::clock;
use crate::config::Settings;
use crate::domain::execution::{Execution, ExecutionSummary, State};
use crate::domain::job::Job;
use crate::domain::limits::{Limits, Timeout};
use crate::domain::mount::{self, Mount};
use crate::domain::outcome::{ErrorKind, Status};
use crate::domain::quantities;
use crate::domain::sandbox_spec::Network;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::domain::script_type::python::preload::Preload;
use crate::domain::user::User;
use crate::domain::variables::{EnvVar, Variables};
use crate::engine::docker::Endpoint;
use crate::orchestrator::{ArtifactWriter, Capture, Live, LiveSender, RunError, container_name};
use crate::registry::mounts;
use crate::sandbox::Cancel;
use crate::services::Services;
use bundle::Content;
use file::Problem;
use output::{Printer, Shown};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The script: .py, a compiled program, or a shell script; or a folder with the files
    /// of one that has many
    file: PathBuf,

    /// The file of a folder that is run, by its path in it; otherwise __main__.py,
    /// main.py, main.sh or main
    #[arg(long, value_name = "PATH")]
    entry: Option<String>,

    /// What it is, when its name and content don't tell
    #[arg(long = "type", value_name = "TYPE", value_parser = script_type)]
    script_type: Option<ScriptType>,

    /// Python packages that it needs: a requirements.txt
    #[arg(long, value_name = "FILE")]
    requirements: Option<PathBuf>,

    /// Build packages that have no wheel from source, which runs their code then
    #[arg(long, requires = "requirements")]
    sources: bool,

    /// Version of Python that it runs with: 3.10, 3.11, 3.12, 3.13 or 3.14; otherwise
    /// the one that its `#!` line names, or the base image's
    #[arg(long, value_name = "VERSION", value_parser = environment::python)]
    python: Option<PythonVersion>,

    /// A word of a command that runs when its environment is built, and whose caches
    /// become part of that: the program, then, repeated, each of its arguments
    #[arg(long = "warm-up", value_name = "WORD", allow_hyphen_values = true)]
    warm_up: Vec<String>,

    /// A Debian package that it needs, such as libgl1 or hello=2.10-5; may be repeated
    #[arg(long = "system-package", value_name = "PACKAGE")]
    system_packages: Vec<String>,

    /// What it reads from stdin: JSON, @FILE, or - for this command's stdin
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,

    /// An argument of the script; may be repeated
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,

    /// An environment variable of the script; may be repeated
    // Not parsed by clap, which shows the value in its error: it may be a secret.
    #[arg(long = "env", value_name = "NAME=VALUE", allow_hyphen_values = true)]
    env: Vec<String>,

    /// Time that it may take, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "300s", value_parser = timeout)]
    timeout: Timeout,

    /// Memory that it may use. The script itself and all files in /work and /tmp
    /// are part of it; /work has room for a quarter of it, at least 128 MiB where
    /// that fits
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = memory)]
    memory: u64,

    /// Room in /work on this machine's disk, such as 20GiB; without it /work is in memory
    #[arg(long, value_name = "SIZE", value_parser = disk)]
    disk: Option<u64>,

    /// CPUs that it may use, such as 0.5
    #[arg(long, value_name = "CPUS", default_value = "1", value_parser = cpus)]
    cpus: u64,

    /// A folder or file of the host that it sees, read-only unless :rw; must be
    /// below GANTRY_MOUNT_ROOTS. Group 65534 or everybody must be allowed to read
    /// it; with :rw the script runs as uid 65534, or as its --owner, who must be allowed
    /// to write it
    #[arg(long = "mount", value_name = "SRC:DST[:rw]", value_parser = mount_argument)]
    mounts: Vec<Mount>,

    /// User and group that it runs as, one of GANTRY_OWNERS: what it writes to a mount
    /// belongs to them
    #[arg(long, value_name = "UID:GID")]
    owner: Option<User>,

    /// A file of this machine that it finds below /work/in under this name, as a link or
    /// a copy that it can only read; may be repeated
    #[arg(long = "file", value_name = "NAME=PATH")]
    files: Vec<String>,

    /// What it can reach
    #[arg(long, value_name = "NETWORK", default_value = "none")]
    network: NetworkArgument,

    /// A file below /work that the result is read from, and printed, instead of
    /// the script's stdout
    #[arg(long, value_name = "PATH")]
    output_file: Option<String>,

    /// Folder for the files that it leaves in /work/out: a new or an empty one
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,

    /// Print the whole execution as JSON instead of the script's stdout
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Content of stdout.
    fn shown(&self) -> Shown {
        match (self.json, &self.output_file) {
            (true, _) => Shown::Execution,
            (false, Some(_)) => Shown::OutputFile,
            (false, None) => Shown::Stdout,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum NetworkArgument {
    /// Nothing
    None,
    /// The outside
    Egress,
}

pub(super) fn script_type(text: &str) -> Result<ScriptType, String> {
    text.parse().map_err(|error: crate::domain::script_type::UnknownScriptType| error.to_string())
}

pub(super) fn timeout(text: &str) -> Result<Timeout, String> {
    let duration = quantities::parse_duration(text)
        .map_err(|error| with_hint(&error.to_string(), error.hint()))?;
    Timeout::new(duration).map_err(|error| with_hint(&error.to_string(), error.hint()))
}

pub(super) fn memory(text: &str) -> Result<u64, String> {
    let bytes = quantities::parse_bytes(text)
        .map_err(|error| with_hint(&error.to_string(), error.hint()))?;
    let limits = Limits { memory_bytes: bytes, ..Limits::default() }.with_fitting_scratch();
    let checked = limits.validate().map(|()| bytes);
    checked.map_err(|error| with_hint(&error.to_string(), error.hint()))
}

pub(super) fn disk(text: &str) -> Result<u64, String> {
    let bytes = quantities::parse_bytes(text)
        .map_err(|error| with_hint(&error.to_string(), error.hint()))?;
    let checked = Limits { disk_bytes: bytes, ..Limits::default() }.validate().map(|()| bytes);
    checked.map_err(|error| with_hint(&error.to_string(), error.hint()))
}

pub(super) fn cpus(text: &str) -> Result<u64, String> {
    let nano_cpus = quantities::parse_cpus(text)
        .map_err(|error| with_hint(&error.to_string(), error.hint()))?;
    let checked = Limits { nano_cpus, ..Limits::default() }.validate().map(|()| nano_cpus);
    checked.map_err(|error| with_hint(&error.to_string(), error.hint()))
}

pub(super) fn mount_argument(text: &str) -> Result<Mount, String> {
    Mount::parse(text).map_err(|error| with_hint(&error.to_string(), error.hint()))
}

fn with_hint(what: &str, hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("{what}\nhint: {hint}"),
        None => what.to_owned(),
    }
}

pub(super) async fn main(arguments: Arguments, settings: &Settings) -> u8 {
    let interrupts = Interrupts::listen();
    let prepared = tokio::select! {
        prepared = prepare(&arguments, settings) => prepared,
        () = interrupts.cancel.cancelled() => return INTERRUPTED,
    };
    match prepared {
        Ok(prepared) => run(prepared, &arguments, &interrupts).await,
        Err(problem) => {
            message::error(&problem.what, problem.hint.as_deref());
            GANTRY_FAILED
        }
    }
}

/// All that a run needs.
struct Prepared {
    services: Services,
    id: Uuid,
    job: Job,
    artifacts: ArtifactWriter,
    /// Files of a bundle, which are there until its image is.
    bundle: Option<Packed>,
}

async fn run(prepared: Prepared, arguments: &Arguments, interrupts: &Interrupts) -> u8 {
    let Prepared { services, id, job, artifacts, bundle: _bundle } = prepared;
    let (live, followed) = mpsc::unbounded_channel();
    let cancel = &interrupts.cancel;
    let progress = Progress::for_terminal();
    let printer = Printer::start(followed, progress, arguments.shown(), cancel.clone());
    let folder = arguments.artifacts.as_deref();
    let kept = Kept { artifacts, folder };
    let (code, container) = tokio::select! {
        (execution, error) = execute(&services, id, &job, kept, live, cancel) => {
            let code = finish(&execution, error.as_ref(), printer, arguments, interrupts).await;
            (code, execution.summary.sandbox.map(|sandbox| sandbox.container_id))
        }
        () = interrupts.second() => (INTERRUPTED, Some(container_name(&job.execution_id))),
    };
    // What has not come to a sandbox of its own can only have been building.
    let container =
        container.map_or("a build's container".to_owned(), |name| format!("container {name}"));
    removal::finish(&services.remover, interrupts, &container).await;
    code
}

/// Places for the files that the script leaves.
struct Kept<'a> {
    /// Those that are sent.
    artifacts: ArtifactWriter,
    /// Folder for those that are left on disk.
    folder: Option<&'a Path>,
}

/// Runs the job in its environment, which is built if it is not there.
async fn execute(
    services: &Services,
    id: Uuid,
    job: &Job,
    kept: Kept<'_>,
    live: LiveSender,
    cancel: &Cancel,
) -> (Execution, Option<RunError>) {
    let created = clock::now();
    let progress = |line: &str| {
        // Whoever should read it has gone, which changes nothing.
        let _ = live.send(Live::Progress(line.to_owned()));
    };
    let image = async {
        let prepared = services.library.prepare(&job.environment, None, &progress, cancel).await?;
        Ok(prepared.image.id)
    };
    let capture = Capture::new(Arc::default(), kept.artifacts).told_to(live.clone());
    let (report, error) = services.runner.run(job, image, capture, kept.folder, cancel).await;
    (Execution::unregistered(id, job, created, report), error)
}

/// Prints what is left to be printed; returns the exit code.
async fn finish(
    execution: &Execution,
    error: Option<&RunError>,
    printer: Printer,
    arguments: &Arguments,
    interrupts: &Interrupts,
) -> u8 {
    let printing = async {
        printer.finish().await?;
        report(execution, error, arguments);
        match arguments.shown() {
            Shown::Execution => output::print_json(execution).await,
            Shown::Stdout | Shown::OutputFile => Ok(()),
        }
    };
    let is_cancelled = execution.summary.status == State::Ended(Status::Cancelled);
    tokio::select! {
        biased;
        printed = printing => match printed {
            Ok(()) => exit_code(&execution.summary),
            Err(error) => stdout::unprinted(&error, GANTRY_FAILED),
        },
        // Whoever should read it does not. A signal that came when the script had ended by
        // itself is meant for this.
        () = interrupts.unheeded(is_cancelled) => INTERRUPTED,
    }
}

fn exit_code(summary: &ExecutionSummary) -> u8 {
    match summary.status {
        State::Ended(status) => outcome::exit_code(status, summary.exit_code, summary.signal),
        State::Pending | State::Running => GANTRY_FAILED,
    }
}

/// Says what the script can't say itself.
fn report(execution: &Execution, error: Option<&RunError>, arguments: &Arguments) {
    let hint = error.and_then(RunError::hint).or_else(|| outcome_hint(execution, arguments));
    match (&execution.summary.error_message, execution.summary.status) {
        // A script that exits with a code of its own has printed the reason.
        (Some(what), State::Ended(Status::Failed))
            if execution.summary.error_kind == Some(ErrorKind::ExitNonzero)
                && execution.summary.exit_code.is_some_and(outcome::is_own_word)
                && execution.artifacts.iter().all(|it| it.skipped.is_none())
                && !what.contains("\nhint: ") => {}
        (Some(what), _) => message::error(what, hint.as_deref()),
        (None, _) => {}
    }
    output::notes(execution, arguments.artifacts.is_some());
}

fn outcome_hint(execution: &Execution, arguments: &Arguments) -> Option<String> {
    match (execution.summary.status, execution.summary.error_kind) {
        (State::Ended(Status::Timeout), _) => {
            let limit = quantities::show_duration(arguments.timeout.duration());
            Some(format!("the limit was {limit}; raise it with --timeout"))
        }
        (State::Ended(Status::Failed), Some(ErrorKind::OutOfMemory)) => {
            let limit = quantities::show_bytes(arguments.memory);
            Some(format!("the limit was {limit}; raise it with --memory"))
        }
        _ => None,
    }
}

async fn prepare(arguments: &Arguments, settings: &Settings) -> Result<Prepared, Problem> {
    let variables = variables(&arguments.env)?;
    let content = read_content(arguments, settings).await?;
    let wanted = environment::wanted(arguments, settings).await?;
    let input = match &arguments.input {
        Some(input) => Some(file::read_input(input).await?),
        None => None,
    };
    let services = Services::new(settings).map_err(|error| Problem::new(&error, error.hint()))?;
    let mounts = check_mounts(arguments, settings, services.docker.endpoint())?;
    let owner = check_owner(arguments, settings)?;
    let inputs = inputs::read(&arguments.files)?;
    let (script, bundle) = match content {
        Content::File(bytes) => (file::named_script(arguments, bytes)?, None),
        Content::Bundle(packed, entry) => {
            (bundle::script(&packed, &entry, arguments.script_type)?, Some(packed))
        }
    };
    file::check_script(&script, &services.docker).await?;
    let limits = Limits {
        nano_cpus: arguments.cpus,
        memory_bytes: arguments.memory,
        disk_bytes: arguments.disk.unwrap_or_default(),
        ..Limits::default()
    };
    let id = Uuid::now_v7();
    let job = Job {
        execution_id: id.to_string(),
        script_id: None,
        script_name: script.file_name().to_owned(),
        job_id: None,
        environment: environment::spec(arguments, wanted, &script, bundle.as_ref())?,
        script,
        working_directory: None,
        input,
        takes_files: !inputs.is_empty(),
        args: arguments.args.clone(),
        script_variables: variables.clone(),
        variables,
        limits: limits.with_fitting_scratch(),
        timeout: arguments.timeout,
        network: match arguments.network {
            NetworkArgument::None => Network::None,
            NetworkArgument::Egress => Network::Egress,
        },
        mounts,
        owner,
        oci_runtime: settings.oci_runtime(),
        exec: true,
        preload: Preload::Off,
        output_file: arguments.output_file.clone(),
        inputs,
        shared: Vec::new(),
    };
    job.validate().map_err(|error| Problem::new(&error, error.hint()))?;
    // Last, because it leaves a folder.
    let artifacts = open_artifacts(arguments)?;
    Ok(Prepared { services, id, job, artifacts, bundle })
}

/// Reads the file, or packs the folder, which may take a while.
async fn read_content(arguments: &Arguments, settings: &Settings) -> Result<Content, Problem> {
    let data_dir = settings.data_dir().map_err(|error| Problem::new(&error, None))?;
    let (file, entry) = (arguments.file.clone(), arguments.entry.clone());
    let reading =
        tokio::task::spawn_blocking(move || bundle::read(&file, entry.as_deref(), &data_dir));
    reading.await.map_err(|error| Problem::new(&error, None)).flatten()
}

/// Opens the folder for artifacts, where there is one; an error comes before anything
/// runs.
fn open_artifacts(arguments: &Arguments) -> Result<ArtifactWriter, Problem> {
    let Some(folder) = &arguments.artifacts else {
        return Ok(ArtifactWriter::default());
    };
    ArtifactWriter::open(folder.clone()).map_err(|error| {
        let hint = "nothing is ever replaced: name a folder that is not there yet, or an empty one";
        Problem::new(&format!("--artifacts {}: {error}", folder.display()), Some(hint.to_owned()))
    })
}

pub(super) fn variables(texts: &[String]) -> Result<Variables, Problem> {
    let parsed: Result<_, _> = texts.iter().map(|text| EnvVar::parse(text)).collect();
    parsed
        .and_then(Variables::new)
        .map_err(|error| Problem::new(&format!("--env: {error}"), error.hint()))
}

/// The owner, if the operator allows it.
fn check_owner(arguments: &Arguments, settings: &Settings) -> Result<Option<User>, Problem> {
    let owners = settings.owners().map_err(|error| Problem::new(&error, None))?;
    match arguments.owner.filter(|owner| !owners.contains(owner)) {
        Some(owner) => {
            let what = format!("--owner {owner} is refused: GANTRY_OWNERS does not have it");
            let hint = format!("the operator can allow it: add {owner} to GANTRY_OWNERS");
            Err(Problem::new(&what, Some(hint)))
        }
        None => Ok(arguments.owner),
    }
}

/// Mounts with their links resolved, so that what was checked is what is
/// mounted.
fn check_mounts(
    arguments: &Arguments,
    settings: &Settings,
    endpoint: &Endpoint,
) -> Result<Vec<Mount>, Problem> {
    if !arguments.mounts.is_empty() && !endpoint.is_local() {
        let what = format!("--mount can't be used with the engine at {endpoint}");
        let hint = "a mount is checked before it is allowed, and another machine's files can't be \
                    checked from here: run gantry there, or send data with --input";
        return Err(Problem::new(&what, Some(hint.to_owned())));
    }
    let roots = settings.mount_roots();
    let mut resolved_mounts = Vec::new();
    for mount in &arguments.mounts {
        let resolved = mounts::resolve(mount, &roots);
        resolved_mounts.push(resolved.map_err(|fault| Problem::new(&fault.what, fault.hint))?);
    }
    mount::check_together(&resolved_mounts).map_err(|error| Problem::new(&error, error.hint()))?;
    Ok(resolved_mounts)
}

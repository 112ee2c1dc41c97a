//! `gantry run`: one file, one sandbox.

mod file;
mod output;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::sync::mpsc;

use super::progress::Progress;
use super::signals::Interrupts;
use super::{message, removal, stdout};
use crate::config::Settings;
use crate::domain::execution::Execution;
use crate::domain::job::Job;
use crate::domain::limits::{Limits, Timeout};
use crate::domain::mount::{self, Mount};
use crate::domain::outcome::Status;
use crate::domain::quantities;
use crate::domain::runtime::Runtime;
use crate::domain::sandbox_spec::Network;
use crate::domain::variables::{EnvVar, Variables};
use crate::engine::docker::Endpoint;
use crate::orchestrator::{ArtifactStore, RunError, container_name};
use crate::services::Services;
use file::Problem;
use output::{Printer, Shown};

/// Gantry itself has failed, and not the script; as `docker run` has it.
pub(super) const GANTRY_FAILED: u8 = 125;

/// The time limit was reached; as timeout(1) has it.
const TIMED_OUT: u8 = 124;

/// What a shell adds to the number of the signal that ended a program.
const SIGNAL_BASE: u8 = 128;

/// SIGINT (signal(7)): what a cancelled run ends with is 128 + 2.
const INTERRUPTED: u8 = SIGNAL_BASE + 2;

/// The script ended well, and did not leave the output that it promised.
const INVALID_OUTPUT: u8 = 1;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The script: .py, a compiled program, or a shell script
    file: PathBuf,

    /// What it is, when its name and content don't tell
    #[arg(long = "type", value_name = "TYPE", value_parser = runtime)]
    script_type: Option<Runtime>,

    /// Python packages that it needs: a requirements.txt
    #[arg(long, value_name = "FILE")]
    requirements: Option<PathBuf>,

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

    /// CPUs that it may use, such as 0.5
    #[arg(long, value_name = "CPUS", default_value = "1", value_parser = cpus)]
    cpus: u64,

    /// A folder or file of the host that it sees, read-only unless :rw; must be
    /// below GANTRY_MOUNT_ROOTS. Scripts run as uid 65534, which must be allowed
    /// to read it, and with :rw to write it
    #[arg(long = "mount", value_name = "SRC:DST[:rw]", value_parser = mount_argument)]
    mounts: Vec<Mount>,

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
    /// What is to be printed on stdout.
    fn shown(&self) -> Shown {
        match (self.json, &self.output_file) {
            (true, _) => Shown::Execution,
            (false, Some(_)) => Shown::OutputFile,
            (false, None) => Shown::Stdout,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NetworkArgument {
    /// Nothing
    None,
    /// The outside
    Egress,
}

fn runtime(text: &str) -> Result<Runtime, String> {
    text.parse().map_err(|error: crate::domain::runtime::UnknownRuntime| error.to_string())
}

fn timeout(text: &str) -> Result<Timeout, String> {
    let duration = quantities::parse_duration(text)
        .map_err(|error| with_hint(&error.to_string(), error.hint()))?;
    Timeout::new(duration).map_err(|error| with_hint(&error.to_string(), error.hint()))
}

fn memory(text: &str) -> Result<u64, String> {
    let bytes = quantities::parse_bytes(text)
        .map_err(|error| with_hint(&error.to_string(), error.hint()))?;
    let limits = Limits { memory_bytes: bytes, ..Limits::default() }.with_fitting_scratch();
    let checked = limits.validate().map(|()| bytes);
    checked.map_err(|error| with_hint(&error.to_string(), error.hint()))
}

fn cpus(text: &str) -> Result<u64, String> {
    let nano_cpus = quantities::parse_cpus(text)
        .map_err(|error| with_hint(&error.to_string(), error.hint()))?;
    let checked = Limits { nano_cpus, ..Limits::default() }.validate().map(|()| nano_cpus);
    checked.map_err(|error| with_hint(&error.to_string(), error.hint()))
}

fn mount_argument(text: &str) -> Result<Mount, String> {
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
    job: Job,
    artifacts: ArtifactStore,
}

async fn run(prepared: Prepared, arguments: &Arguments, interrupts: &Interrupts) -> u8 {
    let Prepared { services, job, artifacts } = prepared;
    let (live, followed) = mpsc::unbounded_channel();
    let cancel = &interrupts.cancel;
    let progress = Progress::for_terminal();
    let printer = Printer::start(followed, progress, arguments.shown(), cancel.clone());
    let (code, container) = tokio::select! {
        (execution, error) = services.orchestrator.run_once(&job, artifacts, live, cancel) => {
            let code = finish(&execution, error.as_ref(), printer, arguments, interrupts).await;
            (code, execution.sandbox.map(|sandbox| sandbox.container_id))
        }
        () = interrupts.second() => (INTERRUPTED, Some(container_name(&job.execution_id))),
    };
    // What has not come to a sandbox of its own can only have been building.
    let container =
        container.map_or("a build's container".to_owned(), |name| format!("container {name}"));
    removal::finish(&services.remover, interrupts, &container).await;
    code
}

/// Prints what is left to be printed; answers with the exit code.
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
    tokio::select! {
        printed = printing => match printed {
            Ok(()) => exit_code(execution),
            Err(error) => stdout::unprinted(&error, GANTRY_FAILED),
        },
        // Whoever should read it does not.
        () = interrupts.another() => INTERRUPTED,
    }
}

/// Says what the script can't say itself.
fn report(execution: &Execution, error: Option<&RunError>, arguments: &Arguments) {
    let hint = error.and_then(RunError::hint).or_else(|| outcome_hint(execution, arguments));
    match (&execution.error_message, execution.status) {
        // A script that exits with a code of its own has said why.
        (Some(_), Status::Failed)
            if execution.exit_code.is_some_and(is_own_word) && hint.is_none() => {}
        (Some(what), _) => message::error(what, hint.as_deref()),
        (None, _) => {}
    }
    output::notes(execution, arguments.artifacts.is_some());
}

/// True for an exit code by which the script says that it failed: neither a
/// signal's nor one that a shell would give for what it can't start.
fn is_own_word(code: i32) -> bool {
    !matches!(code, -1 | 0 | 126 | 127)
}

fn outcome_hint(execution: &Execution, arguments: &Arguments) -> Option<String> {
    use crate::domain::outcome::ErrorKind;
    match (execution.status, execution.error_kind) {
        (Status::Timeout, _) => {
            let limit = quantities::show_duration(arguments.timeout.duration());
            Some(format!("the limit was {limit}; raise it with --timeout"))
        }
        (Status::Failed, Some(ErrorKind::OutOfMemory)) => {
            let limit = quantities::show_bytes(arguments.memory);
            Some(format!("the limit was {limit}; raise it with --memory"))
        }
        _ => None,
    }
}

/// The script's code, or what stands for its end.
fn exit_code(execution: &Execution) -> u8 {
    match (execution.status, execution.exit_code, execution.signal) {
        (Status::Completed, ..) => 0,
        (Status::Timeout, ..) => TIMED_OUT,
        (Status::Cancelled, ..) => INTERRUPTED,
        (Status::Failed, _, Some(signal)) => {
            u8::try_from(signal).map_or(GANTRY_FAILED, |signal| SIGNAL_BASE.saturating_add(signal))
        }
        (Status::Failed, Some(0), None) => INVALID_OUTPUT,
        (Status::Failed, Some(code), None) => {
            // The kernel keeps eight bits of an exit code.
            u8::try_from(code & 0xff).unwrap_or(GANTRY_FAILED)
        }
        (Status::Failed, None, None) => GANTRY_FAILED,
    }
}

async fn prepare(arguments: &Arguments, settings: &Settings) -> Result<Prepared, Problem> {
    let variables = variables(&arguments.env)?;
    let script_bytes = file::read_script(&arguments.file)?;
    let requirements = match &arguments.requirements {
        Some(path) => Some(file::read_requirements(path, settings)?),
        None => None,
    };
    let input = match &arguments.input {
        Some(input) => Some(file::read_input(input).await?),
        None => None,
    };
    let services = Services::new(settings).map_err(|error| Problem::new(&error, error.hint()))?;
    let mounts = check_mounts(arguments, settings, services.docker.endpoint())?;
    let script = file::check_script(arguments, script_bytes, &services.docker).await?;
    let limits =
        Limits { nano_cpus: arguments.cpus, memory_bytes: arguments.memory, ..Limits::default() };
    let job = Job {
        execution_id: uuid::Uuid::now_v7().to_string(),
        script_name: script.file_name().to_owned(),
        script,
        requirements,
        input,
        args: arguments.args.clone(),
        variables,
        limits: limits.with_fitting_scratch(),
        timeout: arguments.timeout,
        network: match arguments.network {
            NetworkArgument::None => Network::None,
            NetworkArgument::Egress => Network::Egress,
        },
        mounts,
        oci_runtime: settings.oci_runtime(),
        output_file: arguments.output_file.clone(),
    };
    job.validate().map_err(|error| Problem::new(&error, error.hint()))?;
    // Last, because it leaves a folder.
    let artifacts = open_artifacts(arguments)?;
    Ok(Prepared { services, job, artifacts })
}

/// The folder for artifacts, where there is one: said before anything runs when
/// it can't take them.
fn open_artifacts(arguments: &Arguments) -> Result<ArtifactStore, Problem> {
    let Some(folder) = &arguments.artifacts else {
        return Ok(ArtifactStore::default());
    };
    ArtifactStore::open(folder.clone()).map_err(|error| {
        let hint = "nothing is ever replaced: name a folder that is not there yet, or an empty one";
        Problem::new(&format!("--artifacts {}: {error}", folder.display()), Some(hint.to_owned()))
    })
}

fn variables(texts: &[String]) -> Result<Variables, Problem> {
    let parsed: Result<_, _> = texts.iter().map(|text| EnvVar::parse(text)).collect();
    parsed
        .and_then(Variables::new)
        .map_err(|error| Problem::new(&format!("--env: {error}"), error.hint()))
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
    let mut mounts = Vec::new();
    for mount in &arguments.mounts {
        let mut mount = mount.clone();
        let source = mount.source.canonicalize();
        mount.source = source
            .map_err(|error| Problem::new(&format!("{}: {error}", mount.source.display()), None))?;
        let allowed = mount.check_allowed(&mount.source, &roots);
        allowed.map_err(|error| Problem::new(&error, error.hint()))?;
        mounts.push(mount);
    }
    mount::check_together(&mounts).map_err(|error| Problem::new(&error, error.hint()))?;
    Ok(mounts)
}

//! Everything that one execution depends on, frozen: what is run, with what, in
//! what. A job says the request that PID 1 gets and the sandbox that it needs.

use gantry_init::message::{ArtifactCaps, Launch, OutputFile, Request, WORK_DIR};
use thiserror::Error;

use super::environment::EnvironmentSpec;
use super::json_input::JsonInput;
use super::limits::{GRACE, Limits, Timeout};
use super::mount::Mount;
use super::preload::Preload;
use super::quantities::show_bytes;
use super::sandbox_spec::{Network, Purpose, SandboxSpec};
use super::script::Script;
use super::variables::Variables;

/// Artifacts of one execution at most.
pub const MAX_ARTIFACTS: u32 = 100;

/// Bytes of all artifacts of one execution at most (64 MiB).
pub const MAX_ARTIFACT_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of arguments at most; the kernel takes 2 MiB with the environment
/// (a quarter of an 8 MiB stack, execve(2)).
const MAX_ARGUMENT_BYTES: usize = 512 * 1024;

/// Longest single argument, in bytes with its end (`MAX_ARG_STRLEN`, execve(2)).
const MAX_ARGUMENT: usize = 131_072;

/// Variables that have another value in each execution, or that only some have.
pub(super) const DIFFERING_VARIABLES: [&str; 2] = ["EXECUTION_ID", "JOB_ID"];

/// What sets the programs that a script finds.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Variables that tell libraries and runtimes how many threads to start, or how many CPUs
/// there are: they would count those of the machine. nproc(1) heeds the first one.
const CPU_COUNTS: [&str; 12] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "RAYON_NUM_THREADS",
    "GOMAXPROCS",
    "DOTNET_PROCESSOR_COUNT",
    "PYTHON_CPU_COUNT",
];

/// One execution, before it begins.
#[derive(Debug, Clone)]
pub struct Job {
    /// Unique; the script sees it as `EXECUTION_ID`.
    pub execution_id: String,
    /// The script sees it as `SCRIPT_ID`; `None` when it is not registered.
    pub script_id: Option<i64>,
    /// The script sees it as `SCRIPT_NAME`.
    pub script_name: String,
    /// The script sees it as `JOB_ID`.
    pub job_id: Option<String>,
    /// What is run.
    pub script: Script,
    /// What its image is made of.
    pub environment: EnvironmentSpec,
    /// Where it starts, relative to `/work`; `None` is `/work` itself.
    pub working_directory: Option<String>,
    /// What it reads from stdin; nothing if `None`.
    pub input: Option<JsonInput>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its own environment variables.
    pub variables: Variables,
    /// Those of them that are the script's, whatever the request.
    pub script_variables: Variables,
    /// What it may use.
    pub limits: Limits,
    /// The time that it may take.
    pub timeout: Timeout,
    /// What it can reach.
    pub network: Network,
    /// What it sees of the host.
    pub mounts: Vec<Mount>,
    /// The OCI runtime, when it is not the engine's default.
    pub oci_runtime: Option<String>,
    /// Files that the script writes may be executed.
    pub exec: bool,
    /// What a waiting interpreter has imported.
    pub preload: Preload,
    /// Where the result is read from instead of stdout, relative to `/work`.
    pub output_file: Option<String>,
}

/// Why a job can't be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JobError {
    /// Script and input are held in the sandbox's memory, beside all else.
    #[error(
        "script and input have {} together, and must not be more than half of the memory limit of {}",
        show_bytes(*bytes),
        show_bytes(*memory)
    )]
    TooLargeForMemory {
        /// Script and input, in bytes.
        bytes: u64,
        /// The memory limit, in bytes.
        memory: u64,
    },
    /// An argument that no program can be given.
    #[error("argument {number} {reason}")]
    Argument {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Too much in all.
    #[error("the arguments have {0} bytes, at most {MAX_ARGUMENT_BYTES} (512 KiB) are allowed")]
    Arguments(usize),
}

impl JobError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLargeForMemory { bytes, .. } => {
                Some(format!("give it a memory limit of at least {}", show_bytes(bytes * 2)))
            }
            Self::Argument { .. } | Self::Arguments(_) => {
                Some("put data into the input, which the script reads from stdin".to_owned())
            }
        }
    }
}

/// What an execution may leave in its artifact folder.
#[must_use]
pub fn artifact_caps() -> ArtifactCaps {
    ArtifactCaps { count: MAX_ARTIFACTS, bytes: MAX_ARTIFACT_BYTES }
}

/// Checks what a program can be given as its arguments.
///
/// # Errors
/// [`JobError::Argument`] and [`JobError::Arguments`].
pub fn check_arguments(args: &[String]) -> Result<(), JobError> {
    for (argument, number) in args.iter().zip(1..) {
        if argument.contains('\0') {
            return Err(JobError::Argument { number, reason: "has a NUL byte" });
        }
        if argument.len() >= MAX_ARGUMENT {
            return Err(JobError::Argument { number, reason: "has 128 KiB or more" });
        }
    }
    let total = args.iter().map(|argument| argument.len() + 1).sum();
    if total > MAX_ARGUMENT_BYTES { Err(JobError::Arguments(total)) } else { Ok(()) }
}

impl Job {
    /// Checks what the parts can't check by themselves.
    ///
    /// # Errors
    /// [`JobError`] when no sandbox could run it.
    pub fn validate(&self) -> Result<(), JobError> {
        let bytes = self.script_bytes() + self.stdin().len() as u64;
        let memory = self.limits.memory_bytes;
        if bytes > memory / 2 {
            return Err(JobError::TooLargeForMemory { bytes, memory });
        }
        check_arguments(&self.args)
    }

    /// What the script reads from stdin.
    #[must_use]
    pub fn stdin(&self) -> &[u8] {
        self.input.as_ref().map_or(b"", |input| input.as_str().as_bytes())
    }

    /// The sandbox that it runs in.
    #[must_use]
    pub fn sandbox_spec(&self, image: String) -> SandboxSpec {
        SandboxSpec {
            image,
            limits: self.limits,
            network: self.network,
            mounts: self.mounts.clone(),
            oci_runtime: self.oci_runtime.clone(),
            exec: self.exec,
            purpose: Purpose::Execution,
        }
    }

    /// The head of the request that PID 1 gets.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            launch: self.request_launch(),
            args: self.args.clone(),
            env: self.environment(&self.execution_id, self.job_id.as_deref(), &self.variables),
            working_directory: self.absolute_working_directory(),
            script_bytes: self.script_bytes(),
            stdin_bytes: self.stdin().len() as u64,
            timeout_ms: self.timeout.as_millis(),
            grace_ms: u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX),
            stream_cap: self.limits.output_bytes,
            output_file: self
                .output_file
                .clone()
                .map(|path| OutputFile { path, cap: self.limits.output_bytes }),
            artifacts: artifact_caps(),
            stay_ms: 0,
        }
    }

    /// The folder that the script starts in.
    pub(super) fn absolute_working_directory(&self) -> String {
        match &self.working_directory {
            Some(below) => format!("{WORK_DIR}/{below}"),
            None => WORK_DIR.to_owned(),
        }
    }

    /// How the script is started.
    pub(super) fn request_launch(&self) -> Launch {
        let has_environment = self.environment.has_own_python();
        let runtime = self.script.runtime();
        runtime.launch(self.script.file_name(), self.script.bytes(), has_environment)
    }

    /// The environment that every run of the script has. What differs each time
    /// ([`DIFFERING_VARIABLES`]) is empty and in its place.
    pub(super) fn environment_of_all_runs(&self) -> Vec<(String, String)> {
        self.environment("", Some(""), &self.script_variables)
    }

    /// The script's whole environment; what it may not set itself comes first.
    fn environment(
        &self,
        execution_id: &str,
        job_id: Option<&str>,
        variables: &Variables,
    ) -> Vec<(String, String)> {
        let script_id = self.script_id.map(|id| id.to_string());
        let known = [("SCRIPT_ID", script_id.as_deref()), ("JOB_ID", job_id)];
        let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let ours = [
            ("PATH", PATH),
            ("HOME", WORK_DIR),
            ("LANG", "C.UTF-8"),
            ("EXECUTION_ID", execution_id),
            ("SCRIPT_NAME", &self.script_name),
        ];
        let runtime = self.script.runtime().variables().iter().copied();
        let cpus = self.limits.whole_cpus().to_string();
        let cpus = CPU_COUNTS.iter().map(|name| (*name, cpus.as_str()));
        let ours = ours.into_iter().chain(known).chain(runtime).chain(cpus);
        // A name that stands there twice has the first value for some, and the last for
        // others.
        let ours = ours.filter(|(name, _)| variables.iter().all(|it| it.name() != *name));
        let theirs = variables.iter().map(|it| (it.name(), it.value()));
        ours.chain(theirs).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn script_bytes(&self) -> u64 {
        self.script.runnable().len() as u64
    }
}

//! Everything that one execution depends on, fixed before it starts. A job provides PID 1's
//! request and the sandbox's spec.

use gantry_init::message::{
    ArtifactCaps, BUNDLE_DIR, DISK_TEMPORARY_DIR, DiskCaps, Launch, MAX_DISK_FILES, OutputFile,
    Request, WORK_DIR,
};
use thiserror::Error;

use super::environment::EnvironmentSpec;
use super::input_files::{Input, MANIFEST_PATH, MANIFEST_VARIABLE};
use super::json_input::JsonInput;
use super::limits::{GRACE, Limits, Timeout};
use super::mount::Mount;
use super::quantities::show_bytes;
use super::run_folder::RunFolder;
use super::sandbox_spec::{Network, Purpose, SandboxSpec};
use super::script::Script;
use super::script_type::ScriptType;
use super::script_type::python::preload::Preload;
use super::user::User;
use super::variables::Variables;

/// Most bytes in all files that one execution leaves in memory (64 MiB).
pub const MAX_ARTIFACT_BYTES: u64 = 64 * 1024 * 1024;

/// Most bytes of arguments. The kernel accepts 2 MiB with the environment (a quarter of an
/// 8 MiB stack, execve(2)).
const MAX_ARGUMENT_BYTES: usize = 512 * 1024;

/// Longest argument with its final NUL, in bytes (`MAX_ARG_STRLEN`, execve(2)).
const MAX_ARGUMENT: usize = 131_072;

/// Variables that differ between executions of one script, or that only some executions
/// have.
pub(super) const DIFFERING_VARIABLES: [&str; 3] = ["EXECUTION_ID", "JOB_ID", MANIFEST_VARIABLE];

/// Search path of scripts.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Variables of every run: places, and settings of the script type and of libraries.
pub(crate) fn plain_variables(
    script_type: ScriptType,
    cpus: &str,
) -> [Vec<(&'static str, &str)>; 2] {
    let paths = vec![("PATH", PATH), ("HOME", WORK_DIR), ("LANG", "C.UTF-8")];
    let settings = script_type.variables().iter().copied();
    [paths, settings.chain(CPU_COUNTS.iter().map(|name| (*name, cpus))).collect()]
}

/// Variables that tell libraries and interpreters how many threads to start, or how many
/// CPUs exist: otherwise they count the machine's. nproc(1) uses the first one.
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

/// Execution before it starts.
#[derive(Debug, Clone)]
pub struct Job {
    /// Unique id, `EXECUTION_ID` in the script.
    pub execution_id: String,
    /// Script id, `SCRIPT_ID` in the script; `None` if it is not registered.
    pub script_id: Option<i64>,
    /// Script name, `SCRIPT_NAME` in the script.
    pub script_name: String,
    /// Job id, `JOB_ID` in the script.
    pub job_id: Option<String>,
    /// Script that is run.
    pub script: Script,
    /// Ingredients of its image.
    pub environment: EnvironmentSpec,
    /// Working directory, relative to `/work`; `None` means `/work` itself.
    pub working_directory: Option<String>,
    /// Input on stdin; `None` means none.
    pub input: Option<JsonInput>,
    /// True if it takes files to read in `/work/in`.
    pub takes_files: bool,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment variables.
    pub variables: Variables,
    /// The part of the variables that belongs to the script, not to the request.
    pub script_variables: Variables,
    /// Limits.
    pub limits: Limits,
    /// Time limit.
    pub timeout: Timeout,
    /// Network access.
    pub network: Network,
    /// Host paths that the script sees.
    pub mounts: Vec<Mount>,
    /// User that it runs as, if not one of its own.
    pub owner: Option<User>,
    /// OCI runtime, if not the engine's default.
    pub oci_runtime: Option<String>,
    /// True if files that the script writes may be executed.
    pub exec: bool,
    /// Modules that a warm interpreter imports.
    pub preload: Preload,
    /// File that holds the result instead of stdout, relative to `/work`.
    pub output_file: Option<String>,
    /// Files that it finds below `/work/in`.
    pub inputs: Vec<Input>,
    /// Mounts of those among them that are a share's, read-only.
    pub shared: Vec<Mount>,
}

/// Reason why a job can't be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JobError {
    /// Script and input exceed half of the sandbox's memory, which also holds everything
    /// else.
    #[error(
        "script and input have {} together, and must not be more than half of the memory limit of {}",
        show_bytes(*bytes),
        show_bytes(*memory)
    )]
    TooLargeForMemory {
        /// Size of script and input, in bytes.
        bytes: u64,
        /// Memory limit, in bytes.
        memory: u64,
    },
    /// An argument is unusable.
    #[error("argument {number} {reason}")]
    Argument {
        /// Number of the argument, from 1.
        number: usize,
        /// Fault of the argument.
        reason: &'static str,
    },
    /// Files could be executed although they must not be.
    #[error("exec is off, which the engine can't enforce for scratch on disk")]
    ExecutableDisk,
    /// All arguments together are too long.
    #[error("the arguments have {0} bytes, at most {MAX_ARGUMENT_BYTES} (512 KiB) are allowed")]
    Arguments(usize),
}

impl JobError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLargeForMemory { bytes, .. } => {
                Some(format!("give it a memory limit of at least {}", show_bytes(bytes * 2)))
            }
            Self::ExecutableDisk => Some(EXEC_OR_DISK.to_owned()),
            Self::Argument { .. } | Self::Arguments(_) => {
                Some("put data into the input, which the script reads from stdin".to_owned())
            }
        }
    }
}

/// Limits on the files that one execution leaves.
#[must_use]
pub fn artifact_caps(limits: &Limits) -> ArtifactCaps {
    let bytes = if limits.disk_bytes > 0 { limits.disk_bytes } else { MAX_ARTIFACT_BYTES };
    ArtifactCaps { count: limits.file_count, bytes }
}

/// Advice for a script that may not execute files and has scratch on disk.
const EXEC_OR_DISK: &str = "set disk_bytes to 0, or allow the script to execute its files";

/// Checks that files that must not be executed are in memory: a bind mount can't forbid it.
///
/// # Errors
/// [`JobError::ExecutableDisk`].
pub fn check_exec(exec: bool, limits: &Limits) -> Result<(), JobError> {
    if exec || limits.disk_bytes == 0 { Ok(()) } else { Err(JobError::ExecutableDisk) }
}

/// Checks that the kernel accepts the arguments.
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
    /// Checks the rules that concern several parts.
    ///
    /// # Errors
    /// [`JobError`] if no sandbox could run the job.
    pub fn validate(&self) -> Result<(), JobError> {
        let bytes = self.script_bytes() + self.stdin().len() as u64;
        let memory = self.limits.memory_bytes;
        if bytes > memory / 2 {
            return Err(JobError::TooLargeForMemory { bytes, memory });
        }
        check_exec(self.exec, &self.limits)?;
        check_arguments(&self.args)
    }

    /// Bytes that the script reads from stdin.
    #[must_use]
    pub fn stdin(&self) -> &[u8] {
        self.input.as_ref().map_or(b"", |input| input.as_str().as_bytes())
    }

    /// Spec of the sandbox that runs the job.
    #[must_use]
    pub fn sandbox_spec(&self, image: String) -> SandboxSpec {
        SandboxSpec {
            image,
            limits: self.limits,
            network: self.network,
            mounts: self.mounts.iter().chain(&self.shared).cloned().collect(),
            owner: self.owner,
            folder: RunFolder::of(&self.limits, self.takes_files),
            oci_runtime: self.oci_runtime.clone(),
            exec: self.exec,
            purpose: Purpose::Execution,
        }
    }

    /// Head of the request to PID 1.
    #[must_use]
    pub fn request(&self) -> Request {
        Request {
            launch: self.request_launch(),
            args: self.args.clone(),
            env: self.environment(&self.own_variables(), &self.variables),
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
            artifacts: artifact_caps(&self.limits),
            disk: self.disk_caps(),
            stay_ms: 0,
        }
    }

    fn disk_caps(&self) -> Option<DiskCaps> {
        let bytes = self.limits.disk_bytes;
        (bytes > 0).then_some(DiskCaps { bytes, files: MAX_DISK_FILES })
    }

    /// Absolute path of the working directory.
    pub(super) fn absolute_working_directory(&self) -> String {
        match &self.working_directory {
            Some(below) => format!("{WORK_DIR}/{below}"),
            None => WORK_DIR.to_owned(),
        }
    }

    /// Command that starts the script.
    pub(super) fn request_launch(&self) -> Launch {
        self.script.launch(self.environment.has_own_python())
    }

    /// Environment that every run of the script has. Variables that differ each time
    /// ([`DIFFERING_VARIABLES`]) are empty placeholders.
    pub(super) fn environment_of_all_runs(&self) -> Vec<(String, String)> {
        let own = DIFFERING_VARIABLES.map(|name| (name, ""));
        self.environment(&own, &self.script_variables)
    }

    /// Complete environment of the script; Gantry's own variables come first.
    fn environment(&self, own: &[(&str, &str)], variables: &Variables) -> Vec<(String, String)> {
        let script_id = self.script_id.map(|id| id.to_string());
        let script_id = script_id.as_deref().map(|id| ("SCRIPT_ID", id));
        let bundle = self.script.entry().map(|_| ("GANTRY_BUNDLE", BUNDLE_DIR));
        let known = script_id.into_iter().chain([("SCRIPT_NAME", self.script_name.as_str())]);
        let known = known.chain(bundle);
        let cpus = self.limits.whole_cpus().to_string();
        let [paths, settings] = plain_variables(self.script.script_type(), &cpus);
        let on_disk = self.limits.disk_bytes > 0;
        let temporary = on_disk.then_some(("TMPDIR", DISK_TEMPORARY_DIR));
        let ours = paths
            .into_iter()
            .chain(temporary)
            .chain(own.iter().copied())
            .chain(known)
            .chain(settings);
        // If a name appeared twice, some programs would use the first value and others the
        // last.
        let ours = ours.filter(|(name, _)| variables.iter().all(|it| it.name() != *name));
        let theirs = variables.iter().map(|it| (it.name(), it.value()));
        ours.chain(theirs).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Those of [`DIFFERING_VARIABLES`] that this execution has.
    fn own_variables(&self) -> Vec<(&'static str, &str)> {
        let job_id = self.job_id.as_deref().map(|id| ("JOB_ID", id));
        let inputs = (!self.inputs.is_empty()).then_some((MANIFEST_VARIABLE, MANIFEST_PATH));
        [("EXECUTION_ID", self.execution_id.as_str())]
            .into_iter()
            .chain(job_id)
            .chain(inputs)
            .collect()
    }

    fn script_bytes(&self) -> u64 {
        self.script.carried().len() as u64
    }
}

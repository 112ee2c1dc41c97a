//! Messages of the frames with JSON in them. Unknown fields are ignored, so that a field
//! can be added without a new protocol version.

use serde::{Deserialize, Serialize};

/// Folder for the script's bytes, when an interpreter is to read them.
pub const SCRIPT_DIR: &str = "/run/gantry";

/// The private, writable directory that a script starts in.
pub const WORK_DIR: &str = "/work";

/// The folder for temporary files.
pub const TEMPORARY_DIR: &str = "/tmp";

/// The place in which semaphores and shared memory of one sandbox's processes live
/// (shm_overview(7)).
pub const SHARED_MEMORY_DIR: &str = "/dev/shm";

/// Folder of an image with the files that a warm-up left: `work` for [`WORK_DIR`], `run`
/// for [`SCRIPT_DIR`]. A sandbox has links to them in those places from its beginning.
pub const WARM_UP_DIR: &str = "/opt/warm-up";

/// Files and folders below [`WARM_UP_DIR`] at most.
pub const WARM_UP_FILES: usize = 10_000;

/// Folder of an image with the files of a bundle: a script of many files.
pub const BUNDLE_DIR: &str = "/opt/bundle";

/// Time of a script's last change, in seconds since 1970 (1980-01-01): caches that go by
/// it are good for the next run of the same bytes.
pub const SCRIPT_TIME: u64 = 315_532_800;

/// Files that are left here become artifacts.
pub const ARTIFACT_DIR: &str = "/work/out";

/// Files for the script to read, read-only.
pub const INPUT_DIR: &str = "/work/in";

/// Folder for temporary files of a script whose [`WORK_DIR`] is on disk.
pub const DISK_TEMPORARY_DIR: &str = "/work/tmp";

/// Folder into which init moves the files of [`ARTIFACT_DIR`] when [`WORK_DIR`] is on disk:
/// each is called by its number, from 0.
pub const LEFT_DIR: &str = "/work/.gantry";

/// Time that init waits, after the script's own process has ended, for other processes
/// that still hold its stdout or stderr (`exec > >(tee …)`), in milliseconds. Then they
/// are killed.
pub const LINGER_MS: u64 = 200;

/// PID 1's exit code when its stdin ended, or TERM or Cancel came, before there was the
/// word to start the script: nothing of it has run. No other process can report this,
/// because no other exit code is the container's.
pub const NO_REQUEST: u8 = 65;

/// PID 1 is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of gantry-init.
    pub init: String,
}

/// Work to do before the request comes. It may be sent once and before the request;
/// [`Prepared`] answers it, and nothing else may be sent until then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Preparation {
    /// A program with its arguments that runs once, without input and unheard, so
    /// that what it is made of is in the sandbox's caches. Empty: none.
    pub rehearsal: Vec<String>,
    /// A process that waits for the request and runs its script.
    pub stand_by: Option<StandBy>,
}

/// An interpreter that is started before its script is to run. It finds in the
/// variable [`STAND_BY_VARIABLE`] the numbers of three file descriptors, with commas
/// between them:
///
/// 1. a socket, on which it writes a line ([`crate::ready_line`]) and reads one byte when
///    the script is to run;
/// 2. a file with the fields: the script's path, its source, `1` if only the modules
///    that follow are to be loaded and `0` if it shall look in the source, the modules;
/// 3. a file that, once that byte is read, has the fields: the working directory, the
///    number of words in argv, argv, and the environment as `NAME=value`.
///
/// A field is its length in bytes as decimal digits, a line feed, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StandBy {
    /// Way to run the script. It serves only requests with the same, and starts no
    /// [`Launch::Executable`].
    pub launch: Launch,
    /// As that of [`Request`]. It serves only requests with the same.
    pub working_directory: String,
    /// The environment that requests have in common. It serves only requests with the
    /// same, apart from what is in `differing`.
    pub env: Vec<(String, String)>,
    /// Names in `env` that have another value in each request, or are missing in some.
    pub differing: Vec<String>,
    /// Variables that it finds besides, and the script will not.
    pub own_env: Vec<(String, String)>,
    /// The script's text. It finds it in the script's file as well, which is written for
    /// it unless it is the image's.
    pub source: String,
    /// Modules to load; the script's imports if `None`.
    pub modules: Option<Vec<String>>,
}

/// See [`StandBy`].
pub const STAND_BY_VARIABLE: &str = "GANTRY_STAND_BY";

/// Longest time until an interpreter is ready, in milliseconds.
pub const STAND_BY_WITHIN_MS: u64 = 60_000;

/// Longest time of a rehearsal, in milliseconds. Then it is killed.
pub const REHEARSAL_MS: u64 = 5_000;

/// The preparation is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Reason that no process stands by although one was requested: the sandbox is not as
    /// it was before, and must be removed.
    pub unfit: Option<String>,
    /// Remark of the process that stands by, if it has one.
    #[serde(default)]
    pub remark: Option<String>,
}

/// True if the process that stood by has run the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoodBy {
    /// It has.
    Ran,
    /// Another was started in its place, for this reason.
    Replaced(String),
}

/// Everything that one execution needs; its script and stdin follow in frames
/// of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Way to run the script's bytes.
    pub launch: Launch,
    /// Arguments after the script's own name.
    pub args: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Absolute path; made when it is missing.
    pub working_directory: String,
    /// Bytes of the script that follow.
    pub script_bytes: u64,
    /// Bytes of stdin that follow.
    pub stdin_bytes: u64,
    /// Time that the script may take, in milliseconds.
    pub timeout_ms: u64,
    /// Time between TERM and KILL, in milliseconds.
    pub grace_ms: u64,
    /// Bytes of stdout and of stderr each that are passed on. The rest is read, counted
    /// and dropped.
    pub stream_cap: u64,
    /// A file below [`WORK_DIR`] that holds the result, and how much of it may
    /// be sent.
    pub output_file: Option<OutputFile>,
    /// Limits of [`ARTIFACT_DIR`].
    pub artifacts: ArtifactCaps,
    /// Limits of [`WORK_DIR`] when it is on disk: its artifacts are moved to [`LEFT_DIR`]
    /// then, and not sent. `None` when it is in memory.
    #[serde(default)]
    pub disk: Option<DiskCaps>,
    /// Time that init stays after its last frame, in milliseconds: the end of a container
    /// is work for the engine, and others may still be running.
    pub stay_ms: u64,
}

/// Ways to run the script's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// Written to [`SCRIPT_DIR`] as `file_name` and handed to an interpreter:
    /// argv is `interpreter`, the file's path, then the arguments.
    Interpreted {
        /// Absolute path of the interpreter and its own arguments.
        interpreter: Vec<String>,
        /// One path component.
        file_name: String,
    },
    /// Written to [`SCRIPT_DIR`] as `name` and executed there, argv\[0\] being its path.
    /// Where no file can be executed it is executed from memory, as `name`.
    Executable {
        /// One path component.
        name: String,
    },
    /// A file of the image, below [`BUNDLE_DIR`]: the request has no bytes for it. argv is
    /// `command`, then the arguments.
    InImage {
        /// Absolute path of a program, and its own arguments.
        command: Vec<String>,
        /// Absolute path of the script's file, which `command` runs.
        path: String,
    },
}

impl Launch {
    /// Name of the script's file, or its path in the image.
    #[must_use]
    pub fn script(&self) -> &str {
        match self {
            Self::Interpreted { file_name: name, .. }
            | Self::Executable { name }
            | Self::InImage { path: name, .. } => name,
        }
    }
}

/// The declared output file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Path relative to [`WORK_DIR`].
    pub path: String,
    /// Most bytes that are sent.
    pub cap: u64,
}

/// Limits of the files that are sent of [`ARTIFACT_DIR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactCaps {
    /// Files at most.
    pub count: u32,
    /// Bytes of all files together at most.
    pub bytes: u64,
}

/// Limits of [`WORK_DIR`] on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskCaps {
    /// Bytes of all blocks at most.
    pub bytes: u64,
    /// Files and folders at most.
    pub files: u64,
}

/// Files and folders on disk at most: each takes the host an inode, and time to be measured
/// and removed.
pub const MAX_DISK_FILES: u64 = 1_000_000;

/// Depth of folders in [`WORK_DIR`] on disk at most: each takes a file descriptor or two
/// while it is measured.
pub const MAX_DISK_DEPTH: usize = 256;

/// A file that was moved to [`LEFT_DIR`]. The first of them is called `0` there, and each
/// further one by the next number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftFile {
    /// Path relative to [`ARTIFACT_DIR`] that it had, with `/` between components.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// True if its owner could execute it.
    pub executable: bool,
}

/// Use of the disk so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUse {
    /// Bytes of all blocks.
    pub bytes: u64,
}

/// The next artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactBegin {
    /// Path relative to [`ARTIFACT_DIR`], with `/` between components.
    pub name: String,
    /// Bytes that follow.
    pub size: u64,
}

/// The script's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// End of the script's own process.
    pub end: End,
    /// The reason that init ended it, when init did.
    pub stopped: Option<Stopped>,
    /// From the start of the script's process to its end, in microseconds.
    pub duration_us: u64,
    /// Bytes that the script wrote to stdout, passed on or not.
    pub stdout_bytes: u64,
    /// Bytes that the script wrote to stderr, passed on or not.
    pub stderr_bytes: u64,
    /// Resources that it used.
    pub usage: Usage,
    /// Result of the declared output file; `None` when none was declared.
    pub output_file: Option<OutputFileEnd>,
    /// Files in [`ARTIFACT_DIR`] that were not sent; at most
    /// [`MAX_SKIPPED_ARTIFACTS`] of them.
    pub artifacts_skipped: Vec<SkippedArtifact>,
    /// Files in [`ARTIFACT_DIR`] that were not sent and are not among those; counted up
    /// to [`MAX_UNLISTED_ARTIFACTS`].
    #[serde(default)]
    pub artifacts_unlisted: u64,
    /// Files in [`ARTIFACT_DIR`] that were sent.
    #[serde(default)]
    pub artifacts_sent: u64,
    /// The sandbox's own writable places.
    #[serde(default)]
    pub places: Vec<Place>,
    /// Use of the disk; `None` when [`WORK_DIR`] was in memory.
    #[serde(default)]
    pub disk: Option<DiskEnd>,
    /// Fate of the process that stood by; `None` when there was none.
    #[serde(default)]
    pub stood_by: Option<StoodBy>,
}

/// Use of the disk until the script's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskEnd {
    /// Bytes that it might have.
    pub limit_bytes: u64,
    /// Most bytes that were found at once.
    pub peak_bytes: u64,
    /// The limit that was exceeded, if one was.
    pub over: Option<OverDisk>,
}

/// A limit of the disk that was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverDisk {
    /// Its blocks had so many bytes.
    Bytes(u64),
    /// There were so many files and folders.
    Files(u64),
    /// Folders were nested deeper than [`MAX_DISK_DEPTH`].
    Depth,
}

/// Most entries in [`Exit::artifacts_skipped`], so that the frame stays small.
pub const MAX_SKIPPED_ARTIFACTS: usize = 24;

/// Bound of the count of files that are not kept.
pub const MAX_UNLISTED_ARTIFACTS: u64 = 1_000_000;

/// A place of the sandbox's own that the script can write to, with a size of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its mount point.
    pub path: String,
    /// Bytes that it holds at most.
    pub bytes: u64,
    /// True if it was seen to be full, at the end or before.
    pub was_full: bool,
    /// True if it was full at the end.
    pub is_full: bool,
}

/// End of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Reasons that init ends a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// Its time was up.
    Deadline,
    /// A [`crate::frame::Kind::Cancel`] frame came, or TERM from outside.
    Cancelled,
    /// It had more on disk than it may have ([`DiskEnd::over`]).
    Disk,
}

/// Resources that the script and all its children used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time, user and system, in microseconds.
    pub cpu_us: u64,
    /// Most memory at once, in bytes: of the whole cgroup, or of the largest
    /// process where the cgroup can't be read.
    pub peak_memory_bytes: u64,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: u64,
}

/// Result of the declared output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputFileEnd {
    /// Sent whole.
    Sent,
    /// The script did not leave it.
    Missing,
    /// It is larger than its cap; nothing was sent. Its size in bytes.
    TooLarge(u64),
    /// A directory, a link, a device, or not to be opened.
    Unreadable,
}

/// A file that was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedArtifact {
    /// Its name, with what is not text replaced.
    pub name: String,
    /// The reason.
    pub reason: SkipReason,
}

/// Reasons that a file is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// There were more files than [`ArtifactCaps::count`].
    TooMany,
    /// It did not fit into what was left of [`ArtifactCaps::bytes`].
    TooLarge,
    /// Its name breaks the rule of [`crate::artifact_name`].
    Name,
    /// Not a regular file, or not to be read.
    Unreadable,
    /// A second name of a file that was taken by its first; with [`WORK_DIR`] on disk.
    HardLink,
}

/// The script could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The failed step.
    pub reason: RefusedReason,
    /// The system's message.
    pub detail: String,
}

/// Steps that fail before the script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedReason {
    /// The request was not understood.
    Request,
    /// The script could not be written: no space, or no memory.
    Script,
    /// The working directory could not be entered.
    WorkingDirectory,
    /// The interpreter, or a binary's loader, is not in the image.
    NotFound,
    /// The kernel refused to execute it.
    NotExecutable,
    /// No process could be made.
    Spawn,
}

//! The one place that decides how an execution ended. A pure function of what
//! was seen; who saw it, and what is done about it, is not known here.

mod files;
mod noexec;

use gantry_init::message::{End, Exit, OutputFileEnd, Refused, RefusedReason, Stopped, WORK_DIR};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use files::{full_place, room, unkept};

pub use files::skip_reason;

/// SIGKILL on Linux (signal(7)).
const SIGKILL: i32 = 9;

/// What a shell answers for a program that is not there (POSIX, "Exit Status
/// for Commands").
const EXIT_NOT_FOUND: i32 = 127;

/// What a shell answers for a program that can't be executed (the same).
const EXIT_NOT_EXECUTABLE: i32 = 126;

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Exit code 0, and the output that was promised.
    Completed,
    /// Anything else; [`ErrorKind`] says what.
    Failed,
    /// Its time was up.
    Timeout,
    /// Somebody ended it.
    Cancelled,
}

impl Status {
    /// The word in the API and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why an execution failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The script said so.
    ExitNonzero,
    /// A signal that was not ours ended it.
    KilledBySignal,
    /// The kernel killed it, or what it depended on, for want of memory.
    OutOfMemory,
    /// It did not leave the output that it had promised, or printed JSON that is
    /// none.
    InvalidOutput,
    /// It exited with code 0, and not all files that it left could be kept.
    OutputsRefused,
    /// A place that it writes to was full, so that it failed or what it left may be
    /// incomplete.
    OutOfDisk,
    /// Its environment could not be built.
    EnvironmentFailed,
    /// Its sandbox broke, or could not be made.
    SandboxFailed,
    /// The engine did not answer, or starts nothing.
    EngineUnavailable,
    /// It had started, and what became of it is not known.
    Lost,
}

impl ErrorKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ExitNonzero,
        Self::KilledBySignal,
        Self::OutOfMemory,
        Self::InvalidOutput,
        Self::OutputsRefused,
        Self::OutOfDisk,
        Self::EnvironmentFailed,
        Self::SandboxFailed,
        Self::EngineUnavailable,
        Self::Lost,
    ];

    /// The word in the API and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ExitNonzero => "exit_nonzero",
            Self::KilledBySignal => "killed_by_signal",
            Self::OutOfMemory => "out_of_memory",
            Self::InvalidOutput => "invalid_output",
            Self::OutputsRefused => "outputs_refused",
            Self::OutOfDisk => "out_of_disk",
            Self::EnvironmentFailed => "environment_failed",
            Self::SandboxFailed => "sandbox_failed",
            Self::EngineUnavailable => "engine_unavailable",
            Self::Lost => "lost",
        }
    }

    /// The nearest kind that servers of every version know. Those that share a
    /// database may be of different ones.
    #[must_use]
    pub fn known_to_all(self) -> Self {
        match self {
            Self::OutputsRefused | Self::OutOfDisk => Self::InvalidOutput,
            other => other,
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What was seen of a script's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// PID 1 said how it ended.
    Reported(Exit),
    /// PID 1 said that it was told to end, and nobody here has told it.
    StoppedFromOutside(Exit),
    /// PID 1 said that it could not be started.
    Refused(Refused),
    /// The container ended without a word from PID 1, after the script was to
    /// start, or for want of memory.
    Vanished {
        /// The container's exit code, where the engine knew it.
        exit_code: Option<i64>,
        /// The kernel killed something in it for want of memory.
        out_of_memory: bool,
    },
    /// It was ended from outside because PID 1 did not do so in time.
    Overdue,
    /// It was ended from outside because it was cancelled before it had begun,
    /// or because PID 1 did not answer.
    Withdrawn,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its final state.
    pub status: Status,
    /// Why, when it failed.
    pub error_kind: Option<ErrorKind>,
    /// The same in words.
    pub error_message: Option<String>,
    /// The script's exit code; −1 when a signal ended it, `None` when it never
    /// ran or its end was not seen.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Outcome {
    /// An execution that failed without an exit code.
    #[must_use]
    pub fn failed(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            status: Status::Failed,
            error_kind: Some(kind),
            error_message: Some(message.into()),
            exit_code: None,
            signal: None,
        }
    }

    /// Makes a success a failure because of what the script left as its output.
    pub fn fail_output(&mut self, message: &str) {
        if self.status == Status::Completed {
            let exit_code = self.exit_code;
            *self = Self { exit_code, ..Self::failed(ErrorKind::InvalidOutput, message) };
        }
    }

    fn ended(status: Status, message: Option<&str>) -> Self {
        let error_message = message.map(str::to_owned);
        Self { status, error_kind: None, error_message, exit_code: None, signal: None }
    }

    /// Says one thing more, on a line of its own.
    fn add(&mut self, text: &str) {
        let message = self.error_message.get_or_insert_default();
        message.push_str(if message.is_empty() { "" } else { "\n" });
        message.push_str(text);
    }

    fn with_end(mut self, end: End) -> Self {
        (self.exit_code, self.signal) = match end {
            End::Code(code) => (Some(code), None),
            End::Signal(signal) => (Some(-1), Some(signal)),
        };
        self
    }
}

/// Decides how an execution ended.
#[must_use]
pub fn classify(ending: &Ending) -> Outcome {
    match ending {
        Ending::Reported(exit) => classify_exit(exit).with_end(exit.end),
        Ending::StoppedFromOutside(exit) => {
            Outcome::failed(ErrorKind::Lost, STOPPED_FROM_OUTSIDE).with_end(exit.end)
        }
        Ending::Refused(refused) => classify_refused(refused),
        Ending::Vanished { exit_code, out_of_memory } => {
            classify_vanished(*exit_code, *out_of_memory)
        }
        Ending::Overdue => Outcome::ended(Status::Timeout, Some(TIME_WAS_UP)),
        Ending::Withdrawn => Outcome::ended(Status::Cancelled, Some("cancelled")),
    }
}

const TIME_WAS_UP: &str = "the time limit was reached and every process of the script was killed";

const STOPPED_FROM_OUTSIDE: &str = "the sandbox was told to end while the script ran, and \
     nobody had cancelled it: the container engine was stopped, or somebody ended the container";

/// SIGBUS (signal(7)): mostly memory of a file that has no room for it.
const SIGBUS: i32 = 7;

fn classify_exit(exit: &Exit) -> Outcome {
    let mut outcome = ended_by(exit);
    if let Some(unkept) = unkept(exit) {
        match outcome.status {
            Status::Completed => outcome = Outcome::failed(ErrorKind::OutputsRefused, unkept),
            _ => outcome.add(&unkept),
        }
    }
    outcome
}

fn ended_by(exit: &Exit) -> Outcome {
    let failed = |kind, message: String| Outcome::failed(kind, message);
    match (exit.stopped, exit.end) {
        (Some(Stopped::Deadline), _) => Outcome::ended(Status::Timeout, Some(TIME_WAS_UP)),
        (Some(Stopped::Cancelled), _) => Outcome::ended(Status::Cancelled, Some("cancelled")),
        (None, End::Code(0)) => ended_well(exit),
        (None, end) if exit.usage.oom_kills > 0 => failed(
            ErrorKind::OutOfMemory,
            match end {
                End::Signal(SIGKILL) => "the script was killed: its memory limit was reached",
                _ => "the script failed after a process of it was killed: its memory limit was reached",
            }
            .to_owned(),
        ),
        (None, End::Code(code)) => match full_place(exit, |it| it.was_full) {
            Some((place, hint)) => failed(
                ErrorKind::OutOfDisk,
                format!("the script exited with code {code}, and {place} was full\n{hint}"),
            ),
            None => failed(ErrorKind::ExitNonzero, format!("the script exited with code {code}")),
        },
        (None, End::Signal(signal)) => {
            let name = signal_name(signal);
            let why = if signal == SIGBUS { room(exit) } else { String::new() };
            let message = format!("the script was ended by signal {signal} ({name}){why}");
            failed(ErrorKind::KilledBySignal, message)
        }
    }
}

/// The outcome after exit code 0, but for files that were not kept.
fn ended_well(exit: &Exit) -> Outcome {
    let left_files = exit.output_file.is_some() || exit.artifacts_sent > 0;
    let full = full_place(exit, |it| it.is_full && it.path == WORK_DIR).filter(|_| left_files);
    if let Some((place, hint)) = full {
        let what = "what the script left may be incomplete";
        let message = format!("{place} was full when the script ended: {what}\n{hint}");
        return Outcome::failed(ErrorKind::OutOfDisk, message);
    }
    match exit.output_file.as_ref().and_then(output_file_problem) {
        Some(problem) => Outcome::failed(ErrorKind::InvalidOutput, problem),
        None => Outcome::ended(Status::Completed, None),
    }
}

fn output_file_problem(end: &OutputFileEnd) -> Option<String> {
    match end {
        OutputFileEnd::Sent => None,
        OutputFileEnd::Missing => Some("the script left no output file".to_owned()),
        OutputFileEnd::TooLarge(bytes) => {
            Some(format!("the output file has {bytes} bytes, which is more than may be sent"))
        }
        OutputFileEnd::Unreadable => Some("the output file is not a readable file".to_owned()),
    }
}

fn classify_refused(refused: &Refused) -> Outcome {
    let detail = &refused.detail;
    let (kind, exit_code, message) = match refused.reason {
        RefusedReason::NotFound => (
            ErrorKind::ExitNonzero,
            Some(EXIT_NOT_FOUND),
            format!("the script can't be started: {detail}"),
        ),
        RefusedReason::NotExecutable => (
            ErrorKind::ExitNonzero,
            Some(EXIT_NOT_EXECUTABLE),
            format!("the script can't be executed: {detail}"),
        ),
        RefusedReason::WorkingDirectory => (
            ErrorKind::SandboxFailed,
            None,
            format!("the working directory can't be entered: {detail}"),
        ),
        RefusedReason::Script => (
            ErrorKind::SandboxFailed,
            None,
            format!("the script did not fit into the sandbox: {detail}"),
        ),
        RefusedReason::Request | RefusedReason::Spawn => {
            (ErrorKind::SandboxFailed, None, format!("the script could not be started: {detail}"))
        }
    };
    Outcome { exit_code, ..Outcome::failed(kind, message) }
}

fn classify_vanished(exit_code: Option<i64>, out_of_memory: bool) -> Outcome {
    if out_of_memory {
        return Outcome::failed(ErrorKind::OutOfMemory, "the sandbox's memory limit was reached");
    }
    let code = exit_code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
    let message = format!("the sandbox ended while the script ran (container exit code {code})");
    Outcome::failed(ErrorKind::Lost, message)
}

/// The name of a signal, as signal(7) numbers them on x86-64 and ARM.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => "not a common one",
    }
}

#[cfg(test)]
mod tests;

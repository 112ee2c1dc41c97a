//! Decides an execution's outcome, and is the only place that does. A pure function of the
//! observed end; it knows neither the observer nor the consequences.

mod files;
mod noexec;

use gantry_init::message::{End, Exit, OutputFileEnd, Refused, RefusedReason, Stopped, WORK_DIR};
use serde::{Deserialize, Serialize};

use files::{full_place, over_disk, room, unkept};

pub use files::skip_reason;

/// SIGKILL on Linux (signal(7)).
const SIGKILL: i32 = 9;

/// Exit code of a shell whose program is missing (POSIX, "Exit Status for Commands").
const EXIT_NOT_FOUND: i32 = 127;

/// Exit code of a shell whose program can't be executed (same source).
const EXIT_NOT_EXECUTABLE: i32 = 126;

/// Final state of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Exit code 0 with the declared output.
    Completed,
    /// Failed; [`ErrorKind`] names the kind.
    Failed,
    /// Reached its time limit.
    Timeout,
    /// Cancelled by a caller.
    Cancelled,
}

impl Status {
    /// Word in the API and in the database.
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

/// Kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The script exited with another code than 0.
    ExitNonzero,
    /// A signal ended the script that Gantry did not send.
    KilledBySignal,
    /// The kernel killed the script or a process that it needed, for lack of memory.
    OutOfMemory,
    /// The declared output is missing, or is broken JSON.
    InvalidOutput,
    /// The script exited with code 0, but some of its files could not be kept.
    OutputsRefused,
    /// A file system of the sandbox was full: the script failed, or its output may be
    /// incomplete.
    OutOfDisk,
    /// A file that the script's version declares as required was not left.
    OutputMissing,
    /// An input file was gone when the script was to start.
    InputMissing,
    /// The environment could not be built.
    EnvironmentFailed,
    /// The sandbox failed, or could not be created.
    SandboxFailed,
    /// The engine did not answer, or could not start anything.
    EngineUnavailable,
    /// The script had started, but its end is unknown.
    Lost,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::ExitNonzero,
        Self::KilledBySignal,
        Self::OutOfMemory,
        Self::InvalidOutput,
        Self::OutputsRefused,
        Self::OutOfDisk,
        Self::OutputMissing,
        Self::InputMissing,
        Self::EnvironmentFailed,
        Self::SandboxFailed,
        Self::EngineUnavailable,
        Self::Lost,
    ];

    /// Word in the API and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ExitNonzero => "exit_nonzero",
            Self::KilledBySignal => "killed_by_signal",
            Self::OutOfMemory => "out_of_memory",
            Self::InvalidOutput => "invalid_output",
            Self::OutputsRefused => "outputs_refused",
            Self::OutOfDisk => "out_of_disk",
            Self::OutputMissing => "output_missing",
            Self::InputMissing => "input_missing",
            Self::EnvironmentFailed => "environment_failed",
            Self::SandboxFailed => "sandbox_failed",
            Self::EngineUnavailable => "engine_unavailable",
            Self::Lost => "lost",
        }
    }

    /// Nearest kind that servers of every version know; servers of different versions may
    /// share a database.
    #[must_use]
    pub fn known_to_all(self) -> Self {
        match self {
            Self::OutputsRefused | Self::OutOfDisk | Self::OutputMissing => Self::InvalidOutput,
            Self::InputMissing => Self::SandboxFailed,
            other => other,
        }
    }

    /// Parses a word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Observed end of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// PID 1 reported the exit.
    Reported(Exit),
    /// PID 1 reported that it was told to stop, but not by this process.
    StoppedFromOutside(Exit),
    /// PID 1 reported that the script could not be started.
    Refused(Refused),
    /// The container ended without a report from PID 1, after the script was to start, or
    /// for lack of memory.
    Vanished {
        /// Exit code of the container, if the engine knew it.
        exit_code: Option<i64>,
        /// True if the kernel killed a process in it for lack of memory.
        out_of_memory: bool,
    },
    /// The sandbox was removed because PID 1 did not enforce the time limit.
    Overdue,
    /// The sandbox was removed because of a cancel before the script had started, or
    /// because PID 1 did not answer.
    RemovedOnCancel,
}

/// Outcome of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Final state.
    pub status: Status,
    /// Kind of failure.
    pub error_kind: Option<ErrorKind>,
    /// Description of the failure.
    pub error_message: Option<String>,
    /// Exit code of the script; −1 if a signal ended it, `None` if it never ran or its end
    /// was not seen.
    pub exit_code: Option<i32>,
    /// Number of the signal that ended it.
    pub signal: Option<i32>,
}

impl Outcome {
    /// Outcome of an execution that failed without an exit code.
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

    /// Turns a success into a failure because of the script's output.
    pub fn fail_output(&mut self, message: &str) {
        self.fail_success(ErrorKind::InvalidOutput, message);
    }

    /// Turns a success into a failure because declared files are missing.
    pub fn fail_outputs_missing(&mut self, message: &str) {
        self.fail_success(ErrorKind::OutputMissing, message);
    }

    fn fail_success(&mut self, kind: ErrorKind, message: &str) {
        if self.status == Status::Completed {
            let exit_code = self.exit_code;
            *self = Self { exit_code, ..Self::failed(kind, message) };
        }
    }

    fn ended(status: Status, message: Option<&str>) -> Self {
        let error_message = message.map(str::to_owned);
        Self { status, error_kind: None, error_message, exit_code: None, signal: None }
    }

    /// Adds a sentence on its own line.
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

/// Decides an execution's outcome.
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
        Ending::RemovedOnCancel => Outcome::ended(Status::Cancelled, Some("cancelled")),
    }
}

const TIME_WAS_UP: &str = "the time limit was reached and every process of the script was killed";

const STOPPED_FROM_OUTSIDE: &str = "the sandbox was told to end while the script ran, and \
     nobody had cancelled it: the container engine was stopped, or somebody ended the container";

/// SIGBUS (signal(7)): usually a mapped file whose file system is full.
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
        (Some(Stopped::Disk), _) => {
            let over = over_disk(exit).unwrap_or_else(|| "its disk was full".to_owned());
            failed(ErrorKind::OutOfDisk, format!("the script was stopped: {over}"))
        }
        (None, End::Code(0)) => ended_well(exit),
        (None, end) if exit.usage.oom_kills > 0 => failed(
            ErrorKind::OutOfMemory,
            match end {
                End::Signal(SIGKILL) => "the script was killed: its memory limit was reached",
                _ => "the script failed after a process of it was killed: its memory limit was reached",
            }
            .to_owned(),
        ),
        (None, End::Code(code)) if let Some(over) = over_disk(exit) => failed(
            ErrorKind::OutOfDisk,
            format!("the script exited with code {code}, and had too much: {over}"),
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

/// Outcome after exit code 0, apart from files that were not kept.
fn ended_well(exit: &Exit) -> Outcome {
    if let Some(over) = over_disk(exit) {
        return Outcome::failed(ErrorKind::OutOfDisk, format!("the script had too much: {over}"));
    }
    let left_files = exit.output_file.is_some() || exit.artifacts_sent > 0;
    let full = full_place(exit, |it| it.is_full && it.path == WORK_DIR).filter(|_| left_files);
    if let Some((place, hint)) = full {
        let what = "its output may be incomplete";
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

/// Name of a signal, as signal(7) numbers them on x86-64 and ARM.
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

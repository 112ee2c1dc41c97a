//! The one place that decides how an execution ended. A pure function of what
//! was seen; who saw it, and what is done about it, is not known here.

use gantry_init::message::{End, Exit, OutputFileEnd, Refused, RefusedReason, Stopped};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// It did not leave the output that it had promised.
    InvalidOutput,
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
    pub const ALL: [Self; 8] = [
        Self::ExitNonzero,
        Self::KilledBySignal,
        Self::OutOfMemory,
        Self::InvalidOutput,
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
            Self::EnvironmentFailed => "environment_failed",
            Self::SandboxFailed => "sandbox_failed",
            Self::EngineUnavailable => "engine_unavailable",
            Self::Lost => "lost",
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

    fn ended(status: Status, message: Option<&str>) -> Self {
        let error_message = message.map(str::to_owned);
        Self { status, error_kind: None, error_message, exit_code: None, signal: None }
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

fn classify_exit(exit: &Exit) -> Outcome {
    let failed = |kind, message: String| Outcome::failed(kind, message);
    match (exit.stopped, exit.end) {
        (Some(Stopped::Deadline), _) => Outcome::ended(Status::Timeout, Some(TIME_WAS_UP)),
        (Some(Stopped::Cancelled), _) => Outcome::ended(Status::Cancelled, Some("cancelled")),
        (None, End::Code(0)) => match exit.output_file.as_ref().and_then(output_file_problem) {
            Some(problem) => failed(ErrorKind::InvalidOutput, problem),
            None => Outcome::ended(Status::Completed, None),
        },
        (None, end) if exit.usage.oom_kills > 0 => failed(
            ErrorKind::OutOfMemory,
            match end {
                End::Signal(SIGKILL) => "the script was killed: its memory limit was reached",
                _ => "the script failed after a process of it was killed: its memory limit was reached",
            }
            .to_owned(),
        ),
        (None, End::Code(code)) => {
            failed(ErrorKind::ExitNonzero, format!("the script exited with code {code}"))
        }
        (None, End::Signal(signal)) => failed(
            ErrorKind::KilledBySignal,
            format!("the script was ended by signal {signal} ({})", signal_name(signal)),
        ),
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
            format!("the script's interpreter or loader is not in the image: {detail}"),
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
mod tests {
    use super::*;
    use gantry_init::message::Usage;

    fn exit(end: End) -> Exit {
        Exit {
            end,
            stopped: None,
            duration_us: 1,
            stdout_bytes: 0,
            stderr_bytes: 0,
            usage: Usage::default(),
            output_file: None,
            artifacts_skipped: Vec::new(),
        }
    }

    fn status_of(ending: Exit) -> (Status, Option<ErrorKind>, Option<i32>, Option<i32>) {
        let outcome = classify(&Ending::Reported(ending));
        (outcome.status, outcome.error_kind, outcome.exit_code, outcome.signal)
    }

    #[test]
    fn code_zero_is_success_and_others_are_not() {
        assert_eq!(status_of(exit(End::Code(0))), (Status::Completed, None, Some(0), None));
        let failed = (Status::Failed, Some(ErrorKind::ExitNonzero), Some(3), None);
        assert_eq!(status_of(exit(End::Code(3))), failed);
    }

    #[test]
    fn a_signal_is_exit_code_minus_one() {
        let killed = (Status::Failed, Some(ErrorKind::KilledBySignal), Some(-1), Some(11));
        assert_eq!(status_of(exit(End::Signal(11))), killed);
    }

    #[test]
    fn out_of_memory_needs_a_failure() {
        let oom = |end| Exit { usage: Usage { oom_kills: 1, ..Usage::default() }, ..exit(end) };
        assert_eq!(status_of(oom(End::Signal(9))).1, Some(ErrorKind::OutOfMemory));
        assert_eq!(status_of(oom(End::Code(1))).1, Some(ErrorKind::OutOfMemory));
        assert_eq!(status_of(oom(End::Code(0))).0, Status::Completed);
    }

    #[test]
    fn who_stopped_it_counts_more_than_how_it_ended() {
        for end in [End::Code(0), End::Code(1), End::Signal(9), End::Signal(15)] {
            let deadline = Exit { stopped: Some(Stopped::Deadline), ..exit(end) };
            assert_eq!(status_of(deadline).0, Status::Timeout);
            let cancelled = Exit { stopped: Some(Stopped::Cancelled), ..exit(end) };
            assert_eq!(status_of(cancelled).0, Status::Cancelled);
        }
    }

    #[test]
    fn what_nobody_has_cancelled_is_not_cancelled() {
        let stopped = Exit { stopped: Some(Stopped::Cancelled), ..exit(End::Signal(15)) };
        let outcome = classify(&Ending::StoppedFromOutside(stopped));
        assert_eq!((outcome.status, outcome.error_kind), (Status::Failed, Some(ErrorKind::Lost)));
        assert_eq!((outcome.exit_code, outcome.signal), (Some(-1), Some(15)));
    }

    #[test]
    fn a_missing_output_file_is_invalid_output_only_after_success() {
        let missing = |end| Exit { output_file: Some(OutputFileEnd::Missing), ..exit(end) };
        assert_eq!(status_of(missing(End::Code(0))).1, Some(ErrorKind::InvalidOutput));
        assert_eq!(status_of(missing(End::Code(1))).1, Some(ErrorKind::ExitNonzero));
    }

    #[test]
    fn a_sandbox_that_vanished_is_lost_unless_its_memory_was_used_up() {
        let vanished = |out_of_memory| {
            let ending = Ending::Vanished { exit_code: Some(137), out_of_memory };
            classify(&ending).error_kind
        };
        assert_eq!(vanished(false), Some(ErrorKind::Lost));
        assert_eq!(vanished(true), Some(ErrorKind::OutOfMemory));
    }

    #[test]
    fn what_can_not_be_executed_has_the_codes_of_a_shell() {
        let refused =
            |reason| classify(&Ending::Refused(Refused { reason, detail: "x".into() })).exit_code;
        assert_eq!(refused(RefusedReason::NotFound), Some(127));
        assert_eq!(refused(RefusedReason::NotExecutable), Some(126));
        assert_eq!(refused(RefusedReason::Spawn), None);
    }
}

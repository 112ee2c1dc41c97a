//! Builds one run of the binary.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::ended::Ended;
use super::home::{Home, ensure_images};
use super::running::Running;

/// Longer than any run takes that does not hang, on a machine that has a lot to
/// do.
const GUARD: Duration = Duration::from_secs(90);

/// Settings of the user who runs the tests, which must not change the results.
const SETTINGS: [&str; 8] = [
    "GANTRY_LOG",
    "GANTRY_MOUNT_ROOTS",
    "GANTRY_OCI_RUNTIME",
    "GANTRY_OWNERS",
    "GANTRY_REQUIREMENTS_ALLOW",
    "GANTRY_SHARES",
    "GANTRY_UIDS",
    "NO_COLOR",
];

/// One run, before its start.
pub(crate) struct Run {
    command: Command,
    home: Home,
    stdin: Option<Vec<u8>>,
    stdin_stays_open: bool,
    guard: Duration,
}

/// `gantry run` of a shell script.
pub(crate) fn shell(source: &str) -> Run {
    Run::of("script.sh", source.as_bytes())
}

/// `gantry run` of a Python script.
pub(crate) fn python(source: &str) -> Run {
    Run::of("script.py", source.as_bytes())
}

/// `gantry run` of a program.
pub(crate) fn program(bytes: &[u8]) -> Run {
    Run::of("program", bytes)
}

/// `gantry run` of a path, whatever is there.
pub(crate) fn path(path: impl AsRef<OsStr>) -> Run {
    let mut run = Run::command(&["run"]);
    run.command.arg(path);
    run
}

impl Run {
    /// Any command.
    pub(crate) fn command(arguments: &[&str]) -> Self {
        let home = Home::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
        command.args(arguments).current_dir(home.path());
        command.env("GANTRY_DATA_DIR", home.data_dir());
        for name in SETTINGS {
            command.env_remove(name);
        }
        Self { command, home, stdin: None, stdin_stays_open: false, guard: GUARD }
    }

    /// `gantry run` of a file with this name and content.
    pub(crate) fn of(name: &str, content: &[u8]) -> Self {
        ensure_images();
        let run = Self::command(&["run"]);
        let file = run.file(name, content);
        run.arg(file)
    }

    /// Writes a file into the folder that the run is started in.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let file = self.folder().join(name);
        fs::write(&file, content).unwrap();
        file
    }

    /// The folder that the run is started in; it goes when the run is over.
    pub(crate) fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The value of the label on everything that the run makes.
    pub(crate) fn installation(&self) -> &str {
        self.home.installation()
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.command.args(arguments);
        self
    }

    /// A variable of the command itself, not of the script.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With a requirements file.
    pub(crate) fn requirements(self, content: impl AsRef<[u8]>) -> Self {
        let file = self.file("requirements.txt", content.as_ref());
        self.arg("--requirements").arg(file)
    }

    /// Sets the command's stdin.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Keeps the command's stdin open, without any input.
    pub(crate) fn open_stdin(mut self) -> Self {
        self.stdin_stays_open = true;
        self
    }

    /// Pipes its stdout through a filter of the shell, whose output counts; its exit code
    /// is printed on stderr.
    pub(crate) fn piped_through(self, filter: &str) -> Self {
        self.in_shell(&format!("{{ \"$@\"; echo \"code $?\" >&2; }} | {filter}"))
    }

    /// A line of the shell runs it, as `"$@"`.
    pub(crate) fn in_shell(mut self, line: &str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", line, "sh"]).arg(self.command.get_program());
        shell.args(self.command.get_args()).current_dir(self.folder());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        self.command = shell;
        self
    }

    /// Fails the test when the run takes longer.
    pub(crate) fn within(mut self, guard: Duration) -> Self {
        self.guard = guard;
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let has_stdin = self.stdin.is_some() || self.stdin_stays_open;
        let stdin = if has_stdin { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.command.spawn().unwrap();
        Running::new(child, self.home, self.stdin, self.guard)
    }

    /// Runs it to its end and fails the test when a container is left.
    #[track_caller]
    pub(crate) fn end(self) -> Ended {
        self.start().end()
    }

    /// The same with the whole execution as JSON on stdout.
    #[track_caller]
    pub(crate) fn end_with_json(self) -> Ended {
        self.arg("--json").end()
    }
}

//! The same scripts on the host, with no sandbox: one `fork` and `exec` each.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gantry::domain::script_type::ScriptType;

use super::workload::{INPUT, WORKLOADS, Workload};
use crate::Failure;

/// Scripts and interpreters outside of any container.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    python: PathBuf,
    /// With the packages that a workload requires; or why there is none.
    equipped: Result<PathBuf, String>,
    /// The interpreter's version.
    pub(crate) version: String,
}

impl Host {
    /// Writes the scripts, and installs what they require where nobody else looks.
    pub(crate) fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        for workload in WORKLOADS {
            let path = folder.path().join(workload.name);
            std::fs::write(&path, workload.source)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        // What is found by name may be a script that looks for the real one.
        let real = said(
            Command::new("python3")
                .args(["-c", "import os, sys; print(os.path.realpath(sys.executable))"]),
        )?;
        let python = PathBuf::from(real);
        let version = said(
            Command::new(&python).args(["-c", "import platform; print(platform.python_version())"]),
        )?;
        let equipped = equip(&python, folder.path()).map_err(|error| error.to_string());
        Ok(Self { folder, python, equipped, version })
    }

    /// Why a workload can't be run here, if it can't.
    pub(crate) fn obstacle(&self, workload: &Workload) -> Option<&str> {
        self.equipped.as_ref().err().filter(|_| workload.requirements.is_some()).map(String::as_str)
    }

    /// One execution, from `fork` to the last byte and the exit code.
    pub(crate) async fn execute(&self, workload: &Workload) -> Result<Duration, Failure> {
        let command = self.command(workload)?;
        tokio::task::spawn_blocking(move || execute(command)).await?
    }

    fn command(&self, workload: &Workload) -> Result<Command, Failure> {
        let script = self.folder.path().join(workload.name);
        let interpreter = match (workload.script_type, workload.requirements) {
            (ScriptType::Python, None) => &self.python,
            (ScriptType::Python, Some(_)) => self.equipped.as_ref().map_err(Clone::clone)?,
            _ => return Ok(Command::new(script)),
        };
        let mut command = Command::new(interpreter);
        command.arg(script);
        Ok(command)
    }
}

fn execute(mut command: Command) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    stdin.write_all(INPUT.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let took = begun.elapsed();
    if output.status.success() && output.stdout == INPUT.as_bytes() {
        return Ok(took);
    }
    Err(format!("on the host: {output:?}").into())
}

/// An environment with all that workloads require, and its interpreter.
fn equip(python: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let venv = folder.join("venv");
    said(Command::new(python).args(["-m", "venv"]).arg(&venv))?;
    let interpreter = venv.join("bin/python");
    let required = WORKLOADS.iter().filter_map(|it| it.requirements).flat_map(str::lines);
    said(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet"]).args(required))?;
    Ok(interpreter)
}

/// What a program prints that is expected to do well.
fn said(command: &mut Command) -> Result<String, Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(words.trim().lines().last().unwrap_or("no reason was given").to_owned().into())
}

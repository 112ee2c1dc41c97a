//! Printing of a run's output, and messages about it.

use std::io::{self, Write};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::cli::progress::Progress;
use crate::cli::{message, stdout};
use crate::domain::execution::Execution;
use crate::domain::quantities::show_bytes;
use crate::orchestrator::Live;
use crate::sandbox::Cancel;

/// Content of stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The script's stdout.
    Stdout,
    /// The content of the script's output file.
    OutputFile,
    /// The execution, once it is over.
    Execution,
}

/// Prints live output on a thread of its own: a terminal or a pipe that is not read must
/// not hold up the sandbox.
pub(super) struct Printer {
    task: JoinHandle<io::Result<()>>,
}

impl Printer {
    /// Prints until nothing more can come. A stdout that can't be written to cancels the
    /// run: its output has no reader.
    pub(super) fn start(
        mut followed: UnboundedReceiver<Live>,
        progress: Progress,
        shown: Shown,
        cancel: Cancel,
    ) -> Self {
        let task = tokio::task::spawn_blocking(move || {
            while let Some(live) = followed.blocking_recv() {
                let printed = print(live, &progress, shown);
                printed.inspect_err(|_| cancel.cancel())?;
            }
            progress.clear();
            Ok(())
        });
        Self { task }
    }

    /// Waits until everything is printed.
    ///
    /// # Errors
    /// When stdout could not be written to.
    pub(super) async fn finish(self) -> io::Result<()> {
        self.task.await.map_err(io::Error::other).flatten()
    }
}

fn print(live: Live, progress: &Progress, shown: Shown) -> io::Result<()> {
    match live {
        Live::Progress(line) => progress.show(&line),
        Live::Stderr(bytes) => {
            progress.clear();
            let mut stderr = io::stderr().lock();
            // Nobody to tell: the result still counts.
            let _ = stderr.write_all(&bytes).and_then(|()| stderr.flush());
        }
        Live::Stdout(bytes) if shown == Shown::Stdout => {
            progress.clear();
            stdout::write(&bytes)?;
        }
        Live::OutputFile(bytes) if shown == Shown::OutputFile => {
            progress.clear();
            stdout::write(&bytes)?;
        }
        Live::Stdout(_) | Live::OutputFile(_) => {}
    }
    Ok(())
}

/// Prints the execution, on a thread of its own as well.
pub(super) async fn print_json(execution: &Execution) -> io::Result<()> {
    let text = serde_json::to_string_pretty(execution)?;
    let printing = tokio::task::spawn_blocking(move || stdout::line(&text));
    printing.await.map_err(io::Error::other).flatten()
}

/// Says what was cut, left behind or not taken.
pub(super) fn notes(execution: &Execution, keeps_artifacts: bool) {
    let cut = [
        ("stdout", execution.summary.stdout_truncated, execution.summary.stdout_bytes),
        ("stderr", execution.summary.stderr_truncated, execution.summary.stderr_bytes),
    ];
    for (name, _, bytes) in cut.into_iter().filter(|(_, is_cut, _)| *is_cut) {
        message::note(&format!("{name} was cut: the script wrote {} of it", show_bytes(bytes)));
    }
    let is_killed_child = execution.summary.usage.is_some_and(|usage| usage.oom_kills > 0)
        && execution.summary.error_kind.is_none();
    if is_killed_child {
        message::note("a process of the script was killed: the memory limit was reached");
    }
    for artifact in &execution.artifacts {
        let name = crate::domain::sanitize::sanitize(&artifact.name);
        match (&artifact.skipped, keeps_artifacts) {
            (Some(reason), _) => message::note(&format!("artifact {name} was not taken: {reason}")),
            (None, true) => {
                message::note(&format!("artifact {name} ({})", show_bytes(artifact.bytes)));
            }
            (None, false) => {}
        }
    }
    let taken = execution.artifacts.iter().filter(|artifact| artifact.skipped.is_none()).count();
    if taken > 0 && !keeps_artifacts {
        let files = if taken == 1 { "file" } else { "files" };
        message::note(&format!("the script left {taken} {files}; --artifacts DIR keeps them"));
    }
}

//! Printing what a run prints, and what is to be said of it.

use std::io::{self, Write};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::cli::message;
use crate::cli::progress::Progress;
use crate::domain::execution::Execution;
use crate::domain::quantities::show_bytes;
use crate::orchestrator::Live;
use crate::sandbox::Cancel;

/// Prints live output on a thread of its own: a terminal or a pipe that nobody
/// reads must not hold up the sandbox.
pub(super) struct Printer(JoinHandle<Readers>);

/// Who reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Somebody, to the end.
    There,
    /// Nobody any more, as after `| head`.
    Gone,
}

impl Printer {
    pub(super) fn start(
        mut followed: UnboundedReceiver<Live>,
        progress: Progress,
        prints_stdout: bool,
        cancel: Cancel,
    ) -> Self {
        Self(tokio::task::spawn_blocking(move || {
            while let Some(live) = followed.blocking_recv() {
                let printed = match live {
                    Live::Progress(line) => {
                        progress.show(&line);
                        continue;
                    }
                    Live::Stdout(_) if !prints_stdout => continue,
                    Live::Stdout(bytes) => {
                        progress.clear();
                        write_all(io::stdout().lock(), &bytes)
                    }
                    Live::Stderr(bytes) => {
                        progress.clear();
                        // Nobody to tell: the result still counts.
                        let _ = write_all(io::stderr().lock(), &bytes);
                        Ok(())
                    }
                };
                // Whoever read stdout has gone: the script works for nobody.
                if printed.is_err() {
                    cancel.cancel();
                    return Readers::Gone;
                }
            }
            progress.clear();
            Readers::There
        }))
    }

    /// Waits until everything is printed.
    pub(super) async fn finish(self) -> Readers {
        self.0.await.unwrap_or(Readers::There)
    }
}

fn write_all(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// Prints the execution; false when it could not be.
pub(super) fn print_json(execution: &Execution) -> bool {
    let printed = serde_json::to_string_pretty(execution)
        .map_err(io::Error::from)
        .and_then(|text| writeln!(io::stdout().lock(), "{text}"));
    if let Err(error) = &printed {
        message::error(&format!("the result could not be printed: {error}"), None);
    }
    printed.is_ok()
}

/// Says what was cut, left behind or not taken.
pub(super) fn notes(execution: &Execution, keeps_artifacts: bool) {
    let cut = [
        ("stdout", execution.stdout_truncated, execution.stdout_bytes),
        ("stderr", execution.stderr_truncated, execution.stderr_bytes),
    ];
    for (name, _, bytes) in cut.into_iter().filter(|(_, is_cut, _)| *is_cut) {
        message::note(&format!("{name} was cut: the script wrote {} of it", show_bytes(bytes)));
    }
    let is_killed_child = execution.usage.oom_kills > 0 && execution.error_kind.is_none();
    if is_killed_child {
        message::note("a process of the script was killed: the memory limit was reached");
    }
    for artifact in &execution.artifacts {
        let name = crate::domain::excerpt::excerpt(&artifact.name);
        match (artifact.skipped, keeps_artifacts) {
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

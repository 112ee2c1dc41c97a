//! One sandbox: a container that serves one request and is then removed.
//!
//! ```text
//! Sandbox::start ── created, attached, started, Hello ──▶ Sandbox (unused) ──┐
//!        │                                                   │   ▲── prepare ─┘
//!        │                                                   │ load: Request … Loaded
//!        │                                                   ▼
//!        │                                                Loaded (nothing has run)
//!        │                                                   │ run: Go
//!        │                                                   ▼
//!        │                                Running::adopt ▶ Running ── detach ─▶ (runs on)
//!        │                                                   │ Exit
//!        ▼ any failure                                       ▼
//!     removal  ◀──────── dropped ── ContainerGuard ◀──── Ending
//! ```
//!
//! A sandbox runs one script and is never reused: [`Sandbox::load`] and [`Loaded::run`]
//! consume it. Before [`Loaded::run`] nothing of the script has run. The [`Remover`]
//! removes the container in every case, also when the caller's future is dropped;
//! [`Remover::drain`] waits for that. The only exception is a script that is detached on
//! purpose ([`RunSignals`]): it runs on, and the next process adopts it
//! ([`Running::adopt`]).
//!
//! All output of a sandbox is hostile: [`conversation`] checks it against the protocol
//! and the request's limits before anything else reads it.

mod clearing;
mod confinement;
pub mod conversation;
mod left;
mod load;
mod output_limits;
mod prepare;
mod remover;
mod replay;
mod run;
pub mod run_folder;
mod running;
mod sink;
mod start;
#[cfg(test)]
mod tests;
pub mod transcript;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use gantry_init::frame::MAX_REQUEST_JSON;
use thiserror::Error;

pub use left::{LeftFile, LeftState};
pub use load::{LaunchRequest, Loaded};
pub use output_limits::OutputLimits;
pub use prepare::PrepareError;
pub(crate) use prepare::printable;
pub use remover::Remover;
pub use run_folder::RunFolderError;
pub use running::Running;
pub use sink::{Cancel, ContainerGuard, RunResult, RunSignals, Sink};

use crate::domain::confinement::{ConfinementGap, SealedConfinement};
use crate::engine::{Attached, Engine, EngineError};
use conversation::ProtocolError;
use remover::OwnedContainer;
use start::Frames;

/// A started container in which nothing has run.
pub struct Sandbox {
    engine: Arc<dyn Engine>,
    input: std::pin::Pin<Box<dyn tokio::io::AsyncWrite + Send>>,
    frames: Frames,
    container: OwnedContainer,
    /// Folder of the host that it sees as `/work/in`.
    inputs: Option<PathBuf>,
    /// Confinement that the engine reported, once verified.
    confinement: Option<SealedConfinement>,
    /// Reason why the stand-by interpreter is missing, if one was requested.
    stand_by_failure: Option<String>,
}

impl Sandbox {
    /// Reason why the stand-by interpreter that the template requests is missing.
    #[must_use]
    pub fn stand_by_failure(&self) -> Option<&str> {
        self.stand_by_failure.as_deref()
    }

    /// Records the reason for a missing stand-by interpreter.
    pub fn set_stand_by_failure(&mut self, reason: Option<String>) {
        self.stand_by_failure = reason;
    }

    /// Name of its container.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.container.name
    }

    /// Folder of the host that it sees as `/work/in`, if it has one. What is put into it
    /// before the request runs is there for the script.
    #[must_use]
    pub fn inputs_folder(&self) -> Option<&Path> {
        self.inputs.as_deref()
    }

    /// Error that PID 1 wrote to stderr, if any.
    #[must_use]
    pub fn init_error(&self) -> Option<String> {
        self.frames.stderr_suffix().strip_prefix(": ").map(str::to_owned)
    }

    /// True if, as far as this process can tell, it still waits for its request: it has
    /// sent nothing, and its output has not ended.
    #[must_use]
    pub fn is_waiting(&mut self) -> bool {
        self.frames.next().now_or_never().is_none()
    }
}

/// Failure of the sandbox itself. Failures of the script are not here: they are an
/// [`Ending`](crate::domain::outcome::Ending).
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The engine failed; nothing has run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The container's folder could not be made; nothing has run.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The container exited or stayed silent before the script started; nothing has run.
    #[error("the sandbox did not become ready: {0}")]
    NotReady(String),
    /// PID 1 never received the Go frame; nothing of the script has run.
    #[error("the sandbox exited before its script started")]
    NotStarted,
    /// The engine confines the container less than requested; nothing has run.
    #[error(transparent)]
    UnderConfined(#[from] ConfinementGap),
    /// The container's output violates the protocol.
    #[error("the sandbox broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The request's head exceeds its limit, in bytes of JSON.
    #[error(
        "arguments and environment take {0} bytes as JSON, at most {max} are allowed",
        max = MAX_REQUEST_JSON
    )]
    RequestTooLarge(usize),
    /// The output could not be stored.
    #[error("the output could not be stored: {0}")]
    Sink(#[source] std::io::Error),
}

impl SandboxError {
    /// Advice for the operator.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::RunFolder(error) => Some(error.hint()),
            Self::Sink(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some disk space")
            }
            Self::RequestTooLarge(_) => Some("put data into the input"),
            Self::UnderConfined(_) => {
                Some("check the engine's settings, and any proxy or plugin between it and Gantry")
            }
            Self::NotReady(_) | Self::NotStarted | Self::Protocol(_) | Self::Sink(_) => None,
        }
    }
}

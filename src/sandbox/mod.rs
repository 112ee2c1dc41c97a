//! One sandbox: a container that takes one request, answers it, and is gone.
//!
//! ```text
//! Sandbox::start ── created, attached, started, Hello ──▶ Sandbox (unused) ──┐
//!        │                                                   │   ▲── prepare ─┘
//!        │                                                   │ load: Request … Loaded
//!        │                                                   ▼
//!        │                                                Loaded (nothing has run)
//!        │                                                   │ run: Go
//!        │                                                   ▼
//!        │                                Running::adopt ▶ Running ── leave ──▶ (runs on)
//!        │                                                   │ Exit
//!        ▼ any failure                                       ▼
//!     removal  ◀──────── dropped ── ContainerGuard ◀──────────── Ending
//! ```
//!
//! A sandbox runs one script and is never used again: [`Sandbox::load`] and
//! [`Loaded::run`] consume it. Up to the latter it is certain that nothing of the
//! script has run. Whatever happens, and whoever stops waiting, its container is
//! removed by the [`Remover`], which [`Remover::drain`] waits for; only a script that
//! is left on purpose ([`RunSignals`]) runs on, and the next process adopts it
//! ([`Running`]).
//!
//! What comes out of a sandbox is hostile: [`conversation`] holds it against
//! the protocol and the request's own limits before anybody sees it.

mod confinement;
pub mod conversation;
mod load;
mod output_limits;
mod prepare;
mod remover;
mod replay;
mod run;
mod running;
mod start;
#[cfg(test)]
mod tests;
pub mod transcript;

use std::sync::Arc;

use futures::FutureExt;
use thiserror::Error;

pub use load::{LaunchRequest, Loaded};
pub use output_limits::OutputLimits;
pub use prepare::PrepareError;
pub(crate) use prepare::printable;
pub use remover::Remover;
pub use run::{Cancel, ContainerGuard, RunResult, RunSignals, Sink};
pub use running::Running;

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
    /// How it is confined, once the engine has said so.
    confinement: Option<SealedConfinement>,
    /// The reason that no interpreter stands by, if one was to.
    stand_by_failure: Option<String>,
}

impl Sandbox {
    /// The reason that no interpreter stands by in it, although its template asks for one.
    #[must_use]
    pub fn stand_by_failure(&self) -> Option<&str> {
        self.stand_by_failure.as_deref()
    }

    /// Remembers why no interpreter stands by in it.
    pub fn set_stand_by_failure(&mut self, reason: Option<String>) {
        self.stand_by_failure = reason;
    }

    /// The name of its container.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.container.name
    }

    /// The reason that its PID 1 has given it up, if it has said so.
    #[must_use]
    pub fn init_error(&self) -> Option<String> {
        self.frames.stderr_suffix().strip_prefix(": ").map(str::to_owned)
    }

    /// Whether it still waits for its request, as far as is known here: it has said
    /// nothing, and its output has not ended.
    #[must_use]
    pub fn is_waiting(&mut self) -> bool {
        self.frames.next().now_or_never().is_none()
    }
}

/// Why a sandbox could not do its work. What the *script* did wrong is not
/// here: that is an [`Ending`](crate::domain::outcome::Ending).
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The engine failed, and nothing has run.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The container ended, or said nothing, before its script was to start:
    /// nothing has run.
    #[error("the sandbox did not come up: {0}")]
    NotReady(String),
    /// PID 1 never heard the word to start the script: nothing of it has run.
    #[error("the sandbox ended before its script was started")]
    NotStarted,
    /// The engine does not confine it as it was asked to: nothing has run.
    #[error(transparent)]
    UnderConfined(#[from] ConfinementGap),
    /// What came out of the container is not what PID 1 says.
    #[error("the sandbox broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// Arguments and environment are more than a request may hold.
    #[error("arguments and environment have {0} bytes as JSON, which is too much")]
    RequestTooLarge(usize),
    /// The output could not be kept.
    #[error("the output could not be stored: {0}")]
    Sink(#[source] std::io::Error),
}

impl SandboxError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Sink(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some disk space")
            }
            Self::RequestTooLarge(_) => Some("put data into the input"),
            Self::UnderConfined(_) => {
                Some("look at the engine's settings, and at what stands between it and Gantry")
            }
            Self::NotReady(_) | Self::NotStarted | Self::Protocol(_) | Self::Sink(_) => None,
        }
    }
}

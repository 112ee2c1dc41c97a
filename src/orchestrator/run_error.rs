//! Failures of our side: a job did not run, or its end is not known.
//!
//! The end of a script itself is [`Outcome`]'s.

use thiserror::Error;

use super::build_failure::BuildFailure;
use super::input_folder::InputError;
use crate::domain::outcome::{Ending, ErrorKind, Outcome, classify};
use crate::engine::{EngineError, Verb};
use crate::images::ImageError;
use crate::sandbox::{RunFolderError, SandboxError};

/// Failure of our side: a job did not run, or its end is not known.
#[derive(Debug, Error)]
pub enum RunError {
    /// It was cancelled before its sandbox was ready.
    #[error("the execution was cancelled")]
    Cancelled,
    /// Its environment could not be built.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Its environment could not be built, by whoever asked for it first.
    #[error("{}", .0.message)]
    Build(BuildFailure),
    /// Its sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Its input files could not be put into its sandbox.
    #[error(transparent)]
    Inputs(#[from] InputError),
}

impl RunError {
    /// Advice for whoever meets it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::Build(_) | Self::Cancelled | Self::Inputs(_) => None,
            Self::Sandbox(error) => error.hint().map(str::to_owned),
        }
    }

    /// Nothing has run in the sandbox, and another one may do better.
    pub(super) fn is_unused_sandbox(&self) -> bool {
        matches!(self, Self::Sandbox(SandboxError::NotReady(_) | SandboxError::Engine(_)))
    }

    /// It was the database that was out, and not the engine.
    pub(super) fn is_of_database(&self) -> bool {
        matches!(self, Self::Build(failure) if failure.is_of_database)
    }

    /// There was no room for its folder: there may be later.
    pub(super) fn is_want_of_room(&self) -> bool {
        matches!(self, Self::Sandbox(SandboxError::RunFolder(error)) if error.is_want_of_room())
    }

    /// Its container ended, or said nothing, before its script was started.
    pub(super) fn is_not_ready(&self) -> bool {
        matches!(self, Self::Sandbox(SandboxError::NotReady(_) | SandboxError::NotStarted))
    }

    /// Its input files could not be placed, for a reason that may pass.
    pub(super) fn is_passing_fault_of_inputs(&self) -> bool {
        matches!(self, Self::Inputs(error) if error.is_worth_another_attempt())
    }

    /// The image that the engine did not have when a sandbox was to be made of it.
    pub(super) fn is_missing_image(&self) -> bool {
        let Self::Sandbox(SandboxError::Engine(error)) = self else { return false };
        matches!(error, EngineError::NotFound { verb: Verb::Create, .. })
    }

    /// The outcome that an execution with this error has.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let kind = match self {
            Self::Cancelled | Self::Image(ImageError::Cancelled) => {
                return classify(&Ending::RemovedOnCancel);
            }
            Self::Image(error) if error.is_outage() => ErrorKind::EngineUnavailable,
            Self::Sandbox(SandboxError::Engine(error)) if error.is_outage() => {
                ErrorKind::EngineUnavailable
            }
            Self::Inputs(error) => return error.outcome(),
            Self::Build(failure) => failure.kind,
            Self::Sandbox(SandboxError::RunFolder(error)) if error.is_want_of_room() => {
                ErrorKind::OutOfDisk
            }
            Self::Image(_) => ErrorKind::EnvironmentFailed,
            Self::Sandbox(_) => ErrorKind::SandboxFailed,
        };
        Outcome::failed(kind, self.to_string())
    }

    /// Message for callers of a server: nothing of the server's own files.
    pub(super) fn public_message(&self) -> String {
        match self {
            Self::Image(error) => error.public_message(),
            Self::Sandbox(SandboxError::Engine(error)) => error.public_message(),
            Self::Sandbox(SandboxError::RunFolder(error)) => match error {
                RunFolderError::NoPlace | RunFolderError::Io { .. } => {
                    "the server could not make the folder of the sandbox".to_owned()
                }
                RunFolderError::Unseen { .. } => {
                    "the container engine does not see the folder of the sandbox".to_owned()
                }
            },
            Self::Sandbox(SandboxError::Sink(_)) => {
                "what the script left could not be stored".to_owned()
            }
            Self::Inputs(error) => error.outcome().error_message.unwrap_or_default(),
            other => other.to_string(),
        }
    }
}

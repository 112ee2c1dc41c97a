//! Failure to build an image.

use crate::domain::outcome::ErrorKind;

/// Failure to get an image, shared by everybody who waited for it.
#[derive(Debug, Clone)]
pub struct BuildFailure {
    /// The error kind of an execution that waited for it.
    pub(super) kind: ErrorKind,
    /// The database was out, and not the engine: nothing is said about that one.
    pub(super) is_of_database: bool,
    /// In the installer's own words.
    pub(super) message: String,
}

impl BuildFailure {
    /// A failure of the environment itself.
    pub(super) fn of_environment(message: impl Into<String>) -> Self {
        let kind = ErrorKind::EnvironmentFailed;
        Self { kind, is_of_database: false, message: message.into() }
    }
}

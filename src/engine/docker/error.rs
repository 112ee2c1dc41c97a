//! Conversion of bollard's errors; only this module reads HTTP statuses of the engine.

use bollard::errors::Error;

use super::Docker;
use crate::engine::{EngineError, Verb};

/// Longest error text of the engine that is passed on, in bytes.
const MAX_MESSAGE: usize = 4096;

impl Docker {
    /// Converts an error of the operation `verb`.
    pub(super) fn error(&self, verb: Verb, error: Error) -> EngineError {
        match error {
            Error::DockerResponseServerError { status_code: 404, message } => {
                EngineError::NotFound { verb, message: bounded(message) }
            }
            Error::DockerResponseServerError { status_code: status, message } => {
                EngineError::Refused { verb, status, message: bounded(message) }
            }
            Error::DockerStreamError { error } => {
                EngineError::Refused { verb, status: 0, message: bounded(error) }
            }
            Error::RequestTimeoutError => {
                EngineError::TimedOut { verb, after: crate::engine::deadline::IMAGE_BUILD }
            }
            Error::JsonDataError { message, .. } => {
                EngineError::Answer { verb, message: bounded(message) }
            }
            connection @ (Error::IOError { .. }
            | Error::HyperResponseError { .. }
            | Error::HyperLegacyError { .. }
            | Error::SocketNotFoundError(_)) => EngineError::Unreachable {
                endpoint: self.endpoint.to_string(),
                reason: bounded(with_sources(&connection)),
            },
            other => EngineError::Answer { verb, message: bounded(with_sources(&other)) },
        }
    }
}

/// Formats an error and its sources in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn bounded(mut text: String) -> String {
    if let Some((cut, _)) = text.char_indices().find(|(at, _)| *at >= MAX_MESSAGE) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// True for answers that a repeated kill, stop or removal may get.
pub(super) fn is_already_done(error: &EngineError) -> bool {
    match error {
        EngineError::NotFound { .. } => true,
        EngineError::Refused { status, .. } => matches!(status, 304 | 409),
        _ => false,
    }
}

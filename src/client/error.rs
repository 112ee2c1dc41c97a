//! Errors of requests: no answer, or not the expected one.

use std::time::Duration;

use thiserror::Error;

use crate::domain::quantities::{show_bytes, show_duration};

use super::problem::Problem;

/// Errors of a request.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The client itself can't be made.
    #[error("no HTTP client can be made: {0}")]
    Client(String),
    /// A name that can't be part of a URL.
    #[error("{0:?} can't be the name of anything on a server")]
    Unnameable(String),
    /// A request that can't be written.
    #[error("the request can't be written as JSON")]
    Request(#[source] serde_json::Error),
    /// Nothing listens there.
    #[error("no server at {0}")]
    NoServer(String),
    /// No connection, for another reason.
    #[error("no connection to {url}: {reason}")]
    Unreachable {
        /// The server's address.
        url: String,
        /// The reason.
        reason: String,
    },
    /// No encrypted connection.
    #[error("no secure connection to {url}: {reason}")]
    Tls {
        /// The server's address.
        url: String,
        /// The reason.
        reason: String,
        /// True if the other end does not speak TLS.
        is_plain: bool,
    },
    /// It took too long.
    #[error("{url} has not answered within {}", show_duration(*.within))]
    Slow {
        /// The server's address.
        url: String,
        /// The time that it had.
        within: Duration,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {url} was cut: {reason}")]
    Cut {
        /// The server's address.
        url: String,
        /// The reason.
        reason: String,
    },
    /// The server refused.
    #[error("{problem}")]
    Refused {
        /// The server's problem.
        problem: Problem,
        /// True if the request had a token.
        had_token: bool,
    },
    /// The other end is not Gantry.
    #[error("what answers at {url} is not Gantry: {seen}")]
    NotGantry {
        /// The server's address.
        url: String,
        /// Its answer.
        seen: String,
    },
    /// The server sends elsewhere.
    #[error("{url} redirects to {to}, and redirects are not followed: they would get the token")]
    Redirect {
        /// The server's address.
        url: String,
        /// The target of the redirect.
        to: String,
    },
    /// The answer is too large to be held.
    #[error("the answer has more than {}", show_bytes(*.0))]
    TooLarge(u64),
    /// JSON of another shape.
    #[error("the server's answer has another form than this version of gantry knows: {0}")]
    Form(String),
}

impl ClientError {
    /// Advice about what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoServer(_) => "start one with `gantry serve`, or set GANTRY_URL",
            Self::Tls { is_plain: true, .. } => "it does not speak TLS: is it an http:// URL?",
            Self::Tls { .. } => {
                "the certificate must be for this name and from an issuer that this machine \
                 trusts; SSL_CERT_FILE names others"
            }
            Self::Unreachable { .. } | Self::NotGantry { .. } | Self::Cut { .. } => {
                "is GANTRY_URL the address of a Gantry server?"
            }
            Self::Redirect { .. } => "set GANTRY_URL to where it leads, if that is the server",
            Self::Slow { .. } => "try again; `gantry doctor` on the server's machine says more",
            Self::Form(_) => "are server and client of the same version?",
            Self::Refused { problem, had_token } => return refusal_hint(problem, *had_token),
            Self::Client(_) | Self::Unnameable(_) | Self::Request(_) | Self::TooLarge(_) => {
                return None;
            }
        };
        Some(hint.to_owned())
    }

    /// True when the same request may well succeed a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NoServer(_) | Self::Unreachable { .. } | Self::Slow { .. } | Self::Cut { .. } => {
                true
            }
            Self::Refused { problem, .. } => problem.status == 429 || problem.status >= 500,
            _ => false,
        }
    }

    /// The HTTP status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { problem, .. } => Some(problem.status),
            _ => None,
        }
    }
}

fn refusal_hint(problem: &Problem, had_token: bool) -> Option<String> {
    match (problem.status, had_token) {
        (401, false) => Some("set GANTRY_TOKEN, or name a file with --token-file".to_owned()),
        (401, true) => Some(
            "the token is wrong, expired or revoked: set GANTRY_TOKEN to another; \
             `gantry token create` makes one"
                .to_owned(),
        ),
        _ => problem.hint.clone().or_else(|| {
            let wait = show_duration(problem.retry_after?);
            Some(format!("try again in {wait}"))
        }),
    }
}

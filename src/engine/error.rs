//! Errors of the engine, grouped by what a caller can do about them.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::domain::uid_range::UidRange;

/// Operation of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reading its version and state.
    Describe,
    /// Creating a container.
    Create,
    /// Attaching to a container.
    Attach,
    /// Starting a container.
    Start,
    /// Waiting for a container's exit.
    Wait,
    /// Inspecting a container.
    Inspect,
    /// Reading a container's log.
    Replay,
    /// Sending TERM to a container.
    Terminate,
    /// Inspecting a container's confinement.
    InspectConfinement,
    /// Killing a container.
    Kill,
    /// Removing a container.
    Remove,
    /// Listing containers.
    List,
    /// Any operation on images, networks or volumes.
    Image(&'static str),
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Describe => "answering a status request",
            Self::Create => "creating a container",
            Self::Attach => "attaching to a container",
            Self::Start => "starting a container",
            Self::Wait => "waiting for a container",
            Self::Inspect => "inspecting a container",
            Self::Replay => "reading a container's log",
            Self::Terminate => "terminating a container",
            Self::InspectConfinement => "inspecting a container's confinement",
            Self::Kill => "killing a container",
            Self::Remove => "removing a container",
            Self::List => "listing containers",
            Self::Image(what) => what,
        })
    }
}

/// Failure of an operation of the engine.
#[derive(Debug, Clone, Error)]
pub enum EngineError {
    /// No connection, or a broken one.
    #[error("the container engine can't be reached at {endpoint}: {reason}")]
    Unreachable {
        /// Address of the engine.
        endpoint: String,
        /// Text of the system's error.
        reason: String,
    },
    /// The call did not end within its deadline.
    #[error("the container engine did not finish {verb} within {} s", after.as_secs())]
    TimedOut {
        /// Operation that failed.
        verb: Verb,
        /// Deadline of the operation.
        after: Duration,
    },
    /// The engine answers but starts no container.
    #[error(
        "the container engine answers but did not start a container within {} s",
        after.as_secs()
    )]
    Wedged {
        /// Deadline of the operation.
        after: Duration,
    },
    /// The engine would create containers without these limits.
    #[error("the container engine can't enforce limits on {}", missing.join(", "))]
    NoLimits {
        /// `memory`, `cpu` or `pids`.
        missing: Vec<&'static str>,
    },
    /// Another container has each of the user ids.
    #[error("all {range} user ids for sandboxes are in use", range = range.count())]
    NoUser {
        /// Range of user ids for sandboxes.
        range: UidRange,
    },
    /// There is no such container, image or runtime.
    #[error("{verb}: {message}")]
    NotFound {
        /// Operation that failed.
        verb: Verb,
        /// Text of the engine's error.
        message: String,
    },
    /// The engine refused the operation, or failed.
    #[error("{verb} failed: {message}")]
    Refused {
        /// Operation that failed.
        verb: Verb,
        /// HTTP status; 0 if the error came in a stream.
        status: u16,
        /// Text of the engine's error.
        message: String,
    },
    /// The engine's answer could not be parsed.
    #[error("{verb}: invalid answer from the engine: {message}")]
    Answer {
        /// Operation that failed.
        verb: Verb,
        /// Reason.
        message: String,
    },
}

impl EngineError {
    /// Advice for the operator.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { .. } => Some(
                "is Docker running, may this user talk to it, and does DOCKER_HOST point to it?",
            ),
            Self::Wedged { .. } => Some(
                "restart the Docker daemon; engines before 24.0.7 have a known deadlock \
                 (moby#46661) in which they answer but start nothing",
            ),
            Self::TimedOut { .. } => {
                Some("the machine may be overloaded; run `gantry doctor` for details")
            }
            Self::NoLimits { .. } => {
                Some("enable these cgroup controllers, and delegate them to a rootless engine")
            }
            Self::NoUser { .. } => {
                Some("set a larger range of user ids for sandboxes: GANTRY_UIDS")
            }
            _ => None,
        }
    }

    /// Message for callers of a server, without the address of the engine.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Unreachable { .. } => "the container engine can't be reached".to_owned(),
            other => other.to_string(),
        }
    }

    /// True if the engine as a whole is at fault, not the operation.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Wedged { .. })
    }
}

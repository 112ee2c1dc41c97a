//! What can go wrong with an engine, told by what a caller can do about it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::domain::uid_range::UidRange;

/// What was asked of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reading its version and state.
    Describe,
    /// Creating a container.
    Create,
    /// Attaching to one.
    Attach,
    /// Starting one.
    Start,
    /// Waiting for its end.
    Wait,
    /// Looking at one.
    Inspect,
    /// Reading again what one has printed.
    Replay,
    /// Asking one to end.
    Terminate,
    /// Looking how one is confined.
    InspectConfinement,
    /// Killing one.
    Kill,
    /// Removing one.
    Remove,
    /// Listing them.
    List,
    /// Anything with images, networks or volumes.
    Image(&'static str),
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Describe => "answering",
            Self::Create => "creating a container",
            Self::Attach => "attaching to a container",
            Self::Start => "starting a container",
            Self::Wait => "waiting for a container",
            Self::Inspect => "inspecting a container",
            Self::Replay => "reading a container's log",
            Self::Terminate => "asking a container to end",
            Self::InspectConfinement => "examining a container's confinement",
            Self::Kill => "killing a container",
            Self::Remove => "removing a container",
            Self::List => "listing containers",
            Self::Image(what) => what,
        })
    }
}

/// Why the engine did not do what it was asked.
#[derive(Debug, Clone, Error)]
pub enum EngineError {
    /// No connection, or it broke.
    #[error("the container engine can't be reached at {endpoint}: {reason}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// The system's words.
        reason: String,
    },
    /// It is there, but this call did not end in time.
    #[error("the container engine did not finish {verb} within {} s", after.as_secs())]
    TimedOut {
        /// What was asked.
        verb: Verb,
        /// How long it was given.
        after: Duration,
    },
    /// It answers, and starts no container.
    #[error(
        "the container engine answers but has not started a container within {} s",
        after.as_secs()
    )]
    Wedged {
        /// How long it was given.
        after: Duration,
    },
    /// It would create containers without these limits.
    #[error("the container engine can't limit {} here", missing.join(", "))]
    NoLimits {
        /// `memory`, `cpu`, `pids`.
        missing: Vec<&'static str>,
    },
    /// Every user that a sandbox could have is another's.
    #[error("all {range} users of sandboxes are in use", range = range.count())]
    NoUser {
        /// The ids of all of them.
        range: UidRange,
    },
    /// There is no such container, image or runtime.
    #[error("{verb}: {message}")]
    NotFound {
        /// What was asked.
        verb: Verb,
        /// The engine's words.
        message: String,
    },
    /// It refused, or failed.
    #[error("{verb} failed: {message}")]
    Refused {
        /// What was asked.
        verb: Verb,
        /// The HTTP status; 0 where the refusal came in a stream.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// It answered something that can't be understood.
    #[error("{verb}: the engine's answer was not understood: {message}")]
    Answer {
        /// What was asked.
        verb: Verb,
        /// What is wrong with it.
        message: String,
    },
}

impl EngineError {
    /// What to do about it.
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
                Some("the machine may be overloaded; `gantry doctor` looks closer")
            }
            Self::NoLimits { .. } => {
                Some("enable these cgroup controllers, and delegate them to a rootless engine")
            }
            Self::NoUser { .. } => Some("give sandboxes a larger range of user ids: GANTRY_UIDS"),
            _ => None,
        }
    }

    /// What callers of a server are told: not where the engine is.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Unreachable { .. } => "the container engine can't be reached".to_owned(),
            other => other.to_string(),
        }
    }

    /// True when the engine as a whole is at fault, and not what was asked.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Wedged { .. })
    }
}

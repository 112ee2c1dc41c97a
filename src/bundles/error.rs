//! Errors of reading and keeping bundles.

use std::fmt::Display;
use std::io;

use thiserror::Error;

use crate::domain::bundle::BundleFault;

/// Reason that there is no bundle.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The files are no bundle.
    #[error("the bundle is refused: {0}")]
    Fault(#[from] BundleFault),
    /// The archive is broken, or has something that is not read. The reason is one short line.
    #[error("the archive is refused: {0}")]
    Archive(String),
    /// The archive ends before its end.
    #[error("the archive is cut off, or is none")]
    CutOff,
    /// A kept archive has other bytes than it should.
    #[error("the archive of bundle {0} is damaged")]
    Damaged(String),
    /// A kept archive is not there.
    #[error("the archive of bundle {0} is missing")]
    Missing(String),
    /// The disk failed.
    #[error("{what}: {source}")]
    Io {
        /// Subject.
        what: String,
        /// Cause.
        source: io::Error,
    },
}

impl BundleError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Fault(fault) => fault.hint(),
            Self::Archive(_) => Some("pack it as tar, tar.gz or zip, without passwords"),
            Self::CutOff => Some("send it again"),
            Self::Damaged(_) | Self::Missing(_) => Some("register the bundle again"),
            Self::Io { .. } => None,
        }
    }

    /// True if whoever sent the bundle can mend it.
    #[must_use]
    pub fn is_of_sender(&self) -> bool {
        matches!(self, Self::Fault(_) | Self::Archive(_) | Self::CutOff)
    }

    pub(super) fn io(what: impl Display, source: io::Error) -> Self {
        Self::Io { what: what.to_string(), source }
    }

    /// An error of reading an archive that somebody sent: broken, or cut off.
    pub(super) fn reading(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            // It may quote what it has read.
            _ => Self::Archive(format!("{:.200}", error.to_string().escape_debug().to_string())),
        }
    }
}

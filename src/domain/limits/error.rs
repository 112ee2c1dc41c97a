//! What can be wrong with limits, and what to do about it.

use thiserror::Error;

use crate::domain::quantities::show_bytes;

/// A limit out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LimitsError {
    /// Below what works.
    #[error("{field}: {value} is too little, the least is {bound}")]
    TooLittle {
        /// The field's name in the API.
        field: &'static str,
        /// What was asked for.
        value: String,
        /// The bound.
        bound: String,
    },
    /// Above what is allowed.
    #[error("{field}: {value} is too much, the most is {bound}")]
    TooMuch {
        /// The field's name in the API.
        field: &'static str,
        /// What was asked for.
        value: String,
        /// The bound.
        bound: String,
    },
    /// Files would take more than half of the memory that they are kept in.
    #[error("scratch_bytes: {scratch} is more than half of memory_bytes ({memory})")]
    ScratchOverMemory {
        /// What was asked for.
        scratch: String,
        /// The memory that it is part of.
        memory: String,
        /// Memory that would do, in bytes.
        needed_bytes: u64,
    },
    /// Not a finite positive number.
    #[error("{field}: {value} is not a usable number")]
    NotANumber {
        /// The field's name in the API.
        field: &'static str,
        /// What was asked for.
        value: String,
    },
}

impl LimitsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooLittle { field, bound, .. } => format!("set {field} to at least {bound}"),
            Self::TooMuch { field, bound, .. } => format!("set {field} to at most {bound}"),
            Self::ScratchOverMemory { needed_bytes, .. } => format!(
                "files in /work are kept in memory: set memory_bytes to at least {}, or less scratch_bytes",
                bytes_shown(*needed_bytes)
            ),
            Self::NotANumber { field, .. } => format!("write {field} as a positive number"),
        })
    }
}

/// `256 MiB (268435456 bytes)`: the field is in bytes, people think in units.
pub(super) fn bytes_shown(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    format!("{} ({bytes} bytes)", show_bytes(bytes))
}

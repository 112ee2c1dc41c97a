//! Errors of limits, with advice.

use thiserror::Error;

use crate::domain::quantities::show_bytes;

/// Limit that is out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LimitsError {
    /// The value is below the minimum.
    #[error("{field}: {value} is too little, the least is {bound}")]
    TooLittle {
        /// Name of the field in the API.
        field: &'static str,
        /// Requested value.
        value: String,
        /// Minimum.
        bound: String,
    },
    /// The value is above the maximum.
    #[error("{field}: {value} is too much, the most is {bound}")]
    TooMuch {
        /// Name of the field in the API.
        field: &'static str,
        /// Requested value.
        value: String,
        /// Maximum.
        bound: String,
    },
    /// Files would take more than half of the memory that holds them.
    #[error("scratch_bytes: {scratch} is more than half of memory_bytes ({memory})")]
    ScratchOverMemory {
        /// Requested scratch space.
        scratch: String,
        /// Memory limit.
        memory: String,
        /// Sufficient memory limit, in bytes.
        needed_bytes: u64,
    },
    /// The value is not a finite positive number.
    #[error("{field}: {value} is not a usable number")]
    NotANumber {
        /// Name of the field in the API.
        field: &'static str,
        /// Requested value.
        value: String,
    },
}

impl LimitsError {
    /// Advice for the user.
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

/// Size in units and in bytes, such as `256 MiB (268435456 bytes)`: the field is in bytes.
pub(super) fn bytes_shown(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    format!("{} ({bytes} bytes)", show_bytes(bytes))
}

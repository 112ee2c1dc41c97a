//! Script in the registry.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ScriptName, ScriptVersion};
use crate::domain::limits::{Limits, Timeout};

/// Longest description, in bytes (64 KiB).
pub const MAX_DESCRIPTION_BYTES: usize = 64 * 1024;

/// Most warm sandboxes of one script.
pub const MAX_WARM: u32 = 64;

/// Settings of a script's runs. Operators change them at any time; an accepted execution
/// keeps those that it was accepted with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// Time limit of one execution; a request can only lower it.
    pub timeout_secs: Timeout,
    /// Limits of one execution.
    pub limits: Limits,
    /// Most concurrent executions on each node; `None` means as many as fit.
    pub max_concurrency: Option<NonZeroU32>,
    /// Warm sandboxes that each node keeps for it, as far as its pool has room; at most
    /// [`MAX_WARM`].
    pub warm: u32,
}

/// Script in the registry, with its current version.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredScript {
    /// Id given by the database.
    pub id: i64,
    /// Name, unique among all scripts, including deactivated ones.
    pub name: ScriptName,
    /// Description for people.
    pub description: String,
    /// File on the server that it was read from, as given; `None` if its content was sent.
    pub file_path: Option<String>,
    /// File on the server that its requirements were read from, as given; `None` if they
    /// were sent.
    pub requirements_path: Option<String>,
    /// Limits, timeout, concurrency and warm sandboxes.
    pub run_settings: RunSettings,
    /// True if it can be invoked.
    pub is_enabled: bool,
    /// Current version.
    pub version: ScriptVersion,
    /// Number of the version that becomes current once its environment is ready; `None` if
    /// none waits.
    pub pending_version: Option<i64>,
    /// Name of the token that registered it.
    pub created_by: String,
    /// Time of registration.
    pub created_at: DateTime<Utc>,
    /// Time of the last change.
    pub updated_at: DateTime<Utc>,
}

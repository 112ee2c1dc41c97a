//! A script in the registry.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{ScriptName, ScriptVersion};
use crate::domain::limits::{Limits, Timeout};

/// Longest description, in bytes (64 KiB).
pub const MAX_DESCRIPTION_BYTES: usize = 64 * 1024;

/// Most unused sandboxes that can be held for a script.
pub const MAX_WARM: u32 = 64;

/// How a script is run; operators change it at any time, and executions that are
/// already accepted keep what they were accepted with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// How long one execution may take; a request can only lower it.
    pub timeout_secs: Timeout,
    /// What one execution may use.
    pub limits: Limits,
    /// Executions of it at once, on each node; `None` is as many as fit.
    pub max_concurrency: Option<NonZeroU32>,
    /// Unused sandboxes that each node always holds for it, as far as its pool has
    /// room; at most [`MAX_WARM`].
    pub warm: u32,
}

/// A script in the registry, with its current version.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredScript {
    /// Given by the database.
    pub id: i64,
    /// Unique among all scripts, deactivated ones included.
    pub name: ScriptName,
    /// For people.
    pub description: String,
    /// The file on the server that it was read from, as it was given; `None` when
    /// its content was sent.
    pub file_path: Option<String>,
    /// The file on the server that its requirements were read from, as it was
    /// given; `None` when they were sent.
    pub requirements_path: Option<String>,
    /// How it is run.
    pub run_settings: RunSettings,
    /// Whether it can be invoked.
    pub is_enabled: bool,
    /// What is run.
    pub version: ScriptVersion,
    /// The number of the version that becomes the current one as soon as its environment
    /// is ready; `None` when none waits.
    pub pending_version: Option<i64>,
    /// The name of the token that registered it.
    pub created_by: String,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When anything of it was last changed.
    pub updated_at: DateTime<Utc>,
}

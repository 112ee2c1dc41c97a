//! Script in the registry.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{ScriptName, ScriptSettings, ScriptVersion};

/// Longest description, in bytes (64 KiB).
pub const MAX_DESCRIPTION_BYTES: usize = 64 * 1024;

/// Fields of a script that belong to no version.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScriptFields {
    /// Name, unique among all scripts, including deactivated ones.
    pub name: ScriptName,
    /// Description for people.
    pub description: String,
    /// File on the server that it was read from, as given; `None` if its content was sent.
    pub file_path: Option<String>,
    /// File on the server that its requirements were read from, as given; `None` if they
    /// were sent.
    pub requirements_path: Option<String>,
    /// Settings that operators may change.
    #[serde(flatten)]
    pub settings: ScriptSettings,
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
    /// Settings that operators may change.
    pub settings: ScriptSettings,
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

impl RegisteredScript {
    /// Its fields that belong to no version.
    #[must_use]
    pub fn fields(&self) -> ScriptFields {
        ScriptFields {
            name: self.name.clone(),
            description: self.description.clone(),
            file_path: self.file_path.clone(),
            requirements_path: self.requirements_path.clone(),
            settings: self.settings.clone(),
        }
    }
}

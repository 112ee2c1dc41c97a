//! What is run: a script's content and everything that shapes its run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::domain::json_form::canonical;
use crate::domain::mount::{self, Mount, MountError};
use crate::domain::oci_runtime::OciRuntime;
use crate::domain::preload::Preload;
use crate::domain::runtime::Runtime;
use crate::domain::sandbox_spec::Network;
use crate::domain::system_packages::SystemPackages;
use crate::domain::variables::{AllowedVariables, Variables};

/// Longest path below `/work`, in bytes.
const MAX_RELATIVE_BYTES: usize = 1_024;

/// Everything that shapes a run. Equal definitions have equal digests, and are
/// one version. Databases give it back as it is when its schemas are
/// [`canonical`], and nothing in it has a NUL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What runs it.
    pub script_type: Runtime,
    /// SHA-256 of the script's bytes, in hexadecimal.
    pub digest: String,
    /// The name that it shows itself by.
    pub file_name: String,
    /// Where it starts, relative to `/work`; `None` is `/work` itself.
    pub working_directory: Option<String>,
    /// A `requirements.txt`, as it was written; only Python scripts have one.
    pub requirements: Option<String>,
    /// SHA-256 of the requirements in their normal form, in hexadecimal.
    pub requirements_hash: Option<String>,
    /// Debian packages.
    pub system_packages: SystemPackages,
    /// What inputs must be: JSON Schema.
    pub argument_schema: Value,
    /// What outputs must be: JSON Schema.
    pub output_schema: Value,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its variables.
    pub env: Variables,
    /// Where its result is read from instead of stdout, relative to `/work`.
    pub output_file: Option<String>,
    /// What it can reach.
    pub network: Network,
    /// What it sees of the host; sources have their links resolved.
    pub mounts: Vec<Mount>,
    /// What a waiting interpreter has imported; always [`Preload::Off`] for what is
    /// no Python script.
    pub preload: Preload,
    /// The OCI runtime that it needs; `None` is the server's.
    pub runtime: Option<OciRuntime>,
    /// Variables that a request may set.
    // Absent when it is the default, so that versions from before the field have the
    // digests that they had.
    #[serde(default, skip_serializing_if = "AllowedVariables::is_empty")]
    pub env_allowed: AllowedVariables,
    /// Files that it writes to its own places may be executed and loaded.
    #[serde(default = "executable", skip_serializing_if = "Clone::clone")]
    pub exec: bool,
}

fn executable() -> bool {
    true
}

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VersionFault {
    /// Not a relative path that stays below `/work`.
    #[error("{field} {path:?} is not a relative path without . and ..")]
    Path {
        /// The field's name in the API.
        field: &'static str,
        /// What was given.
        path: String,
    },
    /// Requirements are Python's.
    #[error("requirements: a {0} script has none; only python scripts do")]
    Requirements(Runtime),
    /// There is nothing to import for others.
    #[error("preload: a {0} script has none; only python scripts do")]
    Preload(Runtime),
    /// The mounts can't be made together.
    #[error(transparent)]
    Mounts(#[from] MountError),
}

impl Definition {
    /// Checks what the parts can't check by themselves.
    ///
    /// # Errors
    /// [`VersionFault`].
    pub fn validate(&self) -> Result<(), VersionFault> {
        check_below_work("working_directory", self.working_directory.as_deref())?;
        check_below_work("output_file", self.output_file.as_deref())?;
        if self.requirements.is_some() && self.script_type != Runtime::Python {
            return Err(VersionFault::Requirements(self.script_type));
        }
        if self.preload != Preload::Off && self.script_type != Runtime::Python {
            return Err(VersionFault::Preload(self.script_type));
        }
        Ok(mount::check_together(&self.mounts)?)
    }

    /// SHA-256 over all of it, in hexadecimal: what makes it one version. JSON in
    /// its [`canonical`] form with sorted keys is hashed, in which equal definitions
    /// are equal texts, before they are written and after they are read.
    #[must_use]
    pub fn content_digest(&self) -> String {
        // Every field is a string, a list, or a value that came from JSON: there
        // is nothing in it that could fail to be written.
        let fields: BTreeMap<String, Value> = serde_json::to_value(self)
            .ok()
            .and_then(|value| serde_json::from_value(canonical(value)).ok())
            .unwrap_or_default();
        let text = serde_json::to_vec(&fields).unwrap_or_default();
        Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Checks a path below `/work`, by the field's name in the API.
///
/// # Errors
/// [`VersionFault::Path`].
pub fn check_below_work(field: &'static str, path: Option<&str>) -> Result<(), VersionFault> {
    let Some(path) = path else { return Ok(()) };
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    if path.len() <= MAX_RELATIVE_BYTES
        && path.split('/').all(is_plain)
        && !path.chars().any(char::is_control)
    {
        return Ok(());
    }
    Err(VersionFault::Path { field, path: crate::domain::sanitize::sanitize(path) })
}

/// A version in the registry. Nothing of it ever changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptVersion {
    /// Given by the database.
    pub id: i64,
    /// Its number within its script, from 1.
    pub number: i64,
    /// What is run.
    pub definition: Definition,
    /// The environment that it needs; `None` when the runtime's image will do.
    pub environment_key: Option<String>,
    /// The name of the token that made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

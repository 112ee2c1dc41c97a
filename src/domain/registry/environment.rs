//! Environment as the registry stores it.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::file::FileDigest;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::PythonVersion;
use crate::domain::system_packages::SystemPackages;

/// State of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentStatus {
    /// The build is queued.
    Queued,
    /// The build is running.
    Building,
    /// The image exists.
    Ready,
    /// The build failed; the error has the reason.
    Failed,
}

impl EnvironmentStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Building, Self::Ready, Self::Failed];

    /// Word in the API and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for EnvironmentStatus {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|status| status.name() == name).ok_or(())
    }
}

/// A command that runs when an environment is built, and the script that it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUpRecord {
    /// The program with its arguments.
    pub command: Vec<String>,
    /// SHA-256 of the script's bytes, in hexadecimal.
    pub digest: String,
    /// The name that the script shows itself by.
    pub file_name: String,
    /// Path in the bundle that the script is the entry of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

/// Environment that scripts need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentRecord {
    /// SHA-256 over all its ingredients, in hexadecimal.
    pub key: String,
    /// Script type whose base image it is built on.
    pub script_type: ScriptType,
    /// The version of Python; `None` is the one of the script type's image.
    pub python: Option<PythonVersion>,
    /// Debian packages to install.
    pub system_packages: SystemPackages,
    /// Contents of `requirements.txt`.
    pub requirements: Option<String>,
    /// SHA-256 of the normalized requirements, in hexadecimal.
    pub requirements_hash: Option<String>,
    /// A script chose that packages without a wheel are built from source.
    pub sources: bool,
    /// The command that fills its caches.
    pub warm_up: Option<WarmUpRecord>,
    /// The bundle whose files are in it.
    pub bundle: Option<FileDigest>,
    /// State of the environment.
    pub status: EnvironmentStatus,
    /// Image id, if the image exists.
    pub image: Option<String>,
    /// Reason of the failure, in the installer's words.
    pub error: Option<String>,
    /// Exact versions of the installed packages.
    pub lock: Option<String>,
    /// Time at which a script first needed it.
    pub created_at: DateTime<Utc>,
    /// Time of its last change.
    pub updated_at: DateTime<Utc>,
    /// Time of the build.
    pub built_at: Option<DateTime<Utc>>,
}

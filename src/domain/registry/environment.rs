//! An environment as the registry knows it.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::runtime::Runtime;
use crate::domain::system_packages::SystemPackages;

/// How far an environment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnvironmentStatus {
    /// To be built.
    Queued,
    /// Being built.
    Building,
    /// There is an image.
    Ready,
    /// It can't be built; the error says why.
    Failed,
}

impl EnvironmentStatus {
    const ALL: [Self; 4] = [Self::Queued, Self::Building, Self::Ready, Self::Failed];

    /// The word in the API and in the database.
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

/// An environment that scripts need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentRecord {
    /// SHA-256 over all that it is made of, in hexadecimal.
    pub key: String,
    /// The runtime whose image it is built on.
    pub script_type: Runtime,
    /// Debian packages.
    pub system_packages: SystemPackages,
    /// A `requirements.txt`.
    pub requirements: Option<String>,
    /// SHA-256 of the requirements in their normal form, in hexadecimal.
    pub requirements_hash: Option<String>,
    /// How far it is.
    pub status: EnvironmentStatus,
    /// The image's id, when there is one.
    pub image: Option<String>,
    /// Why it can't be built, in the installer's words.
    pub error: Option<String>,
    /// The exact packages.
    pub lock: Option<String>,
    /// When a script first needed it.
    pub created_at: DateTime<Utc>,
    /// When anything of it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was built.
    pub built_at: Option<DateTime<Utc>>,
}

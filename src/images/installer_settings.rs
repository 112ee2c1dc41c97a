//! Settings of installers. Variables may hold credentials: what is shown of them is redacted.

use std::path::PathBuf;

use super::ImageError;
use super::secrets::Secrets;
use crate::domain::script_type::python::requirements::RequirementsPolicy;

/// Settings of installers from the server's environment.
#[derive(Debug, Clone, Default)]
pub struct InstallerSettings {
    /// Variables for pip and uv: indexes and proxies. May hold credentials.
    pub variables: Vec<(String, String)>,
    /// A file with the certificates that indexes are signed by (PEM). It is read
    /// when something is installed.
    pub ca_bundle: Option<PathBuf>,
    /// Policy for requirements.
    pub policy: RequirementsPolicy,
    /// Disk that they may take, in bytes.
    pub disk: BuildDisk,
}

/// Bytes on the disk that installations may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildDisk {
    /// Of one build: what it fetches, unpacks and packs.
    pub build_bytes: u64,
    /// Of the packages that are kept between builds; those used longest ago go.
    pub cache_bytes: u64,
}

impl Default for BuildDisk {
    /// Room for the largest environments that are usual, twice: unpacked and packed.
    fn default() -> Self {
        Self { build_bytes: 16 << 30, cache_bytes: 16 << 30 }
    }
}

impl InstallerSettings {
    /// The variables that say how to get out: an engine's builder knows them and
    /// keeps them out of an image's history.
    pub(super) fn proxies(&self) -> impl Iterator<Item = (String, String)> {
        let is_proxy = |name: &str| name.to_ascii_lowercase().ends_with("_proxy");
        self.variables.iter().filter(move |(name, _)| is_proxy(name)).cloned()
    }

    /// Replaces the secrets in URLs of indexes and proxies.
    pub(super) fn redacted(&self, text: &str) -> String {
        self.secrets("").redacted(text)
    }

    /// The secrets in the URLs of indexes and proxies: the server's, and those that
    /// options in requirements name.
    pub(super) fn secrets(&self, requirements: &str) -> Secrets {
        let options = requirements.lines().filter(|line| line.starts_with('-'));
        Secrets::of(self.variables.iter().map(|(_, value)| value.as_str()).chain(options))
    }

    /// The certificates that indexes are signed by, if a file of them is set.
    pub(super) async fn read_ca_bundle(&self) -> Result<Option<String>, ImageError> {
        let Some(path) = &self.ca_bundle else {
            return Ok(None);
        };
        let read = tokio::fs::read_to_string(path).await;
        read.map(Some).map_err(ImageError::io(format!("the CA bundle {}", path.display())))
    }
}

//! The composition root: puts the parts together for a command.

use std::sync::Arc;

use crate::config::Settings;
use crate::engine::EngineError;
use crate::engine::docker::Docker;
use crate::images::{Library, LibrarySettings};
use crate::orchestrator::Orchestrator;
use crate::sandbox::Remover;

/// The volume that all environments of an engine are installed from.
const CACHE_VOLUME: &str = "gantry-cache";

/// Everything that a command may need.
pub struct Services {
    /// The engine.
    pub docker: Docker,
    /// The images.
    pub library: Library,
    /// What runs jobs.
    pub orchestrator: Orchestrator,
    /// What removes containers; to be drained before the process ends.
    pub remover: Remover,
}

/// Why the parts can't be put together.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// A setting that can't be used.
    #[error("{0}")]
    Setting(String),
    /// The data folder can't be used.
    #[error("the data folder {folder} can't be used: {source}")]
    DataDir {
        /// The folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// The engine can't be reached.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ServicesError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Setting(_) => None,
            Self::DataDir { .. } => Some("choose another with GANTRY_DATA_DIR".to_owned()),
            Self::Engine(error) => error.hint().map(str::to_owned),
        }
    }
}

impl Services {
    /// Puts the parts together. Nothing is asked of the engine yet.
    ///
    /// # Errors
    /// [`ServicesError`] when a setting can't be used.
    pub fn new(settings: &Settings) -> Result<Self, ServicesError> {
        let endpoint = settings.endpoint().map_err(ServicesError::Setting)?;
        let data_dir = settings.data_dir().map_err(ServicesError::Setting)?;
        let installation = crate::installation::id(&data_dir).map_err(|source| {
            ServicesError::DataDir { folder: data_dir.display().to_string(), source }
        })?;
        let docker = Docker::connect(endpoint)?;
        let remover = Remover::new(Arc::new(docker.clone()));
        let library_settings = LibrarySettings {
            base: settings.base(),
            data_dir,
            installation: installation.clone(),
            cache_volume: CACHE_VOLUME.to_owned(),
            oci_runtime: settings.oci_runtime(),
            installer: settings.installer().map_err(ServicesError::Setting)?,
        };
        let library = Library::new(docker.clone(), remover.clone(), library_settings);
        let orchestrator =
            Orchestrator::new(docker.clone(), library.clone(), remover.clone(), installation);
        Ok(Self { docker, library, orchestrator, remover })
    }
}

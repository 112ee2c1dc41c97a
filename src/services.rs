//! The composition root: puts the parts together for a command.

use std::sync::Arc;

use crate::config::Settings;
use crate::engine::docker::Docker;
use crate::engine::{EngineError, LABEL_INSTALLATION, LABEL_PROCESS, Labels};
use crate::images::{Library, LibrarySettings};
use crate::orchestrator::Runner;
use crate::pool::Pool;
use crate::process::Process;
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
    pub runner: Runner,
    /// What removes containers; to be drained before the process ends.
    pub remover: Remover,
    /// Unused sandboxes; to be drained before.
    pub pool: Pool,
    /// Who made them.
    pub process: Process,
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
    /// Puts the parts together, without a pool. Nothing is asked of the engine yet.
    ///
    /// # Errors
    /// [`ServicesError`] when a setting can't be used.
    pub fn new(settings: &Settings) -> Result<Self, ServicesError> {
        Self::with_pool(settings, 0)
    }

    /// The same, and the pool holds at most `pool_size` sandboxes once it is opened.
    ///
    /// # Errors
    /// [`ServicesError`] when a setting can't be used.
    pub fn with_pool(settings: &Settings, pool_size: usize) -> Result<Self, ServicesError> {
        let endpoint = settings.endpoint().map_err(ServicesError::Setting)?;
        let data_dir = settings.data_dir().map_err(ServicesError::Setting)?;
        let uids = settings.uids().map_err(ServicesError::Setting)?;
        let folder = data_dir.display().to_string();
        let unusable = |source| ServicesError::DataDir { folder: folder.clone(), source };
        let installation = crate::installation::id(&data_dir).map_err(unusable)?;
        let process = Process::enter(&data_dir).map_err(unusable)?;
        let docker = Docker::connect(endpoint, uids)?;
        let remover = Remover::new(Arc::new(docker.clone()));
        let library_settings = LibrarySettings {
            base: settings.base(),
            data_dir,
            installation: installation.clone(),
            process: process.id().to_owned(),
            cache_volume: CACHE_VOLUME.to_owned(),
            oci_runtime: settings.oci_runtime(),
            installer: settings.installer().map_err(ServicesError::Setting)?,
        };
        let library = Library::new(docker.clone(), remover.clone(), library_settings);
        let made_by = Labels::from([
            (LABEL_INSTALLATION.to_owned(), installation),
            (LABEL_PROCESS.to_owned(), process.id().to_owned()),
        ]);
        let engine = Arc::new(docker.clone());
        let pool = Pool::new(engine, remover.clone(), made_by.clone(), pool_size);
        let runner = Runner::new(docker.clone(), remover.clone(), pool.clone(), made_by);
        Ok(Self { docker, library, runner, remover, pool, process })
    }
}

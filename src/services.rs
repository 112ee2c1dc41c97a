//! Composition root: builds the parts of the program for a command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Settings;
use crate::domain::run_folder::RunFolders;
use crate::engine::docker::Docker;
use crate::engine::{EngineError, LABEL_INSTALLATION, LABEL_PROCESS, Labels};
use crate::images::{Library, LibrarySettings};
use crate::orchestrator::Runner;
use crate::pool::Pool;
use crate::process::Process;
use crate::sandbox::Remover;

/// Name of the volume with the package cache of an engine's environments.
const CACHE_VOLUME: &str = "gantry-cache";

/// Parts that a command may need.
pub struct Services {
    /// Engine client.
    pub docker: Docker,
    /// Library of images.
    pub library: Library,
    /// Runner of jobs.
    pub runner: Runner,
    /// Remover of containers; drain it before the process ends.
    pub remover: Remover,
    /// Pool of warm sandboxes; drain it before the remover.
    pub pool: Pool,
    /// Identity of this process.
    pub process: Process,
}

/// Reason that the parts can't be built.
#[derive(Debug, thiserror::Error)]
pub enum ServicesError {
    /// A setting is invalid.
    #[error("{0}")]
    Setting(String),
    /// The data folder can't be used.
    #[error("the data folder {folder} can't be used: {source}")]
    DataDir {
        /// Path of the folder.
        folder: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The engine can't be reached.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ServicesError {
    /// Advice for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Setting(_) => None,
            Self::DataDir { .. } => Some("choose another with GANTRY_DATA_DIR".to_owned()),
            Self::Engine(error) => error.hint().map(str::to_owned),
        }
    }
}

/// True if a folder, which may be still to be made, is below one of the roots, or one of them
/// is below it: scripts could mount what belongs to others.
fn is_below_any(folder: &Path, roots: &[PathBuf]) -> bool {
    let existing = folder.ancestors().find_map(|it| Some((it, it.canonicalize().ok()?)));
    let resolved = existing.map(|(above, resolved)| {
        folder.strip_prefix(above).map_or_else(|_| folder.to_owned(), |rest| resolved.join(rest))
    });
    let resolved = resolved.unwrap_or_else(|| folder.to_owned());
    roots.iter().any(|root| resolved.starts_with(root) || root.starts_with(&resolved))
}

impl Services {
    /// Builds the parts, without a pool. Does not contact the engine yet.
    ///
    /// # Errors
    /// [`ServicesError`] if a setting is invalid.
    pub fn new(settings: &Settings) -> Result<Self, ServicesError> {
        Self::with_pool(settings, 0)
    }

    /// Builds the parts with a pool of at most `pool_size` sandboxes, which stays closed
    /// until it is opened.
    ///
    /// # Errors
    /// [`ServicesError`] if a setting is invalid.
    pub fn with_pool(settings: &Settings, pool_size: usize) -> Result<Self, ServicesError> {
        let endpoint = settings.endpoint().map_err(ServicesError::Setting)?;
        let data_dir = settings.data_dir().map_err(ServicesError::Setting)?;
        let uids = settings.uids().map_err(ServicesError::Setting)?;
        let folder = data_dir.display().to_string();
        let unusable = |source| ServicesError::DataDir { folder: folder.clone(), source };
        let installation = crate::installation::id(&data_dir).map_err(unusable)?;
        let process = Process::register(&data_dir).map_err(unusable)?;
        let scratch = settings.scratch_dir(&data_dir);
        let is_mountable = is_below_any(&scratch, &settings.mount_roots());
        let mut docker = Docker::connect(endpoint, uids)?;
        let mut remover = Remover::new(Arc::new(docker.clone()));
        if is_mountable {
            let scratch = scratch.display();
            tracing::warn!(%scratch, "no script has scratch on disk: it is below a mount root");
        } else {
            let folders = RunFolders::new(scratch);
            docker = docker.with_run_folders(folders.clone());
            remover = Remover::new(Arc::new(docker.clone())).with_run_folders(folders);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_is_not_where_scripts_may_mount() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("mounts")).unwrap();
        std::os::unix::fs::symlink(root.join("mounts"), root.join("link")).unwrap();
        let roots = [root.join("mounts")];
        for (folder, expected) in [
            ("mounts", true),
            ("mounts/a/scratch", true),
            ("link/scratch", true),
            ("", true),
            ("mounts-beside", false),
            ("data/scratch", false),
        ] {
            assert_eq!(is_below_any(&root.join(folder), &roots), expected, "{folder}");
        }
        assert!(!is_below_any(&root, &[]));
    }
}

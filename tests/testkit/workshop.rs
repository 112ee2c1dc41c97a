//! The library of images, driven as a server drives it: no command builds
//! environments with system packages by itself.

use clap::Parser;
use gantry::config::Settings;
use gantry::domain::environment::EnvironmentSpec;
use gantry::images::{ImageError, Library, Prepared};
use gantry::sandbox::Cancel;
use gantry::services::Services;

use super::engine;
use super::home::{Home, ensure_images};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    settings: Settings,
}

/// An installation of its own. Dropped, its images are removed.
pub(crate) struct Workshop {
    services: Services,
    home: Home,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        ensure_images();
        let home = Home::new();
        let data_dir = format!("--data-dir={}", home.data_dir().display());
        let settings = Command::parse_from(["workshop", &data_dir]).settings;
        Self { services: Services::new(&settings).unwrap(), home }
    }

    pub(crate) fn library(&self) -> &Library {
        &self.services.library
    }

    pub(crate) async fn prepare(
        &self,
        spec: &EnvironmentSpec,
        known_lock: Option<&str>,
    ) -> Result<Prepared, ImageError> {
        let progress = |line: &str| println!("{line}");
        let cancel = Cancel::new();
        let prepared = self.library().prepare(spec, known_lock, &progress, &cancel).await;
        self.services.remover.drain().await;
        prepared
    }

    /// Forgets all images and locks of the environments that were built here.
    pub(crate) fn forget(&self) {
        engine::remove_images(self.home.installation());
        let _ = std::fs::remove_dir_all(self.home.data_dir().join("environments"));
    }

    /// What a command prints in an image.
    pub(crate) fn output_of(&self, image: &str, command: &[&str]) -> String {
        engine::output_of(self.home.installation(), image, command)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        engine::remove_containers(self.home.installation());
        engine::remove_images(self.home.installation());
    }
}

//! The library of images, driven as a server drives it: no command builds
//! environments with system packages by itself.

use clap::Parser;
use gantry::config::Settings;
use gantry::domain::environment::EnvironmentSpec;
use gantry::domain::job::Job;
use gantry::domain::limits::{Limits, Timeout};
use gantry::domain::sandbox_spec::Network;
use gantry::domain::script::Script;
use gantry::domain::script_type::python::preload::Preload;
use gantry::domain::variables::Variables;
use gantry::images::{ImageError, Library, Prepared};
use gantry::orchestrator::Capture;
use gantry::sandbox::Cancel;
use gantry::services::Services;

use super::engine;
use super::home::{Home, ensure_images};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    settings: Settings,
}

/// Output of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) message: Option<String>,
}

/// An installation of its own. Dropped, its images are removed.
pub(crate) struct ImageFixture {
    services: Services,
    home: Home,
}

impl ImageFixture {
    pub(crate) fn new() -> Self {
        ensure_images();
        let home = Home::new();
        let data_dir = format!("--data-dir={}", home.data_dir().display());
        let settings = Command::parse_from(["fixture", &data_dir]).settings;
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

    /// Runs a script in its environment, in a new sandbox.
    pub(crate) async fn run(&self, script: &Script, spec: &EnvironmentSpec) -> Ran {
        let image = self.prepare(spec, None).await.unwrap().image.id;
        let job = Job {
            execution_id: uuid::Uuid::now_v7().to_string(),
            script_id: None,
            script_name: script.file_name().to_owned(),
            job_id: None,
            script: script.clone(),
            environment: spec.clone(),
            working_directory: None,
            input: None,
            takes_files: false,
            args: Vec::new(),
            variables: Variables::default(),
            script_variables: Variables::default(),
            limits: Limits { memory_bytes: 1 << 30, ..Limits::default() },
            timeout: Timeout::default(),
            network: Network::None,
            mounts: Vec::new(),
            owner: None,
            oci_runtime: None,
            exec: true,
            preload: Preload::Off,
            output_file: None,
            inputs: Vec::new(),
            shared: Vec::new(),
        };
        let image = async { Ok(image) };
        let (report, error) = self
            .services
            .runner
            .run(&job, image, Capture::unfollowed(), None, &Cancel::new())
            .await;
        self.services.remover.drain().await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ran = Ran {
            stdout: text(report.log.stdout()),
            stderr: text(report.log.stderr()),
            message: error.map(|it| it.to_string()).or(report.outcome.error_message),
        };
        assert_eq!(ran.message, None, "{ran:?}");
        ran
    }

    /// Forgets all images and locks of the environments that were built here.
    pub(crate) fn forget(&self) {
        engine::remove_images(self.home.installation());
        let _ = std::fs::remove_dir_all(self.home.data_dir().join("environments"));
    }

    /// Output of a command in an image.
    pub(crate) fn output_of(&self, image: &str, command: &[&str]) -> String {
        engine::output_of(self.home.installation(), image, command)
    }
}

impl Drop for ImageFixture {
    fn drop(&mut self) {
        engine::remove_containers(self.home.installation());
        engine::remove_images(self.home.installation());
    }
}

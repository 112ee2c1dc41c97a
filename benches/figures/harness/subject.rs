//! Gantry's engine layer, without a server, and the images that all ways share.

use std::path::PathBuf;
use std::sync::Arc;

use gantry::domain::environment::EnvironmentSpec;
use gantry::domain::job::Job;
use gantry::domain::json_input::JsonInput;
use gantry::domain::limits::{Limits, Timeout};
use gantry::domain::outcome::Ending;
use gantry::domain::sandbox_spec::Network;
use gantry::domain::script::Script;
use gantry::domain::script_type::ScriptType;
use gantry::domain::script_type::python::preload::Preload;
use gantry::domain::script_type::python::requirements::{Requirements, RequirementsPolicy};
use gantry::domain::uid_range::UidRange;
use gantry::domain::variables::Variables;
use gantry::engine::docker::{Docker, Endpoint};
use gantry::engine::{LABEL_INSTALLATION, Labels, NewContainer};
use gantry::images::{BaseSource, InstallerSettings, Library, LibrarySettings};
use gantry::orchestrator::Capture;
use gantry::sandbox::{Cancel, LaunchRequest, Remover, Sandbox};

use super::workload::{INPUT, Workload};
use crate::Failure;

/// The volume of this benchmark's environments, so that a cold cache is one.
const CACHE_VOLUME: &str = "gantry-bench-cache";

pub(crate) struct Subject {
    pub(crate) docker: Docker,
    pub(crate) library: Library,
    pub(crate) shell_image: String,
    pub(crate) python_image: String,
    pub(crate) ca_bundle: Option<PathBuf>,
    remover: Remover,
    data_dir: tempfile::TempDir,
}

/// A workload, ready to be run in any way.
pub(crate) struct Task {
    pub(crate) workload: &'static Workload,
    /// The id of the image that it runs in.
    pub(crate) image: String,
    /// The tag of an image that was built for this benchmark alone.
    built_tag: Option<String>,
    job: Job,
}

impl Subject {
    pub(crate) async fn new() -> Result<Self, Failure> {
        let host = std::env::var("DOCKER_HOST").ok();
        let docker = Docker::connect(Endpoint::parse(host.as_deref(), None)?, UidRange::DEFAULT)?;
        let remover = Remover::new(Arc::new(docker.clone()));
        let data_dir = tempfile::tempdir()?;
        let bundle = std::env::var("SSL_CERT_FILE")
            .unwrap_or_else(|_| "/etc/ssl/certs/ca-certificates.crt".to_owned());
        let ca_bundle = Some(PathBuf::from(bundle)).filter(|bundle| bundle.exists());
        let library = Library::new(
            docker.clone(),
            remover.clone(),
            LibrarySettings {
                base: BaseSource::Registry("debian:trixie-slim".to_owned()),
                data_dir: data_dir.path().to_owned(),
                installation: "bench".to_owned(),
                process: "bench".to_owned(),
                cache_volume: CACHE_VOLUME.to_owned(),
                oci_runtime: None,
                installer: InstallerSettings { ca_bundle: ca_bundle.clone(), ..Default::default() },
            },
        );
        let cancel = Cancel::new();
        let shell = library.type_image(ScriptType::Shell, &|_| (), &cancel).await?;
        let python = library.type_image(ScriptType::Python, &|_| (), &cancel).await?;
        Ok(Self {
            docker,
            library,
            remover,
            shell_image: shell.id,
            python_image: python.id,
            ca_bundle,
            data_dir,
        })
    }

    /// Makes what a workload runs in.
    pub(crate) async fn task(&self, workload: &'static Workload) -> Result<Task, Failure> {
        let (image, built_tag) = match workload.requirements {
            Some(requirements) => {
                let requirements =
                    Requirements::parse(requirements, RequirementsPolicy::default())?;
                let cancel = Cancel::new();
                let found = self.library.environment(&requirements, &|_| (), &cancel).await?;
                let tag = found.image.tags.first().cloned().filter(|_| found.built);
                (found.image.id, tag)
            }
            None if workload.script_type == ScriptType::Python => (self.python_image.clone(), None),
            None => (self.shell_image.clone(), None),
        };
        Ok(Task { workload, image, built_tag, job: job(workload)? })
    }

    /// Removes what was made for a workload.
    pub(crate) async fn forget(&self, task: Task) -> Result<(), Failure> {
        self.settle().await;
        match task.built_tag {
            Some(tag) => Ok(self.docker.remove_image(&tag).await?),
            None => Ok(()),
        }
    }

    /// One execution, from the call to the complete result.
    pub(crate) async fn execute(&self, task: &Task) -> Result<(), Failure> {
        self.run(self.start(task).await?, task).await
    }

    /// A sandbox that waits for a request.
    pub(crate) async fn start(&self, task: &Task) -> Result<Sandbox, Failure> {
        let container = NewContainer {
            name: format!("gantry-bench-{}", uuid::Uuid::now_v7()),
            spec: task.job.sandbox_spec(task.image.clone()),
            labels: Labels::from([(LABEL_INSTALLATION.to_owned(), "bench".to_owned())]),
        };
        let engine = Arc::new(self.docker.clone());
        Ok(Sandbox::start(engine, &self.remover, &container).await?)
    }

    /// One that has ready what one in a pool has.
    pub(crate) async fn prepare(&self, task: &Task) -> Result<Sandbox, Failure> {
        Ok(self.start(task).await?.prepare(&task.job.preparation()).await?)
    }

    /// One execution in a sandbox that waits, until the result is complete.
    pub(crate) async fn run(&self, sandbox: Sandbox, task: &Task) -> Result<(), Failure> {
        let job = &task.job;
        let request = job.request();
        let launch =
            LaunchRequest { head: &request, script: job.script.bytes(), stdin: job.stdin() };
        let mut capture = Capture::unfollowed();
        let cancel = Cancel::new();
        let loaded = sandbox.load(&launch, &cancel).await?;
        match loaded.run_to_end(&mut capture, &cancel).await? {
            Ending::Reported(_) if capture.has_printed(INPUT.as_bytes()) => Ok(()),
            other => Err(format!("unexpected end: {other:?}").into()),
        }
    }

    /// Waits until all containers are removed.
    pub(crate) async fn settle(&self) {
        self.remover.drain().await;
    }

    /// Forgets all wheels.
    pub(crate) async fn forget_cache(&self) -> Result<(), Failure> {
        self.settle().await;
        Ok(self.docker.remove_volume(CACHE_VOLUME).await?)
    }

    /// Forgets what requirements were resolved to, so that each build resolves.
    pub(crate) fn forget_locks(&self) -> Result<(), Failure> {
        match std::fs::remove_dir_all(self.data_dir.path().join("environments")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn clean_up(&self) -> Result<(), Failure> {
        self.forget_cache().await?;
        std::fs::remove_dir_all(self.data_dir.path())?;
        Ok(())
    }

    /// The machine, in a line.
    pub(crate) async fn machine(&self) -> Result<String, Failure> {
        let engine = self.docker.describe().await?;
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(format!(
            "Docker Engine {}, runc {}, {}, cgroup v{}, {} CPUs ({}), kernel {}",
            engine.version,
            engine.runc_version.unwrap_or_default(),
            engine.storage_driver,
            engine.cgroup_version,
            engine.cpus,
            engine.architecture,
            kernel.trim().split('-').next().unwrap_or_default(),
        ))
    }
}

fn job(workload: &Workload) -> Result<Job, Failure> {
    let (name, script_type) = (workload.name, workload.script_type);
    let parse = |text| Requirements::parse(text, RequirementsPolicy::default());
    Ok(Job {
        execution_id: "bench".to_owned(),
        script_id: None,
        script_name: name.to_owned(),
        job_id: None,
        script: Script::new(name, Some(script_type), workload.source)?,
        environment: EnvironmentSpec {
            requirements: workload.requirements.map(parse).transpose()?,
            ..EnvironmentSpec::plain(script_type)
        },
        working_directory: None,
        input: Some(JsonInput::parse(INPUT.into())?),
        takes_files: false,
        args: Vec::new(),
        variables: Variables::default(),
        script_variables: Variables::default(),
        preload: Preload::Automatic,
        limits: Limits::default(),
        timeout: Timeout::default(),
        network: Network::None,
        mounts: Vec::new(),
        owner: None,
        oci_runtime: None,
        exec: true,
        output_file: None,
        inputs: Vec::new(),
        shared: Vec::new(),
    })
}

//! What the registry has to know of this node and its engine.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::domain::elf::Architecture;
use crate::domain::requirements::RequirementsPolicy;
use crate::domain::runtime::Runtime;
use crate::engine::EngineError;
use crate::engine::docker::Docker;
use crate::images::Library;

/// What is told that an environment is wanted, by its key.
pub type EnvironmentRequests = Arc<dyn Fn(&str) + Send + Sync>;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send>>;

/// What the operator allows.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Folders that scripts may be read from; none if empty.
    pub script_roots: Vec<PathBuf>,
    /// Folders that scripts may be given; none if empty. With their links
    /// resolved.
    pub mount_roots: Vec<PathBuf>,
    /// What requirements may be.
    pub requirements: RequirementsPolicy,
    /// What one execution may have at most.
    pub host_limits: HostLimits,
    /// Whether the engine sees the files that this process sees.
    pub is_engine_local: bool,
}

/// What one execution may have at most: no script could be started that asks for
/// more than the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// CPU time per time, in billionths of a CPU.
    pub nano_cpus: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// What the engine says about itself, asked for when it is needed.
#[derive(Clone)]
pub struct EngineFacts {
    architecture: Arc<dyn Fn() -> Answer<String> + Send + Sync>,
    oci_runtimes: Arc<dyn Fn() -> Answer<Vec<String>> + Send + Sync>,
    runtime_tag: Arc<dyn Fn(Runtime) -> String + Send + Sync>,
    known: Arc<OnceCell<String>>,
}

impl EngineFacts {
    /// The facts of an engine and its images.
    #[must_use]
    pub fn new(docker: Docker, library: Library) -> Self {
        let asked = docker.clone();
        Self {
            architecture: Arc::new(move || {
                let docker = docker.clone();
                Box::pin(async move { Ok(docker.describe().await?.architecture) })
            }),
            oci_runtimes: Arc::new(move || {
                let docker = asked.clone();
                Box::pin(async move { Ok(docker.describe().await?.oci_runtimes) })
            }),
            runtime_tag: Arc::new(move |runtime| library.runtime_tag(runtime)),
            known: Arc::default(),
        }
    }

    /// Facts that nobody has to be asked for, of an engine that has `runc` alone.
    #[must_use]
    pub fn fixed(architecture: Architecture, runtime_tag: fn(Runtime) -> String) -> Self {
        let architecture = move || -> Answer<String> {
            Box::pin(std::future::ready(Ok(architecture.name().to_owned())))
        };
        Self {
            architecture: Arc::new(architecture),
            oci_runtimes: Arc::new(|| Box::pin(std::future::ready(Ok(vec!["runc".to_owned()])))),
            runtime_tag: Arc::new(runtime_tag),
            known: Arc::default(),
        }
    }

    /// What the engine's machine executes, in its words. It is asked until it has
    /// answered once.
    pub(super) async fn architecture(&self) -> Result<&str, EngineError> {
        self.known.get_or_try_init(|| (self.architecture)()).await.map(String::as_str)
    }

    /// The OCI runtimes that the engine knows. It is asked each time: its operator
    /// may have added one.
    pub(super) async fn oci_runtimes(&self) -> Result<Vec<String>, EngineError> {
        (self.oci_runtimes)().await
    }

    /// The tag of a runtime's image.
    pub(super) fn runtime_tag(&self, runtime: Runtime) -> String {
        (self.runtime_tag)(runtime)
    }
}

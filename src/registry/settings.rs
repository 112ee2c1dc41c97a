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

type Answer = Pin<Box<dyn Future<Output = Result<String, EngineError>> + Send>>;

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
    pub maxima: Maxima,
    /// Whether the engine sees the files that this process sees.
    pub is_engine_local: bool,
}

/// What one execution may have at most: no script could be started that asks for
/// more than the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maxima {
    /// CPU time per time, in billionths of a CPU.
    pub nano_cpus: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// What the engine says about itself, asked for when it is needed.
#[derive(Clone)]
pub struct EngineFacts {
    architecture: Arc<dyn Fn() -> Answer + Send + Sync>,
    runtime_tag: Arc<dyn Fn(Runtime) -> String + Send + Sync>,
    known: Arc<OnceCell<String>>,
}

impl EngineFacts {
    /// The facts of an engine and its images.
    #[must_use]
    pub fn new(docker: Docker, library: Library) -> Self {
        Self {
            architecture: Arc::new(move || {
                let docker = docker.clone();
                Box::pin(async move { Ok(docker.describe().await?.architecture) })
            }),
            runtime_tag: Arc::new(move |runtime| library.runtime_tag(runtime)),
            known: Arc::default(),
        }
    }

    /// Facts that nobody has to be asked for.
    #[must_use]
    pub fn fixed(architecture: Architecture, runtime_tag: fn(Runtime) -> String) -> Self {
        let architecture =
            move || -> Answer { Box::pin(std::future::ready(Ok(architecture.name().to_owned()))) };
        Self {
            architecture: Arc::new(architecture),
            runtime_tag: Arc::new(runtime_tag),
            known: Arc::default(),
        }
    }

    /// What the engine's machine executes, in its words. It is asked until it has
    /// answered once.
    pub(super) async fn architecture(&self) -> Result<&str, EngineError> {
        self.known.get_or_try_init(|| (self.architecture)()).await.map(String::as_str)
    }

    /// The tag of a runtime's image.
    pub(super) fn runtime_tag(&self, runtime: Runtime) -> String {
        (self.runtime_tag)(runtime)
    }
}

//! Facts and settings of the node and its engine.

use std::future::Future;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::bundles::Shelf;
use crate::domain::elf::Architecture;
use crate::domain::script_type::ScriptType;
use crate::domain::script_type::python::requirements::RequirementsPolicy;
use crate::domain::user::User;
use crate::engine::EngineError;
use crate::engine::docker::Docker;
use crate::images::Library;

/// Callback that requests an environment by its key.
pub type EnvironmentRequests = Arc<dyn Fn(&str) + Send + Sync>;

/// Callback that wakes what works with a script after a stored change. It takes the script's id and
/// the number of its executions that may run at once.
pub type ScriptChanges = Arc<dyn Fn(i64, Option<NonZeroU32>) + Send + Sync>;

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send>>;

/// Settings of the operator.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Folders that scripts may be read from; none if empty.
    pub script_roots: Vec<PathBuf>,
    /// Folders that scripts may mount, with their links resolved; none if empty.
    pub mount_roots: Vec<PathBuf>,
    /// Users that scripts may run as, beside those of sandboxes.
    pub owners: Vec<User>,
    /// Policy for requirements.
    pub requirements: RequirementsPolicy,
    /// Most resources of one execution.
    pub host_limits: HostLimits,
    /// True if the engine sees the same files as this process.
    pub is_engine_local: bool,
    /// Keeper of bundles.
    pub bundles: Shelf,
}

/// Most resources of one execution: a script that needs more than the machine has could never
/// start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// CPU limit in nano CPUs.
    pub nano_cpus: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// Facts about the engine, requested on demand.
#[derive(Clone)]
pub struct EngineFacts {
    architecture: Arc<dyn Fn() -> Answer<String> + Send + Sync>,
    oci_runtimes: Arc<dyn Fn() -> Answer<Vec<String>> + Send + Sync>,
    type_tag: Arc<dyn Fn(ScriptType) -> String + Send + Sync>,
    known: Arc<OnceCell<String>>,
}

impl EngineFacts {
    /// Creates the facts of an engine and its images.
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
            type_tag: Arc::new(move |script_type| library.type_tag(script_type)),
            known: Arc::default(),
        }
    }

    /// Creates fixed facts of an engine with `runc` alone.
    #[must_use]
    pub fn fixed(architecture: Architecture, type_tag: fn(ScriptType) -> String) -> Self {
        let architecture = move || -> Answer<String> {
            Box::pin(std::future::ready(Ok(architecture.name().to_owned())))
        };
        Self {
            architecture: Arc::new(architecture),
            oci_runtimes: Arc::new(|| Box::pin(std::future::ready(Ok(vec!["runc".to_owned()])))),
            type_tag: Arc::new(type_tag),
            known: Arc::default(),
        }
    }

    /// Architecture of the engine's machine, in the engine's words. Cached after the first answer.
    pub(super) async fn architecture(&self) -> Result<&str, EngineError> {
        self.known.get_or_try_init(|| (self.architecture)()).await.map(String::as_str)
    }

    /// OCI runtimes of the engine. Not cached: the operator may add one.
    pub(super) async fn oci_runtimes(&self) -> Result<Vec<String>, EngineError> {
        (self.oci_runtimes)().await
    }

    /// Tag of a script type's image.
    pub(super) fn type_tag(&self, script_type: ScriptType) -> String {
        (self.type_tag)(script_type)
    }
}

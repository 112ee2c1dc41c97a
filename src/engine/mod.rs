//! The container engine behind one narrow boundary. Nothing else in Gantry
//! knows bollard, and nothing here knows what a script is.
//!
//! [`Engine`] is the lifecycle of containers and has two implementations: the
//! real one ([`docker::Docker`]) and a scriptable fake for tests of what engines
//! do on bad days. Images, networks and volumes have only the real one.
//!
//! # The lifecycle contract
//! - Containers are named by the caller, so that one can be removed even when
//!   the answer to its creation was lost.
//! - The order is create, attach, start, (read and write), remove. Attaching
//!   before the start loses no output. A container is started once: `start` is
//!   never repeated, not even after an error, because the engine would run an
//!   exited container again.
//! - The attached output must be drained to its end; an engine drops what is
//!   left two seconds after the exit.
//! - The end of the attached output is not the container's exit: ask with
//!   [`Engine::wait`] or [`Engine::inspect`]. Neither is that of the replayed one:
//!   only a replay that began after the exit is known to be whole.
//! - [`Engine::remove`] is always safe to call: on a container that runs, that
//!   never started, that is being removed, or that never was.
//! - Every call ends within its own deadline ([`deadline`]), with
//!   [`EngineError::TimedOut`] then. After a timeout nothing is known.

#[cfg(test)]
pub(crate) mod contract;
pub mod deadline;
pub mod docker;
mod error;
#[cfg(test)]
pub(crate) mod fake;

use std::collections::BTreeMap;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::io::AsyncWrite;

pub use error::{EngineError, Verb};

use crate::domain::confinement::Confinement;
use crate::domain::sandbox_spec::SandboxSpec;

/// Label on everything that Gantry makes; its value is the installation's id,
/// so that one installation never touches what another has made.
pub const LABEL_INSTALLATION: &str = "gantry.installation";

/// Label that says what a container or an image is for.
pub const LABEL_ROLE: &str = "gantry.role";

/// Label with the id of the execution that a container is for.
pub const LABEL_EXECUTION: &str = "gantry.execution";

/// Label on a container with the id of the process that made it and removes it.
pub const LABEL_PROCESS: &str = "gantry.process";

/// Label on a container with the id of its user, where it has one of its own.
pub const LABEL_UID: &str = "gantry.uid";

/// Names and values on a container or an image.
pub type Labels = BTreeMap<String, String>;

/// A container that is to be created.
#[derive(Debug, Clone)]
pub struct NewContainer {
    /// Unique on the engine.
    pub name: String,
    /// How it is created.
    pub spec: SandboxSpec,
    /// What it is found by.
    pub labels: Labels,
}

/// A piece of what a container printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputChunk {
    /// From PID 1's stdout.
    Stdout(Bytes),
    /// From PID 1's stderr.
    Stderr(Bytes),
}

/// What a container prints, in order.
pub type OutputStream = BoxStream<'static, Result<OutputChunk, EngineError>>;

/// Both directions of an attached container.
pub struct Attached {
    /// PID 1's stdin; `shutdown` ends it, dropping does not.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What PID 1 prints, in order, until all of it has been read.
    pub output: OutputStream,
}

/// What the engine knows of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// It has been started and has not ended.
    pub running: bool,
    /// How PID 1 ended; `None` before it has.
    pub exit_code: Option<i64>,
    /// The kernel killed something in it for want of memory.
    pub out_of_memory: bool,
    /// What the engine says about a start that failed; empty if none did.
    pub error: String,
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedContainer {
    /// The name that it was created with.
    pub name: String,
    /// It is running.
    pub running: bool,
    /// Its labels.
    pub labels: Labels,
    /// When it was created, in seconds since 1970.
    pub created: i64,
}

/// The lifecycle of containers; see the [module](self) for the contract.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Creates a container and starts nothing.
    async fn create(&self, container: &NewContainer) -> Result<(), EngineError>;

    /// Connects to a container's stdio; it may not have been started yet.
    async fn attach(&self, name: &str) -> Result<Attached, EngineError>;

    /// Starts a created container; once.
    async fn start(&self, name: &str) -> Result<(), EngineError>;

    /// Waits until a started container has ended, at most
    /// [`deadline::WAIT`], and answers with its exit code.
    async fn wait(&self, name: &str) -> Result<i64, EngineError>;

    /// What the engine knows of a container.
    async fn inspect(&self, name: &str) -> Result<ContainerState, EngineError>;

    /// All that a started container has printed, from the first byte, and all that
    /// it prints until it ends, as the engine has kept it. A line feed may stand
    /// behind the last byte. Only what was made for an execution is kept.
    async fn replay(&self, name: &str) -> Result<OutputStream, EngineError>;

    /// Sends TERM to PID 1. Fine when it has ended already.
    async fn terminate(&self, name: &str) -> Result<(), EngineError>;

    /// Confinement that a container with this spec should have, if it was created here.
    fn requested_confinement(&self, name: &str, spec: &SandboxSpec) -> Confinement;

    /// How a container is confined, as the engine sees it.
    async fn confinement(&self, name: &str) -> Result<Confinement, EngineError>;

    /// Sends KILL to PID 1. Fine when it has ended already.
    async fn kill(&self, name: &str) -> Result<(), EngineError>;

    /// Removes a container, running or not. Fine when there is none.
    async fn remove(&self, name: &str) -> Result<(), EngineError>;

    /// All containers with these labels, running or not.
    async fn list(&self, labels: &Labels) -> Result<Vec<ListedContainer>, EngineError>;
}

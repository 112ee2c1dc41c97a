//! The container engine behind one narrow interface. No other module uses bollard, and
//! this module knows nothing of scripts.
//!
//! [`Engine`] is the lifecycle of containers. It has two implementations: the real one
//! ([`docker::Docker`]) and a scriptable fake for tests of engine failures. Images,
//! networks and volumes exist only in the real one.
//!
//! # The lifecycle contract
//! - The caller names containers, so that it can remove one even when the answer
//!   to its creation was lost.
//! - The order is create, attach, start, (read and write), remove. Attaching
//!   before the start loses no output. A container is started once: `start` is
//!   never repeated, not even after an error, because the engine would run an
//!   exited container again.
//! - The attached output must be drained to its end; an engine drops what is
//!   left two seconds after the exit.
//! - The end of the attached output does not prove that the container has exited;
//!   [`Engine::wait`] or [`Engine::inspect`] do. A replayed output is known to be
//!   complete only if the replay began after the exit.
//! - [`Engine::remove`] is always safe to call: on a container that runs, was never
//!   started, is being removed, or does not exist.
//! - Every call ends within its own deadline ([`deadline`]), at the latest with
//!   [`EngineError::TimedOut`]. After a timeout its effect is unknown.

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

/// Label on everything that Gantry creates. Its value is the installation's id, so that
/// one installation never touches another's containers.
pub const LABEL_INSTALLATION: &str = "gantry.installation";

/// Label with the purpose of a container or an image.
pub const LABEL_ROLE: &str = "gantry.role";

/// Label with the id of the execution that a container runs.
pub const LABEL_EXECUTION: &str = "gantry.execution";

/// Label with the id of the process that created a container and removes it.
pub const LABEL_PROCESS: &str = "gantry.process";

/// Label with the user id of a container, if no other container has the same.
pub const LABEL_UID: &str = "gantry.uid";

/// Names and values of labels on a container or an image.
pub type Labels = BTreeMap<String, String>;

/// Settings of a container to be created.
#[derive(Debug, Clone)]
pub struct NewContainer {
    /// Name, unique on the engine.
    pub name: String,
    /// Sandbox settings.
    pub spec: SandboxSpec,
    /// Labels by which it is found.
    pub labels: Labels,
}

/// Bytes that a container printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputChunk {
    /// From PID 1's stdout.
    Stdout(Bytes),
    /// From PID 1's stderr.
    Stderr(Bytes),
}

/// Output of a container, in order.
pub type OutputStream = BoxStream<'static, Result<OutputChunk, EngineError>>;

/// Both directions of an attached container.
pub struct Attached {
    /// PID 1's stdin. Only `shutdown` ends it; dropping it does not.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// PID 1's output, in order, until all of it has been read.
    pub output: OutputStream,
}

/// State of a container as the engine reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// True if it was started and has not exited.
    pub running: bool,
    /// Exit code of PID 1; `None` before it has exited.
    pub exit_code: Option<i64>,
    /// True if the kernel killed a process in it for lack of memory.
    pub out_of_memory: bool,
    /// Engine's error of a failed start; empty if there is none.
    pub error: String,
    /// Installation that created it ([`LABEL_INSTALLATION`]); `None` if none did.
    pub installation: Option<String>,
}

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedContainer {
    /// Name of the container.
    pub name: String,
    /// True if it is running.
    pub running: bool,
    /// Its labels.
    pub labels: Labels,
    /// Time of creation, in seconds since 1970.
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

    /// Waits until a started container has exited, for at most [`deadline::WAIT`], and
    /// returns its exit code.
    async fn wait(&self, name: &str) -> Result<i64, EngineError>;

    /// Reads the state of a container.
    async fn inspect(&self, name: &str) -> Result<ContainerState, EngineError>;

    /// Reads a started container's output from the engine's log: from the first byte
    /// until the container exits. A line feed may follow the last byte. The engine keeps
    /// the log of containers for executions only.
    async fn replay(&self, name: &str) -> Result<OutputStream, EngineError>;

    /// Sends TERM to PID 1. Succeeds if it has exited already.
    async fn terminate(&self, name: &str) -> Result<(), EngineError>;

    /// Confinement that the engine was asked for when this process created the container.
    fn requested_confinement(&self, name: &str, spec: &SandboxSpec) -> Confinement;

    /// Reads a container's confinement as the engine reports it.
    async fn confinement(&self, name: &str) -> Result<Confinement, EngineError>;

    /// Sends KILL to PID 1. Succeeds if it has exited already.
    async fn kill(&self, name: &str) -> Result<(), EngineError>;

    /// Removes a container, running or not. Succeeds if there is none.
    async fn remove(&self, name: &str) -> Result<(), EngineError>;

    /// Lists all containers with these labels, running or not.
    async fn list(&self, labels: &Labels) -> Result<Vec<ListedContainer>, EngineError>;
}

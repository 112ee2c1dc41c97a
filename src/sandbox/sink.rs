//! Terms between a run and its caller: the signals and the sink that it is given, and the result
//! that it gives back.

use std::io;
use std::sync::Arc;

use gantry_init::message::{ArtifactBegin, LeftFile};
use tokio_util::sync::CancellationToken;

use super::SandboxError;
use super::remover::OwnedContainer;
use crate::domain::outcome::Ending;
use crate::domain::run_folder::RunFolders;
use crate::engine::Engine;

/// Cancels an execution.
pub type Cancel = CancellationToken;

/// Signals to a running script.
#[derive(Debug, Clone, Copy)]
pub struct RunSignals<'a> {
    /// Stops the script.
    pub cancel: &'a Cancel,
    /// Stops following the script, which runs on for the next process to adopt.
    pub detach: &'a Cancel,
}

/// Result of a script's run.
pub struct RunResult {
    /// Ending of the script; `None` when it was detached and runs on.
    ///
    /// A [`SandboxError`] is the sandbox's failure, not the script's. If it is the
    /// engine's error or [`SandboxError::NotReady`], nothing of the script has run.
    pub ending: Result<Option<Ending>, SandboxError>,
    /// Container of the script.
    pub container: ContainerGuard,
}

/// Container of an ended script, removed when this is dropped. Until then all output can
/// be read from it again, so it is kept until that is stored. For a detached script it
/// does nothing.
pub struct ContainerGuard {
    container: OwnedContainer,
}

impl ContainerGuard {
    pub(super) fn new(container: OwnedContainer) -> Self {
        Self { container }
    }

    pub(super) fn name(&self) -> &str {
        &self.container.name
    }

    pub(super) fn engine(&self) -> Arc<dyn Engine> {
        self.container.engine()
    }

    pub(super) fn folders(&self) -> Option<&RunFolders> {
        self.container.folders()
    }

    /// Leaves the container to the next process, which reads all output again.
    pub fn detach(mut self) {
        self.container.detach();
    }
}

/// Receiver of a script's output. Its methods must not block: meanwhile nothing is read
/// from the container.
pub trait Sink: Send {
    /// The script's process exists.
    fn started(&mut self) {}

    /// Bytes of stdout.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Bytes of stderr.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Bytes of the declared output file.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn output_file(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// An artifact begins. Its name is a relative path without `..`.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn artifact_begin(&mut self, artifact: &ArtifactBegin) -> io::Result<()>;

    /// Bytes of the current artifact.
    ///
    /// # Errors
    /// The error of storing it; the execution ends then.
    fn artifact_data(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// A file was left on disk. Its name is a relative path without `..`.
    fn left_file(&mut self, _file: LeftFile) {}

    /// Bytes that the script has on disk now.
    fn disk_use(&mut self, _bytes: u64) {}
}

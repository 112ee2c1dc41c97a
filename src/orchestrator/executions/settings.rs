//! Settings of the service, and the services below it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::DiskReserve;
use crate::domain::script_type::python::requirements::RequirementsPolicy;
use crate::domain::user::User;
use crate::files::Files;
use crate::orchestrator::environments::Environments;
use crate::orchestrator::observer::Observer;
use crate::orchestrator::queue::Capacity;
use crate::orchestrator::runner::Runner;
use crate::shares::Shares;
use crate::store::Store;

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct ExecutionsSettings {
    /// This machine's name among those that share a database.
    pub node: String,
    /// Capacity of this machine for executions.
    pub capacity: Capacity,
    /// Space of the disk that scratch leaves free.
    pub disk_reserve: DiskReserve,
    /// Executions that may wait.
    pub queue_limit: usize,
    /// Folder of artifacts, and of files of unfinished executions.
    pub data_dir: PathBuf,
    /// The OCI runtime of sandboxes, when it is not the engine's default.
    pub oci_runtime: Option<String>,
    /// Rules for requirements.
    pub policy: RequirementsPolicy,
    /// The folders that mounts may come from, links resolved.
    pub mount_roots: Vec<PathBuf>,
    /// Users that scripts may run as, beside those of sandboxes.
    pub owners: Vec<User>,
    /// Shares of the host that executions may read.
    pub shares: Shares,
    /// Time that executions are kept after their end; `None` is for ever.
    pub retention: Option<Duration>,
}

/// The services below this one.
pub struct ExecutionsParts {
    /// The database.
    pub store: Store,
    /// The files that executions take and leave.
    pub files: Files,
    /// Runs jobs.
    pub runner: Runner,
    /// The images.
    pub environments: Environments,
    /// Hears of what happens.
    pub observer: Arc<dyn Observer>,
}

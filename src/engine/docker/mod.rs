//! Docker Engine 20.10 to 29, over bollard. Workarounds for the engine's behaviour are
//! explained where they are applied.

mod confinement;
mod connect;
mod containers;
mod describe;
mod error;
mod hardening;
mod images;
mod layers;
mod resources;
mod users;

#[cfg(test)]
mod wedge_tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::run_folder::RunFolders;

pub use confinement::requested_confinement;
pub use connect::Endpoint;
pub use describe::Description;
pub use images::{Image, ImageBuild, Progress};
pub use layers::NewLayer;

use users::Users;

/// Largest number of concurrent creates and starts. Four starts saturate a two-core
/// machine; more only add latency, and many concurrent starts wedge old engines.
const STARTS_IN_FLIGHT: usize = 4;

/// A connection to a Docker Engine. Cheap to clone.
#[derive(Clone)]
pub struct Docker {
    client: bollard::Docker,
    endpoint: Arc<Endpoint>,
    starts: Arc<Semaphore>,
    start_within: Duration,
    users: Arc<Users>,
    /// Folders of containers that need one.
    folders: Option<Arc<RunFolders>>,
}

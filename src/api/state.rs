//! What handlers stand on.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::admission::Admission;
use super::checks::LastChecks;
use super::memory::Memory;
use super::streams::Streams;
use crate::access::Access;
use crate::doctor::Examiner;
use crate::engine::EngineError;
use crate::log_throttle::LogThrottle;
use crate::metrics::Metrics;
use crate::orchestrator::{Environments, Executions};
use crate::registry::Registry;
use crate::sandbox::Cancel;
use crate::store::Store;

/// Asks the engine for a sign of life; it ends within the engine's own deadline.
pub type EngineProbe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), EngineError>> + Send + Sync>;

/// What the API is put together from.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Who may come in.
    pub access: Access,
    /// Scripts.
    pub registry: Registry,
    /// Executions.
    pub executions: Executions,
    /// Environments.
    pub environments: Environments,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What looks at all that the server stands on.
    pub examiner: Examiner,
    /// A sign of life of the engine.
    pub engine: EngineProbe,
    /// The folder whose disk must have room.
    pub data_dir: PathBuf,
    /// Connections at once, at most.
    pub connections: usize,
    /// Cancelled when the server is about to end: nothing waits any more, and
    /// streams end.
    pub stopping: Cancel,
}

/// What handlers stand on; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    checks: LastChecks,
    outages: LogThrottle,
    admission: Admission,
    streams: Streams,
    memory: Memory,
}

impl AppState {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let checks = LastChecks::default();
        let (streams, memory) = (Streams::default(), Memory::default());
        let outages = LogThrottle::default();
        let admission = Admission::new(parts.connections);
        Self(Arc::new(Inner { parts, checks, outages, admission, streams, memory }))
    }

    /// The last results of the health checks.
    pub(super) fn checks(&self) -> &LastChecks {
        &self.0.checks
    }

    /// What is said while the database is out.
    pub(crate) fn outages(&self) -> &LogThrottle {
        &self.0.outages
    }

    /// Requests that are under way.
    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// Requests that take as long as an execution does.
    pub(crate) fn streams(&self) -> &Streams {
        &self.0.streams
    }

    /// Room for what is large.
    pub(crate) fn memory(&self) -> &Memory {
        &self.0.memory
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

//! Shared state of the handlers.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::admission::Admission;
use super::attempts::Attempts;
use super::checks::LastChecks;
use super::memory::BodyBudget;
use super::streams::Streams;
use crate::access::Access;
use crate::doctor::Examiner;
use crate::engine::EngineError;
use crate::files::Files;
use crate::log_throttle::LogThrottle;
use crate::metrics::Metrics;
use crate::orchestrator::{Environments, Executions};
use crate::registry::Registry;
use crate::sandbox::Cancel;
use crate::shares::Shares;
use crate::store::Store;

/// Pings the engine; ends within the engine's own deadline.
pub type EngineProbe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), EngineError>> + Send + Sync>;

/// Parts of the API.
pub struct Parts {
    /// Database.
    pub store: Store,
    /// Authentication of tokens.
    pub access: Access,
    /// Scripts.
    pub registry: Registry,
    /// Executions.
    pub executions: Executions,
    /// Environments.
    pub environments: Environments,
    /// Files by their content.
    pub files: Files,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Examiner of all dependencies.
    pub examiner: Examiner,
    /// Ping of the engine.
    pub engine: EngineProbe,
    /// Shares of the host that executions read.
    pub shares: Shares,
    /// Folder whose disk needs free space.
    pub data_dir: PathBuf,
    /// Most connections at once.
    pub connections: usize,
    /// Cancelled on shutdown: waits and streams end.
    pub stopping: Cancel,
}

/// Shared state of the handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: Parts,
    checks: LastChecks,
    outages: LogThrottle,
    admission: Admission,
    attempts: Attempts,
    streams: Streams,
    memory: BodyBudget,
}

impl AppState {
    /// Creates the state.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let checks = LastChecks::default();
        let (streams, memory) = (Streams::default(), BodyBudget::default());
        let outages = LogThrottle::default();
        let admission = Admission::new(parts.connections);
        let attempts = Attempts::default();
        Self(Arc::new(Inner { parts, checks, outages, admission, attempts, streams, memory }))
    }

    /// Last results of the health checks.
    pub(crate) fn checks(&self) -> &LastChecks {
        &self.0.checks
    }

    /// Throttle of the log lines about database outages.
    pub(crate) fn outages(&self) -> &LogThrottle {
        &self.0.outages
    }

    /// Requests in progress.
    pub(crate) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// Attempts with tokens that are not valid.
    pub(crate) fn attempts(&self) -> &Attempts {
        &self.0.attempts
    }

    /// Requests that last as long as an execution.
    pub(crate) fn streams(&self) -> &Streams {
        &self.0.streams
    }

    /// Memory permits for large data.
    pub(crate) fn memory(&self) -> &BodyBudget {
        &self.0.memory
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

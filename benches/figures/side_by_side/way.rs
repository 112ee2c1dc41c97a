//! The ways in which a script is run.

use gantry::domain::script_type::ScriptType;

use crate::harness::workload::Workload;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A request that waits for its answer, and a pool.
    Warm,
    /// The same, and what the script imports is not imported before.
    NotPreloaded,
    /// The same without a pool.
    Cold,
    /// A sandbox that waits, without a server.
    WarmEngine,
    /// A sandbox that is started, without a server.
    ColdEngine,
    /// The engine's API, without Gantry.
    Floor,
    DockerRun,
    /// No sandbox.
    ForkExec,
}

use Way::{Cold, ColdEngine, DockerRun, Floor, ForkExec, NotPreloaded, Warm, WarmEngine};

/// All of them, in the order of tables.
pub(crate) const WAYS: [Way; 8] =
    [Warm, NotPreloaded, Cold, WarmEngine, ColdEngine, Floor, DockerRun, ForkExec];

impl Way {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Warm => "Gantry, HTTP, warm",
            NotPreloaded => "Gantry, HTTP, warm, not preloaded",
            Cold => "Gantry, HTTP, cold",
            WarmEngine => "Gantry, engine layer, warm",
            ColdEngine => "Gantry, engine layer, cold",
            Floor => "engine API alone",
            DockerRun => "hardened docker run",
            ForkExec => "fork and exec, no sandbox",
        }
    }

    /// Starts a container each time, and says when it has.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Cold | WarmEngine | ColdEngine | Floor | DockerRun)
    }

    /// Takes sandboxes of a pool.
    pub(crate) fn has_pool(self) -> bool {
        matches!(self, Warm | NotPreloaded)
    }

    /// Whether there is such a way for a workload.
    pub(crate) fn is_known(self, workload: &Workload) -> bool {
        self != NotPreloaded || workload.script_type == ScriptType::Python
    }
}

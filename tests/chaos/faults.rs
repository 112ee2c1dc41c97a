//! What can break, and what an execution may become for it: the one place that
//! says so.

use std::time::Instant;

use crate::support::private_engine::LiveRestore;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// kill -9 of the server, and the next one.
    ServerKilled,
    /// TERM to the server, and the next one.
    ServerStopped,
    /// The server stands still for some seconds.
    ServerPaused,
    /// kill -9 of dockerd, and the next one.
    DockerdKilled,
    /// TERM to dockerd, and the next one.
    DockerdRestarted,
    /// dockerd stands still: nobody is answered.
    DockerdPaused,
    /// containerd stands still: everybody is answered and nothing starts.
    ContainerdPaused,
    /// The process between a container and the engine is killed.
    ShimKilled,
    /// A container is killed past the server.
    ContainerKilled,
    /// Connections to the database break, and new ones are refused for a while.
    DatabaseCut,
    /// Connections to the database carry nothing for a while.
    DatabaseStalled,
    /// The disk of the data folder is full for a while.
    DiskFull,
}

use Fault::{
    ContainerKilled, ContainerdPaused, DatabaseCut, DatabaseStalled, DiskFull, DockerdKilled,
    DockerdPaused, DockerdRestarted, ServerKilled, ServerPaused, ServerStopped, ShimKilled,
};

impl Fault {
    /// Those of the server's own process.
    pub(crate) const OF_SERVER: [Self; 3] = [ServerKilled, ServerStopped, ServerPaused];

    /// Those of what it stands on.
    pub(crate) fn of_others(is_on_postgres: bool) -> Vec<Self> {
        let mut faults = vec![
            DockerdKilled,
            DockerdRestarted,
            DockerdPaused,
            ContainerdPaused,
            ShimKilled,
            ContainerKilled,
            DiskFull,
        ];
        if is_on_postgres {
            faults.extend([DatabaseCut, DatabaseStalled]);
        }
        faults
    }

    /// **What an execution may become** when this happens while it waits or runs,
    /// beside what its script makes of it: the `error_kind`s that are allowed.
    pub(crate) fn allows(self, live_restore: LiveRestore) -> &'static [&'static str] {
        match (self, live_restore) {
            // The next server goes on with what runs, and its deadlines are kept
            // inside of the sandbox.
            (ServerKilled | ServerStopped | ServerPaused, _) => &[],
            // Ends are written when the database is back.
            (DatabaseCut | DatabaseStalled, _) => &[],
            // What a script left could not be stored.
            (DiskFull, _) => &["sandbox_failed"],
            // The next dockerd stops what runs. What ends meanwhile has said things
            // that nobody wrote down, which is why it may be lost even with
            // live-restore.
            (DockerdKilled | DockerdRestarted, LiveRestore::Off | LiveRestore::On) => {
                &["lost", "engine_unavailable"]
            }
            (DockerdPaused | ContainerdPaused, _) => &["engine_unavailable"],
            // Of the execution in that very container only.
            (ShimKilled | ContainerKilled, _) => &["lost"],
        }
    }

    /// Whether it concerns one container, and no execution in another one.
    pub(crate) fn has_target(self) -> bool {
        matches!(self, ShimKilled | ContainerKilled)
    }
}

/// A fault that happened.
#[derive(Debug, Clone)]
pub(crate) struct Injected {
    pub(crate) fault: Fault,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    /// Names of the container that it concerned.
    pub(crate) target: Vec<String>,
}

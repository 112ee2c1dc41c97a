//! What can break, and what an execution may become for it: the one place that
//! says so.

use std::time::Instant;

use crate::testkit::private_engine::LiveRestore;

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

    pub(crate) fn is_of_server(self) -> bool {
        Self::OF_SERVER.contains(&self)
    }

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
    pub(crate) fn allows(self) -> &'static [&'static str] {
        match self {
            // The next server goes on with what runs, and its deadlines are kept
            // inside of the sandbox.
            ServerKilled | ServerStopped | ServerPaused => &[],
            // Ends are written when the database is back, or the disk has room.
            DatabaseCut | DatabaseStalled | DiskFull => &[],
            // Everything waits until they go on.
            DockerdPaused | ContainerdPaused => &[],
            // What ends while nobody writes down what it says, and what is ended.
            DockerdKilled | DockerdRestarted | ShimKilled | ContainerKilled => &["lost"],
        }
    }

    /// Whether it concerns some containers, and no execution in another one. With
    /// live-restore a dockerd that goes concerns those that end while it is away;
    /// without, it ends what runs.
    pub(crate) fn has_target(self, live_restore: LiveRestore) -> bool {
        match self {
            ShimKilled | ContainerKilled => true,
            DockerdKilled | DockerdRestarted => live_restore == LiveRestore::On,
            _ => false,
        }
    }
}

/// A fault that happened.
#[derive(Debug, Clone)]
pub(crate) struct Injected {
    pub(crate) fault: Fault,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    /// Names of the containers that it concerned.
    pub(crate) target: Vec<String>,
}

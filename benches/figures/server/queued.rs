//! A server whose only worker is busy, so that what is submitted waits and the
//! engine is no part of what is measured.

use std::path::Path;

use crate::Failure;
use crate::harness::server::{Database, Server};
use crate::harness::workload::SHELL;

/// The script that load is made of.
pub(crate) const QUEUED: &str = "queued";

/// Keeps the worker busy for longer than anything here takes.
const BLOCKER: &str = "#!/bin/bash\nexec sleep 250\n";

/// One worker, a queue that never fills up, and no patience with what runs at the
/// end.
const SETTINGS: [(&str, &str); 3] = [
    ("GANTRY_MAX_CONCURRENT", "1"),
    ("GANTRY_QUEUE_LIMIT", "1000000"),
    ("GANTRY_STOP_TIMEOUT", "0s"),
];

/// A server that has done a little of everything.
pub(crate) async fn start(database: &Database, data_dir: &Path) -> Result<Server, Failure> {
    let server = Server::start(database, data_dir, &SETTINGS).await?;
    server.api.register(QUEUED, SHELL.source).await?;
    server.api.register("blocker", BLOCKER).await?;
    server.api.execute(QUEUED).await?;
    server.api.get("/api/v1/executions").await?;
    server.api.get("/api/v1/admin/scripts").await?;
    Ok(server)
}

/// From here on, what is submitted waits.
pub(crate) async fn block(server: &Server) -> Result<(), Failure> {
    let blocker = server.api.submit("blocker").await?;
    server.api.until(blocker.id, "running").await
}

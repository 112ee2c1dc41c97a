//! Clearing the folder of a container whose PID 1 could not: what a script left in folders of
//! its own belongs to its user, for whom a server without privileges may not act. A container
//! of the same user does it, in which no script runs: PID 1 empties `/work` when its stdin
//! ends.

use std::time::Duration;

use gantry_init::message::NO_REQUEST;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::run_folder;
use crate::domain::limits::{Limits, MIN_DISK_BYTES};
use crate::domain::run_folder::{RunFolder, RunFolders};
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::domain::user::User;
use crate::engine::{Attached, Engine, EngineError, LABEL_ROLE, Labels, NewContainer};

/// Time for PID 1 to empty the folder and exit.
const EMPTIED_WITHIN: Duration = Duration::from_secs(30);

/// Clears the folder of the removed container `name`, if somebody else's folders are in it.
pub(super) async fn clear(engine: &dyn Engine, folders: &RunFolders, name: &str) {
    let Some(left) = run_folder::left_by_others(folders, name).await else { return };
    let container = clearing(name, left.image, User::of_sandbox(left.uid));
    let cleared = empty(engine, &container).await;
    if let Err(error) = &cleared {
        tracing::warn!(container = name, %error, "failed to empty a container's folder as its user");
    }
    if let Err(error) = engine.remove(name).await {
        tracing::error!(container = name, %error, "failed to remove a container");
    }
}

/// The container that does it. It has the name of the one before, by which the folder is
/// known.
fn clearing(name: &str, image: String, user: User) -> NewContainer {
    let folder = RunFolder::Scratch { disk_bytes: MIN_DISK_BYTES };
    let spec = SandboxSpec {
        image,
        limits: Limits::default(),
        network: Network::None,
        mounts: Vec::new(),
        owner: Some(user),
        folder,
        oci_runtime: None,
        exec: true,
        purpose: Purpose::Execution,
    };
    let labels = Labels::from([(LABEL_ROLE.to_owned(), "clearing".to_owned())]);
    NewContainer { name: name.to_owned(), spec, labels }
}

async fn empty(engine: &dyn Engine, container: &NewContainer) -> Result<(), EngineError> {
    engine.create(container).await?;
    let Attached { mut input, output } = engine.attach(&container.name).await?;
    engine.start(&container.name).await?;
    // A PID 1 that has gone already has emptied it.
    let _ = input.shutdown().await;
    let code = timeout(EMPTIED_WITHIN, engine.wait(&container.name)).await;
    drop(output);
    match code {
        Ok(Ok(code)) if code == i64::from(NO_REQUEST) => {}
        other => tracing::warn!(container = container.name, ?other, "a folder was not emptied"),
    }
    Ok(())
}

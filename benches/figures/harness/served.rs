//! A server that has one script, as it is shipped: with a pool, so that
//! it is warm, or without one, so that it is cold.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use gantry::engine::LABEL_INSTALLATION;
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use super::server::{Database, Server};
use super::workload::Workload;
use crate::Failure;

/// How long the pool may take to be as full as it is wanted to be, and containers
/// to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the kernel and the engine have left to do when they say that they have done
/// it.
pub(crate) const AFTERMATH: Duration = Duration::from_millis(30);

/// How long it is between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// The pool, as `/readyz` shows it.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Pool {
    pub(crate) unused: usize,
    pub(crate) starting: usize,
}

#[derive(Deserialize)]
struct Ready {
    pool: Pool,
}

/// How one execution went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    pub(crate) took: Duration,
    /// It found a sandbox that had waited for it.
    pub(crate) warm: bool,
}

pub(crate) struct Served {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
    script: &'static str,
    docker: Docker,
}

impl Served {
    /// A server with this script, which has run once. `fields` are added to its
    /// registration.
    pub(crate) async fn start(
        database: &Database,
        workload: &Workload,
        pool: usize,
        fields: &[(&str, bool)],
    ) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let size = pool.to_string();
        // As many at once as bursts have, however few CPUs there are.
        let settings = [("GANTRY_POOL_SIZE", size.as_str()), ("GANTRY_MAX_CONCURRENT", "8")];
        let server = Server::start(database, folder.path(), &settings).await?;
        let mut body = json!({
            "name": workload.name, "description": "", "script_type": workload.script_type.name(),
            "source": workload.source, "requirements": workload.requirements,
        });
        for (field, value) in fields {
            body[field] = json!(value);
        }
        server.api.register_as(body).await?;
        server.api.execute(workload.name).await?;
        let docker = Docker::connect_with_defaults()?;
        Ok(Self { server, folder, script: workload.name, docker })
    }

    pub(crate) async fn execute(&self) -> Result<Ran, Failure> {
        let (execution, took) = self.server.api.execute(self.script).await?;
        Ok(Ran { took, warm: execution.sandbox.is_some_and(|it| it.warm) })
    }

    /// As many at once; answers when the last has its answer.
    pub(crate) async fn burst(&self, count: usize) -> Result<(Vec<Ran>, Duration), Failure> {
        let begun = Instant::now();
        let ran = futures::future::try_join_all((0..count).map(|_| self.execute())).await?;
        Ok((ran, begun.elapsed()))
    }

    /// Calls the script until so many sandboxes wait for it.
    pub(crate) async fn bring_up(&self, count: usize) -> Result<(), Failure> {
        self.burst(count).await?;
        self.settle(count).await
    }

    /// Waits until at least so many sandboxes wait, none is being started, and what
    /// has been used is gone. What is measured next begins [`AFTERMATH`] later.
    pub(crate) async fn settle(&self, at_least: usize) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let pool = self.pool().await?;
            let containers = containers(&self.docker, self.folder.path()).await?.len();
            if pool.unused >= at_least && pool.starting == 0 && containers == pool.unused {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let state = format!("{pool:?} and {containers} containers");
                return Err(format!("{at_least} were to wait, and it is {state}").into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until there are no containers but those of the pool.
    pub(crate) async fn used_are_gone(&self) -> Result<(), Failure> {
        loop {
            let containers = containers(&self.docker, self.folder.path()).await?.len();
            let pool = self.pool().await?;
            if containers <= pool.unused + pool.starting {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The pool as it is now.
    pub(crate) async fn pool(&self) -> Result<Pool, Failure> {
        pool(&self.server.api).await
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.server.stop().await?;
        Ok(self.folder.close()?)
    }
}

/// A server's pool as it is now.
pub(crate) async fn pool(api: &Api) -> Result<Pool, Failure> {
    // Checks in the answer may be two seconds old; this part never is.
    let (body, _) = api.get("/readyz").await?;
    let Ready { pool } = serde_json::from_slice(&body)?;
    Ok(pool)
}

/// The containers of the server with this folder.
pub(crate) async fn containers(
    docker: &Docker,
    data_dir: &Path,
) -> Result<Vec<ContainerSummary>, Failure> {
    let installation = gantry::installation::id(data_dir)?;
    let label = format!("{LABEL_INSTALLATION}={installation}");
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    Ok(docker.list_containers(Some(options)).await?)
}

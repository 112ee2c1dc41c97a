//! `gantry serve`: assembles all parts, listens, and shuts them down in the right order. It decides
//! nothing that a part could decide itself.

mod capacity;
mod connections;
mod error;
mod eviction;
mod lock;
mod unstalled;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpListener;

pub use error::ServerError;

use crate::access::Access;
use crate::api;
use crate::bundles::Shelf;
use crate::config::{ServeSettings, Settings};
use crate::doctor::{self, Examiner};
use crate::files::{Files, FilesSettings};
use crate::http::{AppState, EngineProbe, Parts, enveloped};
use crate::metrics::Metrics;
use crate::orchestrator::{Environments, Executions, ExecutionsParts, ExecutionsSettings};
use crate::pool::Pool;
use crate::process::Process;
use crate::registry::{EngineFacts, Registry, RegistrySettings};
use crate::sandbox::{Cancel, Remover};
use crate::services::Services;
use crate::shares::Shares;
use crate::store::{NodeLock, Store};
use crate::ui;
use capacity::Machine;
use connections::Patience;
use lock::ServerLock;

/// Time for requests to end after everything they could wait for has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// Time for removing containers; an unhealthy engine takes minutes.
const REMOVALS: Duration = Duration::from_secs(20);

/// A listening server.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    state: AppState,
    executions: Executions,
    files: Files,
    store: Store,
    remover: Remover,
    pool: Pool,
    stopping: Cancel,
    stop_timeout: Duration,
    first_token: Option<String>,
    /// Marks its containers as in use for its lifetime.
    _process: Process,
    _lock: ServerLock,
    _node_lock: NodeLock,
}

impl Server {
    /// Assembles all parts and listens; answers nothing yet.
    ///
    /// # Errors
    /// [`ServerError`], before anything runs.
    pub async fn open(settings: &Settings, serve: &ServeSettings) -> Result<Self, ServerError> {
        let wanted = serve.listen().map_err(ServerError::Listen)?;
        let services = Services::with_pool(settings, serve.pool().size())?;
        let data_dir = settings.data_dir().map_err(ServerError::Setting)?;
        let lock = ServerLock::take(&data_dir)?;
        let store = Store::open(&serve.database().url(&data_dir)?).await?;
        let node_lock = lock_node(&store, &serve.node()).await?;
        let files = open_files(&store, serve, &data_dir)?;
        let (listener, address) = bind(wanted).await?;
        let access = Access::new(store.clone());
        let first_token = access.first_admin(settings.admin_token().as_deref()).await?;
        let metrics = Arc::new(Metrics::default());
        Shelf::new(&data_dir).sweep();
        let machine = Machine::look(&services.docker).await;
        services.pool.set_budget(machine.pool_budget(serve, services.docker.endpoint().is_local()));
        let environments = environments(settings, serve, &services, &store, &metrics)?;
        let parts = ExecutionsParts {
            files: files.clone(),
            store: store.clone(),
            runner: services.runner.clone(),
            environments: environments.clone(),
            observer: Arc::clone(&metrics) as _,
        };
        let shares = shares(settings, serve, &services)?;
        let executions_settings =
            executions_settings(settings, serve, &data_dir, machine, shares.clone())?;
        let executions = Executions::start(parts, executions_settings)
            .map_err(|source| ServerError::DataDir { folder: data_dir.clone(), source })?;
        let registry_settings = registry_settings(settings, serve, &services, machine)?;
        let registry = registry(registry_settings, &services, &store, &environments, &executions);
        let stopping = Cancel::new();
        let state = AppState::new(Parts {
            store: store.clone(),
            access,
            registry,
            executions: executions.clone(),
            environments,
            files: files.clone(),
            metrics,
            examiner: examiner(settings, serve),
            engine: engine_probe(&services),
            shares,
            data_dir,
            connections: Patience::default().connections,
            stopping: stopping.clone(),
        });
        Ok(Self {
            listener,
            address,
            state,
            executions,
            files,
            store,
            remover: services.remover,
            pool: services.pool,
            stopping,
            stop_timeout: serve.stop_timeout(),
            first_token,
            _process: services.process,
            _lock: lock,
            _node_lock: node_lock,
        })
    }

    /// Address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Token of the first admin, if it was just created; shown once.
    #[must_use]
    pub fn first_token(&self) -> Option<&str> {
        self.first_token.as_deref()
    }

    /// Serves until `stop` is cancelled. Then it accepts nothing more, lets running executions end
    /// within the grace, and removes every container.
    pub async fn run(self, stop: Cancel) {
        tracing::info!(address = %self.address, database = self.store.kind(), "listening");
        self.pool.start_keeper();
        tokio::spawn(self.files.collect_until(self.stopping.clone().cancelled_owned()));
        let routes = api::router(self.state.clone()).merge(ui::pages(self.state.clone()));
        let router = enveloped(self.state, routes);
        let closing = Cancel::new();
        let patience = Patience::default();
        let serving = connections::serve(self.listener, router, patience, closing.clone());
        let serving = tokio::spawn(serving);
        stop.cancelled().await;
        tracing::info!("stopping");
        self.stopping.cancel();
        self.executions.stop(self.stop_timeout).await;
        self.pool.drain().await;
        closing.cancel();
        // Connections that do not end by themselves are closed.
        let _ = tokio::time::timeout(LAST_ANSWERS, serving).await;
        if tokio::time::timeout(REMOVALS, self.remover.drain()).await.is_err() {
            tracing::warn!("containers are left; the next start removes them");
        }
        self.store.close().await;
        tracing::info!("stopped");
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn lock_node(store: &Store, node: &str) -> Result<NodeLock, ServerError> {
    let lock = store.lock_node(node).await?;
    lock.ok_or_else(|| ServerError::NodeInUse(node.to_owned()))
}

fn environments(
    settings: &Settings,
    serve: &ServeSettings,
    services: &Services,
    store: &Store,
    metrics: &Arc<Metrics>,
) -> Result<Environments, ServerError> {
    let policy = settings.requirements_policy().map_err(ServerError::Setting)?;
    let (library, observer) = (services.library.clone(), Arc::clone(metrics) as _);
    let bundles = Shelf::new(&settings.data_dir().map_err(ServerError::Setting)?);
    Ok(Environments::new(store.clone(), library, bundles, policy, observer, serve.max_builds()))
}

/// Opens the store of files.
fn open_files(store: &Store, serve: &ServeSettings, data_dir: &Path) -> Result<Files, ServerError> {
    let settings = serve.files();
    let folder = settings.folder(data_dir);
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::WouldBlock => ServerError::FilesInUse(folder.clone()),
        _ => ServerError::Files { folder: folder.clone(), source },
    };
    let settings = FilesSettings {
        folder: folder.clone(),
        reserve: settings.reserve(),
        grace: settings.grace(),
        quota: settings.quota(),
    };
    Files::start(store.clone(), settings).map_err(failed)
}

fn executions_settings(
    settings: &Settings,
    serve: &ServeSettings,
    data_dir: &Path,
    machine: Machine,
    shares: Shares,
) -> Result<ExecutionsSettings, ServerError> {
    Ok(ExecutionsSettings {
        node: serve.node(),
        capacity: machine.capacity(serve, &settings.scratch_dir(data_dir)),
        disk_reserve: serve.files().reserve(),
        queue_limit: serve.queue_limit(),
        data_dir: data_dir.to_owned(),
        oci_runtime: settings.oci_runtime(),
        policy: settings.requirements_policy().map_err(ServerError::Setting)?,
        mount_roots: settings.mount_roots(),
        owners: settings.owners().map_err(ServerError::Setting)?,
        shares,
        retention: serve.retention(),
    })
}

fn registry_settings(
    settings: &Settings,
    serve: &ServeSettings,
    services: &Services,
    machine: Machine,
) -> Result<RegistrySettings, ServerError> {
    Ok(RegistrySettings {
        script_roots: serve.script_roots(),
        mount_roots: settings.mount_roots(),
        owners: settings.owners().map_err(ServerError::Setting)?,
        requirements: settings.requirements_policy().map_err(ServerError::Setting)?,
        host_limits: machine.host_limits(),
        is_engine_local: services.docker.endpoint().is_local(),
        bundles: Shelf::new(&settings.data_dir().map_err(ServerError::Setting)?),
    })
}

/// Shares of the host, whose files must be this machine's, too, so that they can be checked.
fn shares(
    settings: &Settings,
    serve: &ServeSettings,
    services: &Services,
) -> Result<Shares, ServerError> {
    let data_dir = settings.data_dir().map_err(ServerError::Setting)?;
    let files = serve.files().folder(&data_dir);
    let shares = settings.shares(&[files]).map_err(ServerError::Setting)?;
    if shares.is_empty() || services.docker.endpoint().is_local() {
        return Ok(shares);
    }
    let what = "GANTRY_SHARES: the engine is on another machine, whose files can't be checked \
                from here";
    Err(ServerError::Setting(what.to_owned()))
}

/// Registry whose commands wake the environments' builds and the executions.
fn registry(
    settings: RegistrySettings,
    services: &Services,
    store: &Store,
    environments: &Environments,
    executions: &Executions,
) -> Registry {
    let facts = EngineFacts::new(services.docker.clone(), services.library.clone());
    let (environments, executions) = (environments.clone(), executions.clone());
    let request = Arc::new(move |key: &str| environments.request(key));
    let changed = Arc::new(move |id, limit: Option<NonZeroU32>| {
        executions.script_changed(id, limit.map(NonZeroU32::get));
    });
    Registry::new(store.clone(), settings, facts, request, changed)
}

fn examiner(settings: &Settings, serve: &ServeSettings) -> Examiner {
    let settings = settings.clone();
    let (database, pool) = (serve.database().clone(), serve.pool().clone());
    Examiner::new(move || {
        let (settings, database, pool) = (settings.clone(), database.clone(), pool.clone());
        async move { doctor::examine(&settings, &database, &pool).await }.boxed()
    })
}

fn engine_probe(services: &Services) -> EngineProbe {
    let docker = services.docker.clone();
    Arc::new(move || {
        let docker = docker.clone();
        async move { docker.describe().await.map(|_| ()) }.boxed()
    })
}

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Once};

use chrono::{DateTime, Utc};
use gantry::access::{Access, TokenRequest};
use gantry::bundles::Shelf;
use gantry::clock;
use gantry::disk::DiskReserve;
use gantry::doctor::Examiner;
use gantry::domain::elf::Architecture;
use gantry::domain::execution::Report;
use gantry::domain::outcome::{Outcome, Status};
use gantry::domain::output_log::{OutputLog, StreamName};
use gantry::domain::script_type::python::requirements::RequirementsPolicy;
use gantry::domain::share::{ShareGrants, ShareName};
use gantry::domain::token::Role;
use gantry::domain::uid_range::UidRange;
use gantry::engine::docker::{Docker, Endpoint};
use gantry::files::{DEFAULT_GRACE, Files, FilesSettings};
use gantry::http::{AppState, EngineProbe, Parts, enveloped};
use gantry::images::{BaseSource, BuildDisk, InstallerSettings, Library, LibrarySettings};
use gantry::metrics::Metrics;
use gantry::orchestrator::{
    Capacity, Environments, Executions, ExecutionsParts, ExecutionsSettings, Runner,
};
use gantry::pool::Pool;
use gantry::registry::{EngineFacts, HostLimits, Registry, RegistrySettings};
use gantry::sandbox::{Cancel, Remover};
use gantry::shares::Shares;
use gantry::store::{Claim, DatabaseUrl, Store};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use uuid::Uuid;

/// The server's own node, which takes nothing.
const IDLE_NODE: &str = "nobody";

/// The node that ends executions in tests.
const NODE: &str = "test";

/// A server with a token of each role.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) access: Access,
    pub(crate) stopping: Cancel,
    tokens: [String; 4],
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with_queue(1_000).await
    }

    /// One whose queue has this many places.
    pub(crate) async fn start_with_queue(queue_limit: usize) -> Self {
        Self::start_with(queue_limit, Arc::new(|| Box::pin(async { Ok(()) }))).await
    }

    /// One whose engine gives this sign of life.
    pub(crate) async fn start_with_engine(engine: EngineProbe) -> Self {
        Self::start_with(1_000, engine).await
    }

    async fn start_with(queue_limit: usize, engine: EngineProbe) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&DatabaseUrl::in_data_dir(folder.path())).await.unwrap();
        let access = Access::new(store.clone());
        let stopping = Cancel::new();
        let metrics = Arc::new(Metrics::default());
        let files = files(&store, folder.path());
        let (executions, environments) = work(&store, &files, folder.path(), &metrics, queue_limit);
        let database = folder.path().join("gantry.db");
        keep_pending(&database).await;
        let (requested, changed) = (environments.clone(), executions.clone());
        let registry = Registry::new(
            store.clone(),
            settings(),
            EngineFacts::fixed(Architecture::X86_64, |script_type| {
                format!("gantry/{script_type}:1")
            }),
            Arc::new(move |key| requested.request(key)),
            Arc::new(move |id, limit| changed.script_changed(id, limit.map(NonZeroU32::get))),
        );
        let state = AppState::new(Parts {
            store: store.clone(),
            access: access.clone(),
            registry,
            executions,
            environments,
            files,
            metrics,
            examiner: Examiner::new(|| Box::pin(async { Vec::new() })),
            engine,
            shares: Shares::new([(ShareName::new("media").unwrap(), folder.path().into())].into()),
            data_dir: folder.path().to_owned(),
            connections: 4_096,
            stopping: stopping.clone(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = gantry::api::router(state.clone()).merge(gantry::ui::pages(state.clone()));
        tokio::spawn(async move { axum::serve(listener, enveloped(state, routes)).await });
        let mut tokens = Vec::new();
        for role in Role::ALL {
            tokens.push(make_token(&access, role.name(), role, None, None).await.1);
        }
        Self {
            url,
            client: Client::new(),
            store,
            access,
            stopping,
            tokens: tokens.try_into().unwrap(),
            _folder: folder,
        }
    }

    /// The token of a role.
    pub(crate) fn token(&self, role: Role) -> &str {
        &self.tokens[Role::ALL.iter().position(|it| *it == role).unwrap()]
    }

    /// A runner's token that is limited to scripts.
    pub(crate) async fn limited(&self, scripts: &[i64]) -> String {
        make_token(&self.access, "limited", Role::Runner, Some(scripts.to_vec()), None).await.1
    }

    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn request(&self, role: Role, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(self.token(role))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Role::Admin, Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Role::Admin, Method::POST, path).json(body)
    }

    /// A registered script's id.
    pub(crate) async fn script(&self, name: &str) -> i64 {
        let body = json!({"name": name, "script_type": "shell", "source": "cat\n",
            "env": {"SECRET": "s3cr3t"}});
        let answer = self.post("/api/v1/admin/scripts", &body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        answer.json::<Value>().await.unwrap()["id"].as_i64().unwrap()
    }

    /// The id of an execution that waits.
    pub(crate) async fn pending(&self, script: &str) -> Uuid {
        let answer = self.post("/api/v1/executions", &json!({"script": script}));
        let execution: Value = answer.send().await.unwrap().json().await.unwrap();
        execution["id"].as_str().unwrap().parse().unwrap()
    }

    /// Ends an execution as a worker would.
    pub(crate) async fn finish(&self, id: Uuid, stdout: &str) {
        let (at, container) = (clock::now(), id.to_string());
        let claim = Claim {
            id,
            node: NODE,
            container: &container,
            image: "sha256:1",
            warm: false,
            at,
            deadline: at,
        };
        let attempt = self.store.claim(&claim).await.unwrap().unwrap();
        let outcome = Outcome {
            status: Status::Completed,
            error_kind: None,
            error_message: None,
            exit_code: Some(0),
            signal: None,
        };
        let mut log = OutputLog::default();
        log.append(StreamName::Stdout, stdout.as_bytes());
        let stdout_bytes = stdout.len() as u64;
        let report = Report { log, stdout_bytes, ..Report::unstarted(outcome, clock::now()) };
        let queued = std::time::Duration::ZERO;
        assert!(self.store.finish(id, NODE, attempt, queued, &report).await.unwrap().is_some());
    }
}

/// What accepts executions and begins none: there is no engine.
fn work(
    store: &Store,
    files: &Files,
    folder: &Path,
    metrics: &Arc<Metrics>,
    queue_limit: usize,
) -> (Executions, Environments) {
    let endpoint = Endpoint::parse(Some("tcp://127.0.0.1:1"), None).unwrap();
    let docker = Docker::connect(endpoint, UidRange::DEFAULT).unwrap();
    let remover = Remover::new(Arc::new(docker.clone()));
    let library = Library::new(
        docker.clone(),
        remover.clone(),
        LibrarySettings {
            base: BaseSource::Bootstrap,
            data_dir: folder.to_owned(),
            installation: "test".to_owned(),
            process: "test".to_owned(),
            cache_volume: "gantry-cache".to_owned(),
            oci_runtime: None,
            installer: InstallerSettings {
                variables: Vec::new(),
                ca_bundle: None,
                policy: RequirementsPolicy::default(),
                disk: BuildDisk::default(),
            },
        },
    );
    let policy = RequirementsPolicy::default();
    let engine = Arc::new(docker.clone());
    let pool = Pool::new(engine, remover.clone(), Default::default(), 0);
    let environments =
        Environments::new(store.clone(), library, Shelf::new(folder), policy, metrics.clone(), 2);
    let parts = ExecutionsParts {
        store: store.clone(),
        files: files.clone(),
        runner: Runner::new(docker, remover, pool, Default::default()),
        environments: environments.clone(),
        observer: metrics.clone(),
    };
    let settings = ExecutionsSettings {
        node: IDLE_NODE.to_owned(),
        capacity: Capacity {
            executions: 1,
            memory_bytes: 1 << 40,
            nano_cpus: 1 << 40,
            disk_bytes: 0,
        },
        disk_reserve: gantry::disk::DiskReserve::default(),
        queue_limit,
        data_dir: folder.to_owned(),
        oci_runtime: None,
        policy,
        mount_roots: Vec::new(),
        owners: Vec::new(),
        shares: Shares::default(),
        retention: None,
    };
    (Executions::start(parts, settings).unwrap(), environments)
}

/// A store of files that is not in the tests' way.
fn files(store: &Store, folder: &Path) -> Files {
    let folder = folder.join("files");
    let (reserve, grace) = (DiskReserve::new(Some(0)), DEFAULT_GRACE);
    Files::start(store.clone(), FilesSettings { folder, reserve, grace, quota: 1 << 40 }).unwrap()
}

/// Whatever the server would take goes on waiting, so that tests can say when it
/// ends.
async fn keep_pending(database: &Path) {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let trigger = "CREATE TRIGGER nothing_is_taken BEFORE UPDATE OF status ON executions \
        WHEN NEW.node = 'nobody' BEGIN SELECT RAISE(IGNORE); END";
    sqlx::raw_sql(trigger).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn settings() -> RegistrySettings {
    RegistrySettings {
        script_roots: Vec::new(),
        mount_roots: Vec::new(),
        owners: Vec::new(),
        requirements: RequirementsPolicy::default(),
        host_limits: HostLimits { nano_cpus: 1 << 40, memory_bytes: 1 << 40 },
        is_engine_local: true,
        bundles: Shelf::new(&std::env::temp_dir().join("gantry-tests-keep-no-bundle")),
    }
}

pub(crate) async fn make_token(
    access: &Access,
    name: &str,
    role: Role,
    scope: Option<Vec<i64>>,
    expires_at: Option<DateTime<Utc>>,
) -> (i64, String) {
    let request = TokenRequest {
        name: name.to_owned(),
        role,
        scope,
        shares: ShareGrants::default(),
        expires_at,
    };
    let created = access.create("test", request).await.unwrap();
    (created.id, created.secret)
}

/// Checks that an answer is a problem of a status, and answers with it.
#[track_caller]
pub(crate) fn problem(status: u16, answer: Response) -> impl Future<Output = Value> {
    let place = std::panic::Location::caller();
    async move {
        let got = answer.status().as_u16();
        let header = |name: &str| {
            answer.headers().get(name).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (media_type, id) = (header("content-type"), header("x-request-id"));
        let text = answer.text().await.unwrap();
        assert_eq!(got, status, "{place}: {text}");
        assert_eq!(media_type, "application/problem+json", "{place}: {text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["status"], status, "{place}");
        assert_eq!(problem["request_id"], id, "{place}");
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|it| !it.is_empty()), "{place}: {text}");
        }
        for word in ["SELECT", "sqlx", "INSERT", "panicked", "src/", "/tmp/"] {
            assert!(!text.contains(word), "{place}: {text}");
        }
        problem
    }
}

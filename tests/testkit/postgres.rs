//! A PostgreSQL database for one test or benchmark. All tests share a server: the one of
//! `GANTRY_TEST_POSTGRES_URL`, or a container that the first test starts and that ends by
//! itself (`tests/postgres/entry`). Benchmarks have one whose data is on the disk.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions,
};
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

/// Longest time until the server is up, on a machine that has a lot to do.
const UP_WITHIN: Duration = Duration::from_secs(120);

/// Between two looks at the engine or the server.
const PAUSE: Duration = Duration::from_millis(50);

/// Without a client for this time, in seconds, the container ends: longer than
/// the pause between two tests, and than it takes to build one more test file.
const IDLE_SECONDS: &str = "60";

/// Folder of the data.
const DATA: &str = "/data";

/// Options of its file system in memory.
const IN_MEMORY: &str = "size=4g,mode=1777";

/// Entrypoint where the data is in a volume: that belongs to root at first, and the
/// image's own program does not run as root.
const ON_DISK: [&str; 3] = [
    "/bin/sh",
    "-c",
    "chown postgres /data && \
     exec setpriv --reuid=postgres --regid=postgres --init-groups /bin/sh /entry",
];

/// Bytes of shared memory: parallel maintenance commands take some.
const SHARED_MEMORY: i64 = 256 << 20;

const PORT: &str = "5432/tcp";

/// Variable with the machine's engine as `DOCKER_HOST` has it, when another one is tested.
const MACHINE_ENGINE: &str = "GANTRY_TEST_MACHINE_ENGINE";

/// Characters of the hash in the tag, as in `tests/postgres/prepare`.
const TAG_HASH: usize = 20;

/// Place of a server's data, which is gone with its container in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    Memory,
    /// With `fsync` and `synchronous_commit`, as PostgreSQL has them by default.
    Disk,
}

/// A database that is empty at first and dropped with the value.
pub(crate) struct TestDatabase {
    name: String,
    server: PgConnectOptions,
    // The server does not end while a client is connected, and a test may keep no
    // connection of its own for a while.
    _guard: PgConnection,
}

impl TestDatabase {
    /// Address for clients: `postgres://user:password@host:port/name`.
    pub(crate) fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// The name of the database.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A fresh database on the server that all tests share.
pub(crate) async fn database() -> TestDatabase {
    database_in(Storage::Memory).await
}

/// A fresh database on the shared server of this kind.
pub(crate) async fn database_in(storage: Storage) -> TestDatabase {
    let (server, mut guard) = match std::env::var("GANTRY_TEST_POSTGRES_URL") {
        Ok(url) if !url.is_empty() => {
            let server = PgConnectOptions::from_str(&url).unwrap();
            let guard = server.connect().await.unwrap();
            (server, guard)
        }
        _ => own_server(storage).await,
    };
    let name = format!("gantry_test_{}", uuid::Uuid::new_v4().simple());
    // Another test may look at template1.
    execute(&mut guard, format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
        .await
        .unwrap();
    TestDatabase { name, server, _guard: guard }
}

async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), &self.name);
        let drop_it = async {
            let mut connection = server.connect().await?;
            execute(&mut connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
        };
        // The test's own runtime does not allow blocking.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                if let Err(error) = runtime.unwrap().block_on(drop_it) {
                    eprintln!("{name} was not dropped: {error}");
                }
            });
        });
    }
}

/// The engine that the container runs on: the machine's also for tests of another
/// engine (`tests/engines/beside`), whose published ports are not this machine's.
fn machine_engine() -> Docker {
    match std::env::var(MACHINE_ENGINE) {
        Ok(host) => Docker::connect_with_host(&host).unwrap(),
        Err(_) => Docker::connect_with_defaults().unwrap(),
    }
}

/// The server in a container, started unless it runs, and a connection to it.
async fn own_server(storage: Storage) -> (PgConnectOptions, PgConnection) {
    let hash = hash();
    let kind = if storage == Storage::Disk { "-disk" } else { "" };
    let name = format!("gantry-test-postgres{kind}-{hash}");
    let docker = machine_engine();
    let mut started = Instant::now();
    let mut last = String::new();
    // Whatever is seen may be different a moment later: others start it as well,
    // and it may be about to end.
    while started.elapsed() < UP_WITHIN {
        match docker.inspect_container(&name, None::<InspectContainerOptions>).await {
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
                let building = Instant::now();
                ensure_image(&hash).await;
                // Making the image takes minutes, which are not the server's.
                started += building.elapsed();
                last = format!("{:?}", create(&docker, &name, &hash, storage).await);
            }
            Err(error) => last = error.to_string(),
            Ok(container) => match server_of(&container) {
                Some(server) => match server.connect().await {
                    Ok(connection) => return (server, connection),
                    Err(error) => last = error.to_string(),
                },
                None => {
                    let options = None::<StartContainerOptions>;
                    last = format!("{:?}", docker.start_container(&name, options).await);
                }
            },
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{name} was not up after {UP_WITHIN:?}: {last}");
}

async fn create(docker: &Docker, name: &str, hash: &str, storage: Storage) -> Result<(), Error> {
    let image = format!("gantry/test-postgres:{hash}");
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).unwrap();
    let loopback =
        PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
    let is_on_disk = storage == Storage::Disk;
    let in_memory = HashMap::from([(DATA.to_owned(), IN_MEMORY.to_owned())]);
    let body = ContainerCreateBody {
        image: Some(image),
        user: is_on_disk.then(|| "root".to_owned()),
        entrypoint: is_on_disk.then(|| ON_DISK.map(str::to_owned).to_vec()),
        volumes: is_on_disk.then(|| vec![DATA.to_owned()]),
        env: Some(vec![
            format!("PASSWORD={}", hex(&secret)),
            format!("IDLE_SECONDS={IDLE_SECONDS}"),
        ]),
        exposed_ports: Some(vec![PORT.to_owned()]),
        host_config: Some(HostConfig {
            auto_remove: Some(true),
            port_bindings: Some(HashMap::from([(PORT.to_owned(), Some(vec![loopback]))])),
            tmpfs: (!is_on_disk).then_some(in_memory),
            shm_size: Some(SHARED_MEMORY),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    docker.create_container(Some(options), body).await?;
    docker.start_container(name, None::<StartContainerOptions>).await
}

/// Connection options of the server in a container, if it runs.
fn server_of(container: &ContainerInspectResponse) -> Option<PgConnectOptions> {
    if !container.state.as_ref()?.running? {
        return None;
    }
    let variables = container.config.as_ref()?.env.as_ref()?;
    let password = variables.iter().find_map(|it| it.strip_prefix("PASSWORD="))?;
    let ports = container.network_settings.as_ref()?.ports.as_ref()?;
    let port = ports.get(PORT)?.as_ref()?.first()?.host_port.as_ref()?.parse().ok()?;
    let options = PgConnectOptions::new_without_pgpass();
    let options = options.host("127.0.0.1").port(port).username("postgres").password(password);
    Some(options.database("postgres"))
}

/// Builds the image unless it is there; one at a time in this target folder.
async fn ensure_image(hash: &str) {
    let lock = format!("gantry-test-postgres-{hash}.lock");
    tokio::task::spawn_blocking(move || prepare_image(&lock)).await.unwrap();
}

fn prepare_image(lock: &str) {
    let folder = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, Into::into);
    let lock = File::create(folder.join(lock)).unwrap();
    lock.lock().unwrap();
    let mut prepare = Command::new(folder_of_postgres().join("prepare"));
    if let Ok(host) = std::env::var(MACHINE_ENGINE) {
        prepare.env("DOCKER_HOST", host);
    }
    let output = prepare.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn folder_of_postgres() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres"))
}

/// Hash in the image's tag, as in `tests/postgres/prepare`.
fn hash() -> String {
    let read = |name| std::fs::read(folder_of_postgres().join(name)).unwrap();
    let hash = Sha256::digest([read("Dockerfile"), read("entry")].concat());
    hex(&hash).chars().take(TAG_HASH).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

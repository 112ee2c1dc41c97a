//! PostgreSQL with its data on the disk: the tests' image, with a volume where
//! the tests have memory. `fsync` and `synchronous_commit` are on, as they are
//! unless somebody turns them off, and nothing else is tuned.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::process::Command;

use crate::Failure;
use crate::harness::server::Database;

/// How long the server may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(60);

/// Without a client for this time, in seconds, the container ends by itself:
/// also when this benchmark was killed.
const IDLE_SECONDS: &str = "120";

const PORT: &str = "5432/tcp";

/// The volume belongs to root at first, and the image's own program is not.
const ENTRY: &str = "chown postgres /data && \
     exec setpriv --reuid=postgres --regid=postgres --init-groups /bin/sh /entry";

pub(crate) struct Postgres {
    server: PgConnectOptions,
    /// The container, when it is this benchmark's own.
    container: Option<(Docker, String)>,
    // The container does not end while somebody is connected.
    _guard: PgConnection,
}

impl Postgres {
    pub(crate) async fn start() -> Result<Self, Failure> {
        if let Ok(url) = std::env::var("GANTRY_TEST_POSTGRES_URL")
            && !url.is_empty()
        {
            let server = PgConnectOptions::from_str(&url)?;
            let guard = server.connect().await?;
            return Ok(Self { server, container: None, _guard: guard });
        }
        let docker = Docker::connect_with_defaults()?;
        let (id, password) = run_container(&docker).await?;
        match connect(&docker, &id, &password).await {
            Ok((server, guard)) => {
                Ok(Self { server, container: Some((docker, id)), _guard: guard })
            }
            Err(error) => {
                remove(&docker, &id).await?;
                Err(error)
            }
        }
    }

    /// An empty database.
    pub(crate) async fn database(&self, purpose: &str) -> Result<Database, Failure> {
        let name = format!("gantry_bench_{purpose}_{}", uuid::Uuid::new_v4().simple());
        self.execute(format!("CREATE DATABASE {name}")).await?;
        Ok(Database::Postgres(self.server.clone().database(&name).to_url_lossy().to_string()))
    }

    /// Drops a database, if it is one of PostgreSQL.
    pub(crate) async fn drop(&self, database: &Database) -> Result<(), Failure> {
        let Database::Postgres(url) = database else { return Ok(()) };
        let options = PgConnectOptions::from_str(url)?;
        let name = options.get_database().ok_or("no name")?.to_owned();
        self.execute(format!("DROP DATABASE {name} WITH (FORCE)")).await
    }

    /// Removes the container and its volume.
    pub(crate) async fn stop(&self) -> Result<(), Failure> {
        match &self.container {
            Some((docker, id)) => remove(docker, id).await,
            None => Ok(()),
        }
    }

    async fn execute(&self, sql: String) -> Result<(), Failure> {
        let mut connection = self.server.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(())
    }
}

async fn run_container(docker: &Docker) -> Result<(String, String), Failure> {
    let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/prepare");
    let prepared = Command::new(prepare).output().await?;
    if !prepared.status.success() {
        return Err(String::from_utf8_lossy(&prepared.stderr).into_owned().into());
    }
    let image = String::from_utf8(prepared.stdout)?.trim().to_owned();
    let password = uuid::Uuid::new_v4().simple().to_string();
    let strings = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
    let loopback =
        PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(String::new()) };
    let body = ContainerCreateBody {
        image: Some(image),
        user: Some("root".to_owned()),
        entrypoint: strings(&["/bin/sh", "-c", ENTRY]),
        env: strings(&[&format!("PASSWORD={password}"), &format!("IDLE_SECONDS={IDLE_SECONDS}")]),
        exposed_ports: strings(&[PORT]),
        volumes: strings(&["/data"]),
        host_config: Some(HostConfig {
            auto_remove: Some(true),
            port_bindings: Some(HashMap::from([(PORT.to_owned(), Some(vec![loopback]))])),
            // What a parallel maintenance command shares.
            shm_size: Some(256 << 20),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let created = docker.create_container(None::<CreateContainerOptions>, body).await?;
    docker.start_container(&created.id, None::<StartContainerOptions>).await?;
    Ok((created.id, password))
}

/// Connects as soon as it answers.
async fn connect(
    docker: &Docker,
    id: &str,
    password: &str,
) -> Result<(PgConnectOptions, PgConnection), Failure> {
    let container = docker.inspect_container(id, None::<InspectContainerOptions>).await?;
    let ports = container.network_settings.and_then(|it| it.ports).ok_or("no ports")?;
    let bindings = ports.get(PORT).cloned().flatten().ok_or("no port")?;
    let port = bindings.first().and_then(|it| it.host_port.as_deref()).ok_or("no port")?;
    let server = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port.parse()?)
        .username("postgres")
        .password(password)
        .database("postgres");
    let begun = Instant::now();
    loop {
        match server.connect().await {
            Ok(connection) => return Ok((server, connection)),
            Err(error) if begun.elapsed() > UP_WITHIN => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn remove(docker: &Docker, id: &str) -> Result<(), Failure> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    Ok(docker.remove_container(id, Some(options)).await?)
}

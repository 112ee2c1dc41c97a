//! A server that is measured, with what its process takes of the machine.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::api::Api;
use super::postgres::{self, Storage, TestDatabase};
use super::process::Process;
use crate::Failure;

/// Measured program, of the same build.
const GANTRY: &str = env!("CARGO_BIN_EXE_gantry");

/// Store of a server's executions.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file in its data folder.
    Sqlite,
    /// On a server that writes to the disk; dropped with the last of these.
    Postgres(Arc<TestDatabase>),
}

impl Database {
    /// An empty database of PostgreSQL.
    pub(crate) async fn postgres() -> Self {
        Self::Postgres(Arc::new(postgres::database_in(Storage::Disk).await))
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }
}

pub(crate) struct Server {
    process: Process,
    pub(crate) api: Arc<Api>,
    /// From the start of the process until `/healthz` answered.
    pub(crate) start_up: Duration,
}

impl Server {
    /// Starts a server on a free port and waits until it answers.
    pub(crate) async fn start(
        database: &Database,
        data_dir: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let token = token(data_dir)?;
        let log = data_dir.join("bench-server.log");
        let mut command = Command::new(GANTRY);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.env("GANTRY_DATA_DIR", data_dir).env("GANTRY_ADMIN_TOKEN", &token);
        command.env("GANTRY_POOL_SIZE", "0");
        command.env_remove("GANTRY_DATABASE_URL").envs(settings.iter().copied());
        if let Database::Postgres(database) = database {
            command.env("GANTRY_DATABASE_URL", database.url());
        }
        let begun = Instant::now();
        let starting = log.clone();
        match tokio::task::spawn_blocking(move || Process::start(command, &starting)).await? {
            Ok(process) => {
                let api = Arc::new(Api::new(&process.url, &token)?);
                api.get("/healthz").await?;
                Ok(Self { process, api, start_up: begun.elapsed() })
            }
            Err(status) => {
                let log = std::fs::read_to_string(log)?;
                Err(format!("gantry serve did not start: {status}\n{log}").into())
            }
        }
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A line of `/proc/PID/status` that is about memory, in MiB.
    pub(crate) fn memory(&self, line: &str) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let found = status.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':'));
        let kib: f64 = found.ok_or("no such line")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// CPU time that it has used, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // utime and stime, the 14th and the 15th, behind a name that may hold
        // anything (proc_pid_stat(5)); a tick is 10 ms on Linux.
        let (_, fields) = stat.rsplit_once(") ").ok_or("no name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
    }

    /// Number of its open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        self.process.descriptors().len()
    }

    /// Number of its threads.
    pub(crate) fn threads(&self) -> usize {
        self.process.threads()
    }

    /// Stops the process and waits for its end. Dropped, a server is killed instead.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        Ok(tokio::task::spawn_blocking(move || self.process.stop()).await??)
    }
}

/// The admin's token of the server with this folder.
fn token(data_dir: &Path) -> Result<String, Failure> {
    let path = data_dir.join("bench-token");
    if !path.exists() {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(&path, format!("gantry_{token}"))?;
    }
    Ok(std::fs::read_to_string(&path)?)
}

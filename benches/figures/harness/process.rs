//! A process of `gantry serve`, from its start to its end.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::api::Api;
use crate::Failure;

/// What is measured: the program of the same build.
const GANTRY: &str = env!("CARGO_BIN_EXE_gantry");

/// How long a server may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server keeps its executions.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file in its data folder.
    Sqlite,
    /// At this address.
    Postgres(String),
}

impl Database {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }
}

pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
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
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data_dir.join("bench-server.log"))?;
        let mut command = Command::new(GANTRY);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.env("GANTRY_DATA_DIR", data_dir).env("GANTRY_ADMIN_TOKEN", &token);
        command.env("GANTRY_POOL_SIZE", "0");
        command.env_remove("GANTRY_DATABASE_URL").envs(settings.iter().copied());
        if let Database::Postgres(url) = database {
            command.env("GANTRY_DATABASE_URL", url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let begun = Instant::now();
        let mut child = command.spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let up = tokio::time::timeout(PATIENCE, up(&mut stdout, &token)).await;
        match up.map_err(Failure::from).flatten() {
            Ok(api) => Ok(Self { child, stdout, api: Arc::new(api), start_up: begun.elapsed() }),
            Err(error) => {
                let log = std::fs::read_to_string(data_dir.join("bench-server.log"))?;
                Err(format!("gantry serve did not start: {error}\n{log}").into())
            }
        }
    }

    /// Its id, as long as it runs.
    pub(crate) fn pid(&self) -> Result<u32, Failure> {
        Ok(self.child.id().ok_or("the server has ended")?)
    }

    /// A line of `/proc/PID/status` that is about memory, in MiB.
    pub(crate) fn memory(&self, line: &str) -> Result<f64, Failure> {
        let pid = self.child.id().ok_or("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let found = status.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':'));
        let kib: f64 = found.ok_or("no such line")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// What it has used of the CPUs, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let pid = self.child.id().ok_or("the server has ended")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // utime and stime, the 14th and the 15th, behind a name that may hold
        // anything (proc_pid_stat(5)); a tick is 10 ms on Linux.
        let (_, fields) = stat.rsplit_once(") ").ok_or("no name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()?))?.count())
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(format!("/proc/{}/task", self.pid()?))?.count())
    }

    /// Kills the process, which has time for nothing.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        Ok(self.child.kill().await?)
    }

    /// Stops the process and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw).ok_or("the server has ended")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let mut rest = String::new();
        let ended = async {
            while self.stdout.read_line(&mut rest).await? > 0 {}
            self.child.wait().await
        };
        let status = tokio::time::timeout(PATIENCE, ended).await??;
        if status.success() { Ok(()) } else { Err(format!("gantry serve: {status}").into()) }
    }
}

/// The first answer of the address that is printed.
async fn up(stdout: &mut BufReader<ChildStdout>, token: &str) -> Result<Api, Failure> {
    let mut line = String::new();
    loop {
        line.clear();
        if stdout.read_line(&mut line).await? == 0 {
            return Err("it ended".into());
        }
        if let Some(url) = line.trim().strip_prefix("listening on ") {
            let api = Api::new(url, token)?;
            api.get("/healthz").await?;
            return Ok(api);
        }
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

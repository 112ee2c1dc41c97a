//! Settings of `gantry serve`.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{FileSettings, Settings, bytes};
use crate::domain::quantities::parse_duration;
use crate::store::{DatabaseUrl, StoreError};

/// Settings of the database.
#[derive(Debug, Clone, Args)]
pub struct DatabaseSettings {
    /// Database: sqlite:///path/to/file or postgres://user@host/database
    /// [default: gantry.db in the data folder]
    #[arg(long, env = "GANTRY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
}

impl DatabaseSettings {
    /// Address of the database.
    ///
    /// # Errors
    /// [`StoreError::Address`].
    pub fn url(&self, data_dir: &Path) -> Result<DatabaseUrl, StoreError> {
        match self.database_url.as_deref().filter(|url| !url.is_empty()) {
            Some(url) => DatabaseUrl::parse(url),
            None => Ok(DatabaseUrl::in_data_dir(data_dir)),
        }
    }
}

/// Settings of the pool of warm sandboxes.
#[derive(Debug, Clone, Args)]
pub struct PoolSettings {
    /// Most started, unused containers that wait for executions; 0 turns the pool off
    #[arg(long, env = "GANTRY_POOL_SIZE", value_name = "COUNT", default_value = "8")]
    pool_size: u16,

    /// Memory that waiting containers may use together, such as 512MiB [default: an
    /// eighth of what scripts may have]. Each counts as 8 MiB, or as 64 MiB with a
    /// Python interpreter in it, but never as more than its limit. All of them are
    /// removed while the machine is short of memory
    #[arg(long, env = "GANTRY_POOL_MEMORY", value_name = "SIZE", value_parser = bytes)]
    pool_memory: Option<u64>,
}

/// Share of scripts' memory that the pool may use by default, as a divisor.
const POOL_PART: u64 = 8;

impl PoolSettings {
    /// Most warm sandboxes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.pool_size.into()
    }

    /// Most memory of the warm sandboxes together, in bytes, on a machine with
    /// `for_scripts` bytes for scripts.
    #[must_use]
    pub fn memory_bytes(&self, for_scripts: u64) -> u64 {
        self.pool_memory.unwrap_or(for_scripts / POOL_PART)
    }
}

/// Settings of `gantry serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeSettings {
    /// Address to listen on; port 0 chooses a free one
    #[arg(long, env = "GANTRY_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8700")]
    listen: SocketAddr,

    /// Allow to listen on other addresses than loopback, without TLS: behind a proxy
    /// that adds TLS, on a trusted network
    #[arg(long, env = "GANTRY_ALLOW_PLAIN_HTTP")]
    allow_plain_http: bool,

    #[command(flatten)]
    database: DatabaseSettings,

    #[command(flatten)]
    files: FileSettings,

    /// Folders that scripts may be registered from by their path, separated by
    /// colons. A folder that does not exist allows nothing [default: none]
    #[arg(long, env = "GANTRY_SCRIPT_ROOTS", value_name = "DIRS", hide_env_values = true)]
    script_roots: Option<String>,

    /// Executions that run at once [default: four for each CPU]. They share the CPUs:
    /// each may use as many as its limit says while others leave them idle. Memory is
    /// reserved: the limits of those that run add up to at most the machine's memory
    /// less a tenth, or less 512 MiB where that is more; other executions wait
    #[arg(long, env = "GANTRY_MAX_CONCURRENT", value_name = "COUNT")]
    max_concurrent: Option<NonZeroU32>,

    #[command(flatten)]
    pool: PoolSettings,

    /// Environments that are built at once. Builds that take longer than 30 s no longer
    /// count, up to this many of them
    #[arg(long, env = "GANTRY_MAX_BUILDS", value_name = "COUNT", default_value = "2")]
    max_builds: NonZeroU16,

    /// Executions that may wait; further ones are refused with 429
    #[arg(long, env = "GANTRY_QUEUE_LIMIT", value_name = "COUNT", default_value = "1000")]
    queue_limit: NonZeroU32,

    /// Name of this machine among those that share a database [default: its host
    /// name]
    #[arg(long, env = "GANTRY_NODE", value_name = "NAME")]
    node: Option<String>,

    /// Days that an execution is kept after its end, with its logs and artifacts; then
    /// it is deleted. 0 keeps all for ever
    #[arg(long, env = "GANTRY_RETENTION_DAYS", value_name = "DAYS", default_value = "90")]
    retention_days: u32,

    /// Time that running executions have to end when the server is stopped. One that
    /// takes longer runs on, and the next start adopts it
    #[arg(
        long,
        env = "GANTRY_STOP_TIMEOUT",
        value_name = "TIME",
        default_value = "30s",
        value_parser = time
    )]
    stop_timeout: Duration,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

impl ServeSettings {
    /// Address to listen on.
    ///
    /// # Errors
    /// A message, if other machines could read unencrypted tokens.
    pub fn listen(&self) -> Result<SocketAddr, String> {
        if self.listen.ip().is_loopback() || self.allow_plain_http {
            return Ok(self.listen);
        }
        Err(format!(
            "{} can be reached from other machines, and tokens would travel unencrypted",
            self.listen
        ))
    }

    /// Settings of the database.
    #[must_use]
    pub fn database(&self) -> &DatabaseSettings {
        &self.database
    }

    /// Settings of the store of files.
    #[must_use]
    pub fn files(&self) -> &FileSettings {
        &self.files
    }

    /// Folders that scripts may be read from, with links resolved, without missing ones.
    #[must_use]
    pub fn script_roots(&self) -> Vec<PathBuf> {
        Settings::folders(self.script_roots.as_deref())
    }

    /// Most concurrent executions, on a machine with this many CPUs.
    #[must_use]
    pub fn max_concurrent(&self, cpus: u32) -> u32 {
        self.max_concurrent.map_or(cpus.saturating_mul(4), NonZeroU32::get)
    }

    /// Most concurrent builds of environments.
    #[must_use]
    pub fn max_builds(&self) -> usize {
        self.max_builds.get().into()
    }

    /// Settings of the pool.
    #[must_use]
    pub fn pool(&self) -> &PoolSettings {
        &self.pool
    }

    /// Most executions in the queue.
    #[must_use]
    pub fn queue_limit(&self) -> usize {
        usize::try_from(self.queue_limit.get()).unwrap_or(usize::MAX)
    }

    /// Name of this node.
    #[must_use]
    pub fn node(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let named = self.node.clone().filter(|name| !name.is_empty()).or_else(host);
        named.map_or_else(|| "localhost".to_owned(), |name| name.trim().to_owned())
    }

    /// Time for which ended executions are kept; `None` means forever.
    #[must_use]
    pub fn retention(&self) -> Option<Duration> {
        const DAY: u64 = 24 * 3_600;
        (self.retention_days > 0).then(|| Duration::from_secs(u64::from(self.retention_days) * DAY))
    }

    /// Time that running executions get to end at a stop.
    #[must_use]
    pub fn stop_timeout(&self) -> Duration {
        self.stop_timeout
    }
}

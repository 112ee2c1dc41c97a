//! Prometheus metrics: counts and times of executions, environments, the engine, the
//! database and HTTP. The number of series is bounded: scripts beyond the first
//! [`MAX_SCRIPTS`] count as `_other`, and routes are the router's patterns, never paths.
//! Metrics never influence behaviour.

mod pool;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::runtime::Handle;

use crate::domain::execution::Report;
use crate::orchestrator::{Load, Observer};
use pool::PoolGauges;

/// Most scripts with series of their own.
pub const MAX_SCRIPTS: usize = 1_000;

/// Label of all other scripts. No script has this name, because names begin with a letter.
const OTHER: &str = "_other";

/// Histogram buckets for times that are normally milliseconds, in seconds.
const SHORT: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Histogram buckets for scripts and builds, in seconds.
const LONG: [f64; 12] =
    [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 86_400.0];

/// Media type of [`Metrics::render`]'s text (OpenMetrics 1.0).
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    script: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sandboxes {
    start: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Built {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

/// All metrics of a server.
pub struct Metrics {
    registry: Registry,
    scripts: Mutex<HashSet<String>>,
    executions: Family<Ended, Counter>,
    duration: Histogram,
    queued: Histogram,
    overhead: Histogram,
    waiting: Gauge,
    running: Gauge,
    queue_limit: Gauge,
    sandboxes: Family<Sandboxes, Counter>,
    pool: PoolGauges,
    environments: Family<Built, Counter>,
    build: Histogram,
    engine_is_well: Gauge<i64, AtomicI64>,
    tasks: Gauge<i64, AtomicI64>,
    engine_starts: Family<Built, Counter>,
    requests: Family<Answered, Counter>,
    request_time: Family<Route, Histogram, fn() -> Histogram>,
    database_errors: Counter<u64, AtomicU64>,
    files: Gauge,
    file_bytes: Gauge,
    uploads: Gauge,
}

/// Files of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLoad {
    /// Files in the store.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
    /// Uploads in parts that are not finished.
    pub uploads: i64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("gantry"),
            scripts: Mutex::default(),
            executions: Family::default(),
            duration: long(),
            queued: short(),
            overhead: short(),
            waiting: Gauge::default(),
            running: Gauge::default(),
            queue_limit: Gauge::default(),
            sandboxes: Family::default(),
            pool: PoolGauges::default(),
            environments: Family::default(),
            build: long(),
            engine_is_well: Gauge::default(),
            tasks: Gauge::default(),
            engine_starts: Family::default(),
            requests: Family::default(),
            request_time: Family::new_with_constructor(short),
            database_errors: Counter::default(),
            files: Gauge::default(),
            file_bytes: Gauge::default(),
            uploads: Gauge::default(),
        };
        metrics.register_executions();
        metrics.register_pool();
        metrics.register_others();
        metrics
    }
}

fn short() -> Histogram {
    Histogram::new(SHORT)
}

fn long() -> Histogram {
    Histogram::new(LONG)
}

impl Metrics {
    fn register_executions(&mut self) {
        let registry = &mut self.registry;
        let help = "Executions that have ended, by script and outcome";
        registry.register("executions", help, self.executions.clone());
        let mut time = |name: &str, help: &str, times: &Histogram| {
            registry.register_with_unit(name, help, Unit::Seconds, times.clone());
        };
        time("execution_duration", "Time that scripts ran", &self.duration);
        time("execution_queued", "Time that executions waited for a place", &self.queued);
        let help = "Time that executions took beside waiting and the script itself";
        time("execution_overhead", help, &self.overhead);
        time("environment_build", "Time that environments took to build", &self.build);
        registry.register("queue_depth", "Executions that wait", self.waiting.clone());
        registry.register("running", "Executions that run", self.running.clone());
        let help = "Executions that may wait";
        registry.register("queue_limit", help, self.queue_limit.clone());
    }

    fn register_pool(&mut self) {
        let registry = &mut self.registry;
        let help = "Sandboxes that executions ran in, by start: warm or cold";
        registry.register("sandboxes", help, self.sandboxes.clone());
        self.pool.register(registry);
    }

    fn register_others(&mut self) {
        let registry = &mut self.registry;
        let help = "Environments that were built, by outcome";
        registry.register("environment_builds", help, self.environments.clone());
        let help = "0 from a failed start of a container until one succeeds, otherwise 1";
        registry.register("engine_is_well", help, self.engine_is_well.clone());
        let help = "Tasks of the server that have not ended; steady growth is a leak";
        registry.register("tasks", help, self.tasks.clone());
        let help = "Starts of containers, by outcome";
        registry.register("engine_starts", help, self.engine_starts.clone());
        let help = "HTTP requests, by route, method and status";
        registry.register("http_requests", help, self.requests.clone());
        let (name, help) =
            ("http_request_duration", "Time until the head of an answer, by route and method");
        registry.register_with_unit(name, help, Unit::Seconds, self.request_time.clone());
        let help = "Requests that failed because of the database";
        registry.register("database_errors", help, self.database_errors.clone());
        let help = "Files in the store, each counted once";
        registry.register("files", help, self.files.clone());
        let help = "Size of the files in the store, each counted once";
        registry.register_with_unit("files", help, Unit::Bytes, self.file_bytes.clone());
        let help = "Uploads in parts that are not finished";
        registry.register("uploads", help, self.uploads.clone());
    }

    /// Counts an answered HTTP request. `route` is the router's pattern.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        let labels = Route { method, route: route.clone() };
        self.request_time.get_or_create(&labels).observe(took.as_secs_f64());
        self.requests.get_or_create(&Answered { method, route, status }).inc();
    }

    /// Counts a request that failed because of the database.
    pub fn database_failed(&self) {
        self.database_errors.inc();
    }

    /// Sets what there is of files.
    pub fn set_files(&self, load: FileLoad) {
        self.files.set(load.files);
        self.file_bytes.set(load.bytes);
        self.uploads.set(load.uploads);
    }

    /// All metrics in Prometheus' text format, with the current `load`.
    #[must_use]
    pub fn render(&self, load: Load) -> String {
        self.waiting.set(whole(load.waiting));
        self.running.set(whole(load.running));
        self.queue_limit.set(whole(load.queue_limit));
        self.pool.set(load.pool);
        self.engine_is_well.set(i64::from(load.is_engine_well));
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.set(whole(runtime.metrics().num_alive_tasks()));
        }
        let mut rendered = String::new();
        // Writing to a string can't fail.
        let _ = text::encode(&mut rendered, &self.registry);
        rendered
    }

    /// Name of a script, or [`OTHER`] if there are too many.
    fn bounded(&self, script: &str) -> String {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        if scripts.contains(script) {
            return script.to_owned();
        }
        if scripts.len() >= MAX_SCRIPTS {
            return OTHER.to_owned();
        }
        scripts.insert(script.to_owned());
        script.to_owned()
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Observer for Metrics {
    fn execution_ended(&self, script: &str, report: &Report, queued: Duration) {
        let outcome = &report.outcome;
        let outcome = outcome.error_kind.map_or_else(|| outcome.status.name(), |kind| kind.name());
        self.executions.get_or_create(&Ended { script: self.bounded(script), outcome }).inc();
        self.queued.observe(queued.as_secs_f64());
        self.overhead.observe(report.overhead().as_secs_f64());
        if let Some(sandbox) = &report.sandbox {
            let start = if sandbox.warm { "warm" } else { "cold" };
            self.sandboxes.get_or_create(&Sandboxes { start }).inc();
        }
        if let Some(duration) = report.duration {
            self.duration.observe(duration.as_secs_f64());
        }
    }

    fn environment_built(&self, is_ok: bool, took: Duration) {
        self.environments.get_or_create(&Built { outcome: word(is_ok) }).inc();
        self.build.observe(took.as_secs_f64());
    }

    fn engine_started(&self, is_ok: bool) {
        self.engine_starts.get_or_create(&Built { outcome: word(is_ok) }).inc();
    }
}

fn word(is_ok: bool) -> &'static str {
    if is_ok { "ok" } else { "failed" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::domain::outcome::{ErrorKind, Outcome, Status};
    use crate::pool::PoolStatus;

    const POOL: PoolStatus = PoolStatus {
        size: 8,
        unused: 5,
        starting: 1,
        kinds: 2,
        failing: 0,
        floor: 4,
        floor_unmet: 1,
        memory_bytes: 40 << 20,
        memory_limit_bytes: Some(1 << 30),
        is_short_of_memory: false,
    };
    const UNWELL: Load =
        Load { waiting: 3, running: 2, queue_limit: 10, is_engine_well: false, pool: POOL };

    fn report(status: Status, error_kind: Option<ErrorKind>) -> Report {
        let outcome =
            Outcome { status, error_kind, error_message: None, exit_code: None, signal: None };
        Report::unstarted(outcome, clock::now())
    }

    #[test]
    fn what_is_seen_is_read() {
        let metrics = Metrics::default();
        metrics.execution_ended("a", &report(Status::Completed, None), Duration::from_millis(2));
        let failed = report(Status::Failed, Some(ErrorKind::OutOfMemory));
        metrics.execution_ended("a", &failed, Duration::ZERO);
        metrics.engine_started(false);
        metrics.set_files(FileLoad { files: 3, bytes: 7, uploads: 1 });
        metrics.answered("GET", "/api/v1/executions/{id}", 200, Duration::from_millis(1));
        let text = metrics.render(UNWELL);
        for line in [
            "gantry_executions_total{script=\"a\",outcome=\"completed\"} 1",
            "gantry_executions_total{script=\"a\",outcome=\"out_of_memory\"} 1",
            "gantry_execution_queued_seconds_count 2",
            "gantry_queue_depth 3",
            "gantry_running 2",
            "gantry_pool_unused 5",
            "gantry_pool_size 8",
            "gantry_pool_floor 4",
            "gantry_pool_floor_unmet 1",
            "gantry_pool_memory_bytes 41943040",
            "gantry_pool_memory_limit_bytes 1073741824",
            "gantry_pool_is_short_of_memory 0",
            "gantry_engine_is_well 0",
            "gantry_files 3",
            "gantry_files_bytes 7",
            "gantry_uploads 1",
            "gantry_http_requests_total{method=\"GET\",route=\"/api/v1/executions/{id}\",status=\"200\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }

    #[test]
    fn more_scripts_than_are_counted_are_counted_as_one() {
        let metrics = Metrics::default();
        for number in 0..MAX_SCRIPTS + 50 {
            let ended = report(Status::Completed, None);
            metrics.execution_ended(&format!("s{number}"), &ended, Duration::ZERO);
        }
        let text = metrics.render(UNWELL);
        let series = text.lines().filter(|it| it.starts_with("gantry_executions_total"));
        assert_eq!(series.count(), MAX_SCRIPTS + 1);
        assert!(
            text.contains("gantry_executions_total{script=\"_other\",outcome=\"completed\"} 50")
        );
    }
}

//! What a server takes of the machine at a moment, while executions go on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::Docker;

use crate::Failure;
use crate::harness::series::Series;
use crate::harness::served::containers;
use crate::harness::server::Server;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// A moment.
pub(crate) struct Sample {
    /// Executions that were over.
    pub(crate) done: u64,
    /// Since the first began.
    pub(crate) seconds: f64,
    /// Resident memory of the server, in MiB.
    pub(crate) rss: f64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    /// Of this server, those that wait for executions included.
    pub(crate) containers: usize,
    /// Of the database, its log included, in MiB.
    pub(crate) database: f64,
    /// Of all else in the data folder, in MiB.
    pub(crate) others: f64,
    /// Of the executions since the last moment.
    pub(crate) times: Series,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} after {:.0} s: {:.1} MiB, {} descriptors, {} threads, {} containers, median {:.0} \
             ms, p95 {:.0} ms",
            self.done,
            self.seconds,
            self.rss,
            self.descriptors,
            self.threads,
            self.containers,
            self.times.median(),
            self.times.p95(),
        )
    }
}

impl Sample {
    /// Says on stderr how far it is.
    pub(super) fn shown(self) -> Self {
        eprintln!("soak: {self}");
        self
    }
}

/// Takes samples.
pub(super) struct Probe {
    docker: Docker,
    data: PathBuf,
    times: Series,
}

impl Probe {
    pub(super) fn new(data: &Path) -> Result<Self, Failure> {
        let docker = Docker::connect_with_defaults()?;
        Ok(Self { docker, data: data.to_owned(), times: Series::new("") })
    }

    /// An execution is over.
    pub(super) fn add(&mut self, took: Duration) {
        self.times.add(took);
    }

    pub(super) async fn sample(
        &mut self,
        server: &Server,
        done: u64,
        since: Duration,
    ) -> Result<Sample, Failure> {
        let (database, others) = sizes(&self.data)?;
        Ok(Sample {
            done,
            seconds: since.as_secs_f64(),
            rss: server.memory("VmRSS")?,
            descriptors: server.descriptors(),
            threads: server.threads(),
            containers: containers(&self.docker, &self.data).await?.len(),
            database,
            others,
            times: std::mem::replace(&mut self.times, Series::new("")),
        })
    }
}

/// The database and all else, in MiB.
fn sizes(data: &Path) -> Result<(f64, f64), Failure> {
    let (mut database, mut others) = (0, 0);
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)?.flatten() {
            // What is only there for a moment may be gone.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().starts_with("gantry.db") {
                database += metadata.len();
            } else {
                others += metadata.len();
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok((database as f64 / MIB, others as f64 / MIB))
}

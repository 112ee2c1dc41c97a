//! Settings of the store of files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::bytes;
use crate::disk::DiskReserve;
use crate::domain::quantities::parse_duration;

/// Settings of the store of files.
#[derive(Debug, Clone, Args)]
pub struct FileSettings {
    /// Folder of uploaded files and of files that executions leave [default: files in the
    /// data folder]
    #[arg(long = "files-dir", env = "GANTRY_FILES", value_name = "DIR", hide_env_values = true)]
    files_dir: Option<PathBuf>,

    /// Size that the uploaded files of one token may have together
    #[arg(
        long,
        env = "GANTRY_FILES_QUOTA",
        value_name = "SIZE",
        default_value = "500GiB",
        value_parser = bytes
    )]
    files_quota: u64,

    /// Time that a file is kept which nobody holds any longer
    #[arg(
        long,
        env = "GANTRY_FILES_GRACE",
        value_name = "TIME",
        default_value = "24h",
        value_parser = grace
    )]
    files_grace: Duration,

    /// Space that is kept free on the disks of files and scratch folders [default: 5 % of
    /// the disk, at most 10 GiB]
    #[arg(long, env = "GANTRY_DISK_RESERVE", value_name = "SIZE", value_parser = bytes)]
    disk_reserve: Option<u64>,
}

fn grace(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

impl FileSettings {
    /// Folder of the store.
    #[must_use]
    pub fn folder(&self, data_dir: &Path) -> PathBuf {
        let set = self.files_dir.as_ref().filter(|it| !it.as_os_str().is_empty());
        let folder = set.cloned().unwrap_or_else(|| data_dir.join("files"));
        std::path::absolute(&folder).unwrap_or(folder)
    }

    /// Bytes of a token's files together.
    #[must_use]
    pub fn quota(&self) -> u64 {
        self.files_quota
    }

    /// Time that a file is kept which nobody holds.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.files_grace
    }

    /// Free space that is kept on disks.
    #[must_use]
    pub fn reserve(&self) -> DiskReserve {
        DiskReserve::new(self.disk_reserve)
    }
}

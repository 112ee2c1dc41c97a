//! Limits of one execution. Bounds are checked once, here, so that the engine never gets a
//! value that it would refuse or, worse, read as "no limit" (0).

mod error;
mod timeout;

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::quantities::{MIN_NANO_CPUS, NANO_CPUS_PER_CPU};
use error::bytes_shown;

pub use error::LimitsError;
pub use timeout::Timeout;

const MIB: u64 = 1024 * 1024;

/// Most CPUs, in nano CPUs: more than any machine has, less than overflows.
pub const MAX_NANO_CPUS: u64 = 1024 * NANO_CPUS_PER_CPU;

/// Least memory, in bytes (16 MiB). The engine's own minimum is 6 MiB; init, the script in
/// memory and an interpreter need the rest: Python alone takes about 10 MiB before its
/// first line.
pub const MIN_MEMORY_BYTES: u64 = 16 * MIB;

/// Most memory, in bytes (1 TiB).
pub const MAX_MEMORY_BYTES: u64 = 1024 * 1024 * MIB;

/// Fewest processes and threads: init, the script, and a pipeline.
pub const MIN_PIDS: u32 = 8;

/// Most processes and threads: the kernel's `pid_max` on small machines
/// (proc(5)), so that one sandbox can't use up all of the host's.
pub const MAX_PIDS: u32 = 32_768;

/// Least space for files, in bytes (1 MiB).
pub const MIN_SCRATCH_BYTES: u64 = MIB;

/// Least scratch space on disk, in bytes (16 MiB): less has room in memory.
pub const MIN_DISK_BYTES: u64 = 16 * MIB;

/// Most scratch space on disk, in bytes (16 TiB): the largest file of ext4.
pub const MAX_DISK_BYTES: u64 = 16 * 1024 * 1024 * MIB;

/// Default number of files that an execution may leave.
pub const DEFAULT_FILE_COUNT: u32 = 10_000;

/// Most files that an execution may leave.
pub const MAX_FILE_COUNT: u32 = 100_000;

/// Least limit on the kept part of each of stdout and stderr, in bytes (1 KiB): enough for
/// a last message.
pub const MIN_OUTPUT_BYTES: u64 = 1024;

/// Greatest limit on the kept part of each of stdout and stderr, in bytes (256 MiB): the
/// orchestrator holds it in memory while the script runs.
pub const MAX_OUTPUT_BYTES: u64 = 256 * MIB;

/// Time between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(1);

/// Limits of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "WireLimits", try_from = "WireLimits")]
pub struct Limits {
    /// CPU limit, in billionths of a CPU.
    pub nano_cpus: u64,
    /// Memory limit, which includes all files in `/work` and `/tmp`, in bytes. There is no
    /// swap.
    pub memory_bytes: u64,
    /// Most processes and threads at once, including init.
    pub pids: u32,
    /// Size of the private writable directories in memory, in bytes. This is part of
    /// `memory_bytes` and at most half of it. With `disk_bytes` it is that of /tmp alone.
    pub scratch_bytes: u64,
    /// Size of /work on the host's disk, in bytes; 0 means that /work is in memory.
    pub disk_bytes: u64,
    /// Most files that it may leave in /work/out.
    pub file_count: u32,
    /// Most bytes kept of each of stdout and stderr.
    pub output_bytes: u64,
}

impl Default for Limits {
    /// Default limits: 1 CPU, 512 MiB of memory, 256 processes, 128 MiB for files in
    /// memory, none on disk, 10,000 files left, 10 MiB of each output.
    fn default() -> Self {
        Self {
            nano_cpus: NANO_CPUS_PER_CPU,
            memory_bytes: 512 * MIB,
            pids: 256,
            scratch_bytes: 128 * MIB,
            disk_bytes: 0,
            file_count: DEFAULT_FILE_COUNT,
            output_bytes: 10 * MIB,
        }
    }
}

impl Limits {
    /// Checks every field.
    ///
    /// # Errors
    /// [`LimitsError`] for the first field that is out of bounds.
    pub fn validate(&self) -> Result<(), LimitsError> {
        within("cpus", self.nano_cpus, MIN_NANO_CPUS, MAX_NANO_CPUS, cpus_shown)?;
        let (least, most) = (MIN_MEMORY_BYTES, MAX_MEMORY_BYTES);
        within("memory_bytes", self.memory_bytes, least, most, bytes_shown)?;
        let number = |pids: u64| pids.to_string();
        within("pids", self.pids.into(), MIN_PIDS.into(), MAX_PIDS.into(), number)?;
        let (least, most) = (MIN_SCRATCH_BYTES, MAX_MEMORY_BYTES / 2);
        within("scratch_bytes", self.scratch_bytes, least, most, bytes_shown)?;
        let (least, most) = (MIN_OUTPUT_BYTES, MAX_OUTPUT_BYTES);
        within("output_bytes", self.output_bytes, least, most, bytes_shown)?;
        if self.disk_bytes > 0 {
            let (least, most) = (MIN_DISK_BYTES, MAX_DISK_BYTES);
            within("disk_bytes", self.disk_bytes, least, most, bytes_shown)?;
        }
        within("file_count", self.file_count.into(), 1, MAX_FILE_COUNT.into(), number)?;
        if self.scratch_bytes > self.memory_bytes / 2 {
            return Err(LimitsError::ScratchOverMemory {
                scratch: bytes_shown(self.scratch_bytes),
                memory: bytes_shown(self.memory_bytes),
                needed_bytes: self.scratch_bytes * 2,
            });
        }
        Ok(())
    }

    /// Number of CPUs, rounded up, so that programs use the whole limit.
    #[must_use]
    pub fn whole_cpus(&self) -> u64 {
        self.nano_cpus.div_ceil(NANO_CPUS_PER_CPU).max(1)
    }

    /// The same limits with scratch space that fits the memory, for callers that set only
    /// the memory: a quarter of it, at least 128 MiB, at most half of it.
    #[must_use]
    pub fn with_fitting_scratch(self) -> Self {
        let scratch = (self.memory_bytes / 4).max(128 * MIB).min(self.memory_bytes / 2);
        Self { scratch_bytes: scratch, ..self }
    }
}

fn within(
    field: &'static str,
    value: u64,
    least: u64,
    most: u64,
    show: fn(u64) -> String,
) -> Result<(), LimitsError> {
    if value < least {
        return Err(LimitsError::TooLittle { field, value: show(value), bound: show(least) });
    }
    if value > most {
        return Err(LimitsError::TooMuch { field, value: show(value), bound: show(most) });
    }
    Ok(())
}

fn cpus_shown(nano_cpus: u64) -> String {
    cpus(nano_cpus).to_string()
}

#[expect(clippy::cast_precision_loss, reason = "1024 CPUs in nano CPUs are below 2^53")]
fn cpus(nano_cpus: u64) -> f64 {
    nano_cpus as f64 / NANO_CPUS_PER_CPU as f64
}

/// Limits in JSON. A missing field has its default; an unknown one is refused, because a
/// node must not run a script without a limit that it does not know. Fields that came later
/// are left out while they have their default, so that older nodes run what they can.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLimits {
    #[serde(default, serialize_with = "serialize_cpus")]
    cpus: Option<f64>,
    memory_bytes: Option<u64>,
    pids: Option<u32>,
    scratch_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_count: Option<u32>,
    output_bytes: Option<u64>,
}

impl From<Limits> for WireLimits {
    fn from(limits: Limits) -> Self {
        Self {
            cpus: Some(cpus(limits.nano_cpus)),
            memory_bytes: Some(limits.memory_bytes),
            pids: Some(limits.pids),
            scratch_bytes: Some(limits.scratch_bytes),
            disk_bytes: Some(limits.disk_bytes).filter(|it| *it > 0),
            file_count: Some(limits.file_count).filter(|it| *it != DEFAULT_FILE_COUNT),
            output_bytes: Some(limits.output_bytes),
        }
    }
}

impl TryFrom<WireLimits> for Limits {
    type Error = LimitsError;

    fn try_from(wire: WireLimits) -> Result<Self, LimitsError> {
        let default = Self::default();
        let nano_cpus = wire.cpus.map(nano_cpus).transpose()?;
        let limits = Self {
            nano_cpus: nano_cpus.unwrap_or(default.nano_cpus),
            memory_bytes: wire.memory_bytes.unwrap_or(default.memory_bytes),
            pids: wire.pids.unwrap_or(default.pids),
            scratch_bytes: wire.scratch_bytes.unwrap_or(default.scratch_bytes),
            disk_bytes: wire.disk_bytes.unwrap_or(default.disk_bytes),
            file_count: wire.file_count.unwrap_or(default.file_count),
            output_bytes: wire.output_bytes.unwrap_or(default.output_bytes),
        };
        let limits =
            if wire.scratch_bytes.is_none() { limits.with_fitting_scratch() } else { limits };
        limits.validate().map(|()| limits)
    }
}

fn serialize_cpus<S: Serializer>(cpus: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serialize_number(cpus.unwrap_or_default(), serializer)
}

/// Writes all limits, those that have their default included: for people and clients, who
/// need not know the defaults.
///
/// # Errors
/// The serializer's.
pub fn in_full<S: Serializer>(limits: &Limits, serializer: S) -> Result<S::Ok, S::Error> {
    let disk_bytes = Some(limits.disk_bytes);
    let file_count = Some(limits.file_count);
    WireLimits { disk_bytes, file_count, ..WireLimits::from(*limits) }.serialize(serializer)
}

/// Writes `1` rather than `1.0`, because some readers distinguish them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and whole")]
fn serialize_number<S: Serializer>(number: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 {
        return serializer.serialize_u64(number as u64);
    }
    serializer.serialize_f64(number)
}

/// Nearest whole number of nano CPUs.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
fn nano_cpus(cpus: f64) -> Result<u64, LimitsError> {
    let nanos = (cpus * NANO_CPUS_PER_CPU as f64).round();
    if (0.0..1e18).contains(&nanos) {
        return Ok(nanos as u64);
    }
    Err(LimitsError::NotANumber { field: "cpus", value: cpus.to_string() })
}

/// Least memory reserved for the engine, this process and the kernel, in bytes (512 MiB).
const RESERVE: u64 = 512 << 20;

/// Memory of a machine that scripts may use, in bytes: all but a tenth or 512 MiB,
/// whichever is more, but at least half.
#[must_use]
pub fn memory_for_scripts(memory_bytes: u64) -> u64 {
    let reserve = RESERVE.max(memory_bytes / 10).min(memory_bytes / 2);
    memory_bytes - reserve
}

#[cfg(test)]
mod tests;

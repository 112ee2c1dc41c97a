//! Resources of the machine that runs sandboxes.

use std::path::Path;
use std::sync::Arc;

use crate::config::ServeSettings;
use crate::disk::{DiskReserve, Space};
use crate::domain::limits::memory_for_scripts;
use crate::engine::docker::Docker;
use crate::orchestrator::Capacity;
use crate::pool::{Budget, MachineMemory};
use crate::registry::HostLimits;

/// One CPU in nano CPUs.
const CPU: u64 = 1_000_000_000;

/// Machine that runs sandboxes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    cpus: u32,
    nano_cpus: u64,
    /// Memory available to scripts, in bytes.
    memory_bytes: u64,
}

impl Machine {
    /// Asks the engine; if it is unavailable, assumes that it runs on this machine.
    pub(super) async fn look(docker: &Docker) -> Self {
        let (cpus, memory) = match docker.describe().await {
            Ok(engine) => (engine.cpus, engine.memory_bytes),
            Err(error) => {
                tracing::warn!(%error, "the engine did not say what its machine has");
                here()
            }
        };
        Self { cpus, nano_cpus: u64::from(cpus) * CPU, memory_bytes: memory_for_scripts(memory) }
    }

    /// Capacity for all executions together. Memory is exclusive to one execution. CPUs are shared
    /// by the kernel: as many executions may run as find one each, and their use is bounded by the
    /// machine.
    pub(super) fn capacity(self, serve: &ServeSettings, scratch: &Path) -> Capacity {
        let executions = serve.max_concurrent(self.cpus);
        Capacity {
            executions,
            memory_bytes: self.memory_bytes,
            nano_cpus: self.nano_cpus.max(u64::from(executions) * CPU),
            disk_bytes: disk_for_scratch(scratch, serve.files().reserve()),
        }
    }

    /// Most resources of one execution.
    pub(super) fn host_limits(self) -> HostLimits {
        HostLimits { nano_cpus: self.nano_cpus, memory_bytes: self.memory_bytes }
    }

    /// Budget of unused sandboxes. Free memory is only known for this machine.
    pub(super) fn pool_budget(self, serve: &ServeSettings, is_local: bool) -> Budget {
        Budget {
            memory_bytes: serve.pool().memory_bytes(self.memory_bytes),
            machine: Arc::new(move || is_local.then(read_memory).flatten()),
        }
    }
}

/// Most scratch on the disk of this folder, in bytes; 0 if it can't be looked at.
fn disk_for_scratch(folder: &Path, reserve: DiskReserve) -> u64 {
    match Space::below(folder) {
        Ok(space) => space.total.saturating_sub(reserve.bytes(space)),
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "there is no disk for scratch");
            0
        }
    }
}

/// Memory of this machine; `None` if it can't be read.
fn read_memory() -> Option<MachineMemory> {
    memory_in(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// Memory as reported by the kernel (proc(5)).
fn memory_in(meminfo: &str) -> Option<MachineMemory> {
    let bytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
        let kib: u64 = line?.trim().trim_end_matches("kB").trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    Some(MachineMemory { total: bytes("MemTotal:")?, available: bytes("MemAvailable:")? })
}

/// CPUs and memory of this machine (proc(5)).
fn here() -> (u32, u64) {
    let cpus = std::thread::available_parallelism().map_or(1, |it| it.get());
    let memory = read_memory().map_or(1 << 30, |it| it.total);
    (u32::try_from(cpus).unwrap_or(1), memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_tells_it() {
        let text = "MemTotal:        8049468 kB\nMemFree:  1 kB\nMemAvailable:    123456 kB\n";
        let memory = MachineMemory { total: 8_049_468 << 10, available: 123_456 << 10 };
        assert_eq!(memory_in(text), Some(memory));
        for text in ["", "MemTotal: 1 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n"] {
            assert_eq!(memory_in(text), None);
        }
    }
}

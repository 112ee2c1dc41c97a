//! What the machine that runs sandboxes has.

use crate::config::ServeSettings;
use crate::engine::docker::Docker;
use crate::orchestrator::Capacity;

/// A CPU in nano CPUs.
const CPU: u64 = 1_000_000_000;

/// Least memory that is left to the engine, to this process and to the kernel, in
/// bytes (512 MiB), whatever scripts may ask for together.
const RESERVE: u64 = 512 << 20;

/// The machine that runs sandboxes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    cpus: u32,
    pub(super) nano_cpus: u64,
    /// What scripts may have of it, in bytes.
    pub(super) memory_bytes: u64,
}

impl Machine {
    /// Asks the engine; when it is out, this machine is taken for its.
    pub(super) async fn look(docker: &Docker) -> Self {
        let (cpus, memory) = match docker.describe().await {
            Ok(engine) => (engine.cpus, engine.memory_bytes),
            Err(error) => {
                tracing::warn!(%error, "the engine did not say what its machine has");
                here()
            }
        };
        Self { cpus, nano_cpus: u64::from(cpus) * CPU, memory_bytes: for_scripts(memory) }
    }

    /// What executions may take together. Memory that one has no other can have.
    /// CPUs are shared by those that run at once, as the kernel shares them: as
    /// many as may run find one each, and what they use is bounded by the machine.
    pub(super) fn capacity(self, serve: &ServeSettings) -> Capacity {
        let executions = serve.max_concurrent(self.cpus);
        Capacity {
            executions,
            memory_bytes: self.memory_bytes,
            nano_cpus: self.nano_cpus.max(u64::from(executions) * CPU),
        }
    }
}

/// What scripts may have of a machine's memory, in bytes: a tenth is left, and no
/// less than [`RESERVE`], but never more than half of it.
fn for_scripts(memory_bytes: u64) -> u64 {
    let reserve = RESERVE.max(memory_bytes / 10).min(memory_bytes / 2);
    memory_bytes - reserve
}

/// CPUs and memory of this machine (proc(5)).
fn here() -> (u32, u64) {
    let cpus = std::thread::available_parallelism().map_or(1, |it| it.get());
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> =
        total.and_then(|text| text.trim().trim_end_matches("kB").trim().parse().ok());
    (u32::try_from(cpus).unwrap_or(1), kib.unwrap_or(1 << 20) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_keeps_a_part_of_its_memory_and_scripts_have_some() {
        const GIB: u64 = 1 << 30;
        assert_eq!(for_scripts(100 * GIB), 90 * GIB);
        assert_eq!(for_scripts(4 * GIB), 4 * GIB - RESERVE);
        assert_eq!(for_scripts(GIB / 2), GIB / 4);
    }
}

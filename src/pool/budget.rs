//! Memory budget of the pool, and the point at which it is emptied.
//!
//! An unused sandbox counts with the memory that it really takes, not with its limit: the
//! limit is reserved when an execution takes it. The memory is not measured for each
//! sandbox. Each way of waiting has one figure, rounded up from measurements, and no
//! sandbox counts more than its limit.

use std::sync::Arc;

use super::Template;

const MIB: u64 = 1 << 20;

/// Memory of a sandbox with nothing but PID 1, in bytes. Measured: 3 to 4 MiB, with the
/// engine's own part.
pub const BARE_BYTES: u64 = 8 * MIB;

/// Memory of a sandbox with a stand-by interpreter and its modules, in bytes. Measured:
/// 30 to 100 MiB.
pub const PREPARED_BYTES: u64 = 64 * MIB;

/// The machine is short of memory when less than one part in this many is available.
const LEAST_PART: u64 = 20;

/// Bounds of that part, in bytes.
const LEAST: (u64, u64) = (128 * MIB, 1024 * MIB);

/// Factor of hysteresis: the shortage ends when this many times that part is available,
/// so that refilling the pool does not start the next one.
const ENOUGH: u64 = 2;

/// Memory of the machine that runs sandboxes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineMemory {
    /// Total memory.
    pub total: u64,
    /// Memory available without swapping (`MemAvailable`, proc(5)).
    pub available: u64,
}

/// Reads the machine's memory; `None` when it is unknown, as for a remote engine. Called
/// every few seconds, on an async thread.
pub type ReadMemory = Arc<dyn Fn() -> Option<MachineMemory> + Send + Sync>;

/// Memory budget of the pool.
#[derive(Clone)]
pub struct Budget {
    /// Limit on the memory of all unused sandboxes, in bytes.
    pub memory_bytes: u64,
    /// Reads the memory of the machine that runs them.
    pub machine: ReadMemory,
}

/// Estimated memory of one unused sandbox, in bytes.
pub(super) fn estimated_bytes(template: &Template) -> u64 {
    let has_stand_by = template.preparation.stand_by.is_some();
    let taken = if has_stand_by { PREPARED_BYTES } else { BARE_BYTES };
    taken.min(template.spec.limits.memory_bytes)
}

/// Detector of memory shortage. Pure: readings are arguments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MemoryPressure {
    is_on: bool,
}

impl MemoryPressure {
    /// True while the machine is short of memory.
    pub(super) fn is_on(self) -> bool {
        self.is_on
    }

    /// Records a reading; returns true if the state has changed.
    pub(super) fn read(&mut self, memory: Option<MachineMemory>) -> bool {
        let before = self.is_on;
        self.is_on = memory.is_some_and(|memory| {
            let least = (memory.total / LEAST_PART).clamp(LEAST.0, LEAST.1);
            memory.available < if before { least.saturating_mul(ENOUGH) } else { least }
        });
        self.is_on != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::Limits;
    use crate::domain::run_folder::RunFolder;
    use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
    use gantry_init::message::{Launch, Preparation, StandBy};

    fn read(available: u64) -> Option<MachineMemory> {
        Some(MachineMemory { total: 10_240 * MIB, available: available * MIB })
    }

    #[test]
    fn a_machine_that_is_short_must_have_twice_as_much_to_be_well_again() {
        let mut pressure = MemoryPressure::default();
        assert!(!pressure.read(read(513)) && !pressure.is_on());
        assert!(pressure.read(read(511)) && pressure.is_on());
        assert!(!pressure.read(read(1_000)) && pressure.is_on());
        assert!(pressure.read(read(1_024)) && !pressure.is_on());
    }

    #[test]
    fn what_is_not_known_is_not_short() {
        let mut pressure = MemoryPressure::default();
        pressure.read(read(0));
        assert!(pressure.read(None) && !pressure.is_on());
        // An engine on the smallest of machines needs some, too.
        let mut tiny = MemoryPressure::default();
        let memory = MachineMemory { total: 512 * MIB, available: 100 * MIB };
        assert!(tiny.read(Some(memory)));
        let mut huge = MemoryPressure::default();
        let memory = MachineMemory { total: u64::MAX, available: 1_024 * MIB };
        assert!(!huge.read(Some(memory)));
    }

    #[test]
    fn no_sandbox_counts_more_than_its_limit() {
        let stand_by = StandBy {
            launch: Launch::Executable { name: String::new() },
            working_directory: String::new(),
            differing: Vec::new(),
            own_env: Vec::new(),
            env: Vec::new(),
            source: String::new(),
            modules: None,
        };
        let template = |memory_bytes, stand_by| Template {
            spec: SandboxSpec {
                image: String::new(),
                limits: Limits { memory_bytes, ..Limits::default() },
                network: Network::None,
                mounts: Vec::new(),
                owner: None,
                folder: RunFolder::None,
                oci_runtime: None,
                exec: true,
                purpose: Purpose::Execution,
            },
            preparation: Preparation { stand_by, ..Preparation::default() },
        };
        assert_eq!(estimated_bytes(&template(4096 * MIB, None)), BARE_BYTES);
        assert_eq!(estimated_bytes(&template(4096 * MIB, Some(stand_by.clone()))), PREPARED_BYTES);
        assert_eq!(estimated_bytes(&template(32 * MIB, Some(stand_by))), 32 * MIB);
    }
}

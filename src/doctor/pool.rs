//! The unused sandboxes that scripts want to be held, and whether there is room.

use super::Finding;
use crate::domain::quantities::show_bytes;
use crate::pool::BARE_BYTES;

const SUBJECT: &str = "pool";

/// What the pool of a server may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Sandboxes.
    pub(super) size: u64,
    /// What they may count, in bytes.
    pub(super) memory_bytes: u64,
}

/// Whether there is room for the sandboxes that scripts want to be held. None of
/// them takes less than a bare one.
pub(super) fn floors(limits: Limits, asked: u64) -> Finding {
    let Limits { size, memory_bytes } = limits;
    let memory = show_bytes(memory_bytes);
    let seen = match (size, asked) {
        (0, 0) => return Finding::ok(SUBJECT, "off (GANTRY_POOL_SIZE is 0)"),
        (_, 0) => format!("at most {size} sandboxes wait unused, in {memory}"),
        _ => format!(
            "scripts want {asked} sandboxes to be held (`warm`); at most {size} are, in {memory}"
        ),
    };
    if asked > size {
        let advice = format!("set GANTRY_POOL_SIZE to {asked} or more, or lower `warm`");
        return Finding::warning(SUBJECT, seen, advice);
    }
    let least = asked.saturating_mul(BARE_BYTES);
    if least > memory_bytes {
        let least = show_bytes(least);
        let advice = format!("set GANTRY_POOL_MEMORY to {least} or more, or lower `warm`");
        return Finding::warning(SUBJECT, seen, advice);
    }
    Finding::ok(SUBJECT, seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Standing;

    #[test]
    fn what_there_is_no_room_for_is_said_with_what_to_do() {
        let found =
            |size, memory: u64, asked| floors(Limits { size, memory_bytes: memory << 20 }, asked);
        assert_eq!(found(8, 512, 8).standing, Standing::Ok);
        assert_eq!(found(0, 512, 0).standing, Standing::Ok);
        assert_eq!(found(0, 512, 1).standing, Standing::Warning);
        assert!(found(8, 512, 9).advice.unwrap().contains("GANTRY_POOL_SIZE to 9"));
        assert!(found(8, 16, 3).advice.unwrap().contains("GANTRY_POOL_MEMORY to 24 MiB"));
    }
}

//! The unused sandboxes that scripts want to be held, and whether there is room.

use super::Finding;
use crate::domain::quantities::show_bytes;
use crate::domain::sanitize::sanitize;
use crate::pool::BARE_BYTES;
use crate::store::NotPreloaded;

const SUBJECT: &str = "pool";

/// Scripts that are named; there may be many.
const MAX_NAMED: usize = 3;

/// Limits of a server's pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Sandboxes.
    pub(super) size: u64,
    /// Most memory that they may count, in bytes.
    pub(super) memory_bytes: u64,
}

/// Checks that the pool has room for the sandboxes that scripts want to be held. None of
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

/// Scripts whose modules are imported only when they are called, although unused
/// sandboxes are held for them.
pub(super) fn preloading(scripts: &[NotPreloaded]) -> Option<Finding> {
    if scripts.is_empty() {
        return None;
    }
    let named = scripts.iter().take(MAX_NAMED);
    let named: Vec<_> =
        named.map(|it| format!("{}: {}", it.name, sanitize(&it.preload_reason))).collect();
    let (count, named) = (scripts.len(), named.join("; "));
    let more = if count > MAX_NAMED { "; \u{2026}" } else { "" };
    let seen = format!("{count} of the scripts last called are not preloaded: {named}{more}");
    let advice = "list in `preload` the modules that may be imported ahead, or set it to false";
    Some(Finding::warning(SUBJECT, seen, advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn what_there_is_no_room_for_is_said_with_what_to_do() {
        let found =
            |size, memory: u64, asked| floors(Limits { size, memory_bytes: memory << 20 }, asked);
        assert_eq!(found(8, 512, 8).severity, Severity::Ok);
        assert_eq!(found(0, 512, 0).severity, Severity::Ok);
        assert_eq!(found(0, 512, 1).severity, Severity::Warning);
        assert!(found(8, 512, 9).advice.unwrap().contains("GANTRY_POOL_SIZE to 9"));
        assert!(found(8, 16, 3).advice.unwrap().contains("GANTRY_POOL_MEMORY to 24 MiB"));
    }

    #[test]
    fn scripts_that_are_not_preloaded_are_named_with_the_reason() {
        let script = |name: &str| NotPreloaded {
            name: name.to_owned(),
            preload_reason: "it uses EXECUTION_ID".to_owned(),
        };
        assert!(preloading(&[]).is_none());
        let one = preloading(&[script("a")]).unwrap();
        assert_eq!(one.severity, Severity::Warning);
        assert!(one.seen.ends_with("a: it uses EXECUTION_ID"), "{}", one.seen);
        let many = preloading(&["a", "b", "c", "d"].map(script)).unwrap();
        assert!(many.seen.starts_with("4 of") && many.seen.ends_with("; \u{2026}"));
    }
}

//! Pool metrics, read at the time of scraping.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::whole;
use crate::pool::PoolStatus;

/// Gauge for each number of [`PoolStatus`].
#[derive(Default)]
pub(super) struct PoolGauges {
    unused: Gauge,
    starting: Gauge,
    size: Gauge,
    kinds: Gauge,
    failing: Gauge,
    floor: Gauge,
    floor_unmet: Gauge,
    memory: Gauge,
    memory_limit: Gauge,
    is_short_of_memory: Gauge,
}

impl PoolGauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| {
            registry.register(name, help, gauge.clone());
        };
        gauge("pool_unused", "Started, unused sandboxes", &self.unused);
        gauge("pool_starting", "Sandboxes that are being started for the pool", &self.starting);
        gauge("pool_size", "Most unused sandboxes that are kept", &self.size);
        gauge("pool_kinds", "Kinds of sandboxes that were asked for lately", &self.kinds);
        gauge("pool_failing", "Kinds of sandboxes whose last start has failed", &self.failing);
        gauge(
            "pool_floor",
            "Unused sandboxes that scripts ask for by their field warm",
            &self.floor,
        );
        let help = "Unused sandboxes that scripts ask for and there is no room for";
        gauge("pool_floor_unmet", help, &self.floor_unmet);
        let help = "1 while no sandbox is kept because the machine is short of memory";
        gauge("pool_is_short_of_memory", help, &self.is_short_of_memory);
        let mut bytes = |name: &str, help: &str, gauge: &Gauge| {
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        };
        bytes("pool_memory", "Memory that unused sandboxes count as", &self.memory);
        bytes(
            "pool_memory_limit",
            "Memory that unused sandboxes may count as together",
            &self.memory_limit,
        );
    }

    pub(super) fn set(&self, pool: PoolStatus) {
        self.unused.set(whole(pool.unused));
        self.starting.set(whole(pool.starting));
        self.size.set(whole(pool.size));
        self.kinds.set(whole(pool.kinds));
        self.failing.set(whole(pool.failing));
        self.floor.set(whole(pool.floor));
        self.floor_unmet.set(whole(pool.floor_unmet));
        self.is_short_of_memory.set(i64::from(pool.is_short_of_memory));
        let limit = pool.memory_limit_bytes.unwrap_or(u64::MAX);
        self.memory.set(i64::try_from(pool.memory_bytes).unwrap_or(i64::MAX));
        self.memory_limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }
}

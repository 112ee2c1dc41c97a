//! What a seed decides: what stands where, what is submitted, and in which order
//! things break. When exactly they meet is up to the machine.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::faults::Fault;
use crate::scripts::Kind;
use crate::testkit::private_engine::LiveRestore;

/// One of so many orders is sent again after it was accepted.
const SENT_AGAIN: u32 = 10;

/// One of so many executions is cancelled, whatever it does.
const CANCELLED: u32 = 12;

/// When an execution is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Never,
    /// Soon after it was accepted.
    Soon,
    /// Just before the server is killed.
    BeforeKill,
}

/// What one run consists of.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) is_on_postgres: bool,
    pub(crate) live_restore: LiveRestore,
    pub(crate) orders: Vec<Order>,
}

/// One thing that a pipeline wants to be done.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Its `Idempotency-Key`.
    pub(crate) key: String,
    pub(crate) kind: Kind,
    pub(crate) size: u32,
    pub(crate) is_sent_again: bool,
    pub(crate) cancelled: Cancelled,
    /// Milliseconds before it, since the one before.
    pub(crate) pause_ms: u64,
}

impl Plan {
    pub(crate) fn new(seed: u64, executions: usize) -> Self {
        let mut random = generator(seed, 0);
        let deck: Vec<_> = Kind::ALL
            .into_iter()
            .flat_map(|kind| std::iter::repeat_n(kind, kind.weight() as usize))
            .collect();
        let orders = (0..executions).map(|number| {
            let kind = deck[random.random_range(0..deck.len())];
            let (least, most) = kind.sizes();
            Order {
                key: format!("chaos-{seed}-{number}"),
                kind,
                size: random.random_range(least..=most),
                is_sent_again: random.random_range(0..SENT_AGAIN) == 0,
                cancelled: cancelled(kind, &mut random),
                pause_ms: random.random_range(50..450),
            }
        });
        let orders = orders.collect();
        // Two bits of it, so that four seeds in a row see all four.
        let live_restore = if seed & 2 == 0 { LiveRestore::Off } else { LiveRestore::On };
        Self { seed, is_on_postgres: seed & 1 == 1, live_restore, orders }
    }

    /// How long it takes to send everything once.
    pub(crate) fn pace(&self) -> Duration {
        Duration::from_millis(self.orders.iter().map(|it| it.pause_ms).sum())
    }
}

/// What takes long is cancelled more often, and what would never end, always.
fn cancelled(kind: Kind, random: &mut Xoshiro256PlusPlus) -> Cancelled {
    let is_cancelled = match kind {
        Kind::Sleeper => true,
        Kind::Long => random.random_range(0..3) == 0,
        _ => random.random_range(0..CANCELLED) == 0,
    };
    match (is_cancelled, random.random()) {
        (false, _) => Cancelled::Never,
        (true, true) => Cancelled::Soon,
        (true, false) => Cancelled::BeforeKill,
    }
}

/// Faults one after the other: each comes once before any comes again.
pub(crate) struct Deck {
    random: Xoshiro256PlusPlus,
    faults: Vec<Fault>,
    left: Vec<Fault>,
}

impl Deck {
    /// Of these; each number beside the seed gives another order.
    pub(crate) fn new(seed: u64, number: u64, faults: Vec<Fault>) -> Self {
        Self { random: generator(seed, number), faults, left: Vec::new() }
    }

    pub(crate) fn next(&mut self) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.faults);
            self.left.shuffle(&mut self.random);
        }
        self.left.pop().unwrap()
    }

    /// A number of milliseconds between these.
    pub(crate) fn milliseconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.random.random_range(least..most))
    }

    /// One of these, if there are any.
    pub(crate) fn choose<T>(&mut self, mut of: Vec<T>) -> Option<T> {
        let at = self.random.random_range(0..of.len().max(1));
        (at < of.len()).then(|| of.swap_remove(at))
    }
}

fn generator(seed: u64, number: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number))
}

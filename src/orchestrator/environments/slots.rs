//! The places for builds. A build that takes long makes room for others, so that a
//! small one seldom waits for large ones.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// A build that has run for this long is a long one.
const LONG: Duration = Duration::from_secs(30);

/// Places for builds, and as many for those that have become long.
pub(super) struct Slots {
    count: usize,
    usual: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

/// The right to build; ends when dropped.
pub(super) struct Slot {
    permit: OwnedSemaphorePermit,
    long: Arc<Semaphore>,
    since: Instant,
    is_aside: bool,
}

impl Slots {
    /// This many of each kind.
    pub(super) fn new(count: usize) -> Self {
        let semaphore = || Arc::new(Semaphore::new(count));
        Self { count, usual: semaphore(), long: semaphore() }
    }

    /// A slot, if there is a free one.
    pub(super) fn try_enter(&self) -> Option<Slot> {
        Arc::clone(&self.usual).try_acquire_owned().ok().map(|permit| self.slot(permit))
    }

    /// The next free slot.
    pub(super) async fn enter(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.usual).acquire_owned().await;
        // Nobody closes the semaphore.
        permit.ok().map(|permit| self.slot(permit))
    }

    /// Message for a build that waits.
    pub(super) fn waiting(&self) -> String {
        format!(
            "waiting for a slot: {} builds are running that have not taken long yet \
             (GANTRY_MAX_BUILDS)",
            self.count
        )
    }

    fn slot(&self, permit: OwnedSemaphorePermit) -> Slot {
        Slot { permit, long: Arc::clone(&self.long), since: Instant::now(), is_aside: false }
    }
}

impl Slot {
    /// Makes room for others when the build has become a long one and there is a
    /// place for it. To be called now and then.
    pub(super) fn make_room(&mut self) {
        if self.is_aside || self.since.elapsed() < LONG {
            return;
        }
        if let Ok(permit) = Arc::clone(&self.long).try_acquire_owned() {
            self.permit = permit;
            self.is_aside = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_build_makes_room_while_there_is_a_place_for_it() {
        let slots = Slots::new(1);
        let mut first = slots.try_enter().unwrap();
        first.make_room();
        assert!(slots.try_enter().is_none(), "the first one is not long yet");
        tokio::time::advance(LONG).await;
        first.make_room();
        let mut second = slots.try_enter().unwrap();
        tokio::time::advance(LONG).await;
        second.make_room();
        assert!(slots.try_enter().is_none(), "there is no place for another long one");
        drop(first);
        second.make_room();
        assert!(slots.try_enter().is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_the_next_slot() {
        let slots = Slots::new(2);
        let held = [slots.try_enter().unwrap(), slots.try_enter().unwrap()];
        let waiting = slots.enter();
        tokio::pin!(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(slots.waiting().starts_with("waiting for a slot: 2 builds"));
        drop(held);
        assert!(waiting.await.is_some());
    }
}

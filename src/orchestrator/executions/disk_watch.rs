//! Watching the disk that sandboxes have their scratch on. Executions that need some of it
//! start only within the room that there is; and should it run out all the same, because
//! others fill the disk or a limit is measured too late, the one that has most is stopped
//! before the disk is full.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::shared_queue::SharedQueue;
use crate::disk::{DiskReserve, Space};
use crate::domain::quantities::show_bytes;
use crate::orchestrator::live::LiveRegistry;
use crate::sandbox::Cancel;

/// Time between two looks at the disk.
const INTERVAL: Duration = Duration::from_secs(1);

/// Time for an execution that was stopped to make room, before the next one is stopped.
const ROOM_WITHIN: Duration = Duration::from_secs(5);

/// Watches the disk of scratch.
pub(super) struct DiskWatch {
    /// Folder on that disk.
    folder: PathBuf,
    reserve: DiskReserve,
    queue: Arc<SharedQueue>,
    live: LiveRegistry,
    fault: Mutex<Option<Arc<str>>>,
}

/// An execution that was stopped, and the time of that.
type Stopped = Option<(Uuid, Instant)>;

impl DiskWatch {
    pub(super) fn new(
        folder: PathBuf,
        reserve: DiskReserve,
        queue: Arc<SharedQueue>,
        live: LiveRegistry,
    ) -> Self {
        Self { folder, reserve, queue, live, fault: Mutex::default() }
    }

    /// The reason that nothing starts that needs the disk; `None` if something does, or
    /// nothing needs it.
    pub(super) fn fault(&self) -> Option<Arc<str>> {
        self.lock().clone()
    }

    /// Watches until the service stops.
    pub(super) async fn run(self: Arc<Self>, stopping: Cancel) {
        let mut stopped = None;
        loop {
            match look(self.folder.clone()).await {
                Ok(space) => stopped = self.judge(space, stopped),
                Err(error) => tracing::warn!(%error, "the disk of scratch can't be looked at"),
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Tells the queue what room there is, and makes some if there is too little.
    fn judge(&self, space: Space, stopped: Stopped) -> Stopped {
        let reserve = self.reserve.bytes(space);
        let used: u64 = self.live.on_disk().iter().map(|(_, it)| it.disk_bytes()).sum();
        let room = space.free.saturating_add(used).saturating_sub(reserve);
        let (has_grown, taken, is_waited_for) = {
            let mut queue = self.queue.lock();
            let has_grown = queue.set_disk(room);
            let (taken, is_waited_for) = queue.disk_wanted();
            (has_grown, taken, is_waited_for)
        };
        if has_grown && is_waited_for {
            self.queue.nudge();
        }
        let is_short = space.free < reserve;
        self.note(is_short && (taken > 0 || is_waited_for), space, reserve);
        if is_short && taken > 0 { self.make_room(space, stopped) } else { stopped }
    }

    fn note(&self, is_short: bool, space: Space, reserve: u64) {
        let mut fault = self.lock();
        match (fault.is_some(), is_short) {
            (false, true) => {
                let (free, least) = (show_bytes(space.free), show_bytes(reserve));
                let reason = format!(
                    "the disk of scratch has {free} free, and {least} are kept free: executions \
                     that need it wait"
                );
                tracing::warn!(reason, folder = %self.folder.display(), "a disk is nearly full");
                *fault = Some(reason.into());
            }
            (true, false) => {
                tracing::info!("the disk of scratch has room again");
                *fault = None;
            }
            _ => {}
        }
    }

    /// Stops the execution that has most on the disk, unless one that was stopped is still
    /// about to end.
    fn make_room(&self, space: Space, stopped: Stopped) -> Stopped {
        let is_ending =
            |(id, at): (Uuid, Instant)| at.elapsed() < ROOM_WITHIN && self.live.find(id).is_some();
        if stopped.is_some_and(is_ending) {
            return stopped;
        }
        let mut on_disk = self.live.on_disk();
        on_disk.sort_by_key(|(_, it)| std::cmp::Reverse(it.disk_bytes()));
        let (id, bytes) = on_disk.into_iter().find_map(|(id, execution)| {
            let bytes = execution.disk_bytes();
            let reason = format!(
                "the script was stopped: the server's disk was nearly full, and of all that ran it \
                 had most there ({})\nhint: free some disk space on the server",
                show_bytes(bytes)
            );
            execution.stop_for_disk(reason).then_some((id, bytes))
        })?;
        tracing::warn!(
            execution = %id,
            bytes,
            available = space.free,
            "an execution is stopped: the disk is nearly full"
        );
        Some((id, Instant::now()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Space of a folder's disk, without holding up anything: a disk in the network may not
/// answer.
async fn look(folder: PathBuf) -> io::Result<Space> {
    let looking = tokio::task::spawn_blocking(move || Space::below(&folder));
    looking.await.map_err(io::Error::other).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::orchestrator::queue::{Capacity, Demand, Queue, Waiting};

    const GIB: u64 = 1 << 30;

    /// A disk of 1,000 GiB, of which 10 are kept free.
    fn disk(available: u64) -> Space {
        Space { total: 1000 * GIB, free: available * GIB }
    }

    struct Bench {
        watch: DiskWatch,
        live: LiveRegistry,
    }

    impl Bench {
        fn new() -> Self {
            let capacity =
                Capacity { executions: 9, memory_bytes: 9, nano_cpus: 9, disk_bytes: 990 * GIB };
            let queue = Arc::new(SharedQueue::new(Queue::new(capacity, 9)));
            let live = LiveRegistry::default();
            Self {
                watch: DiskWatch::new("/".into(), DiskReserve::default(), queue, live.clone()),
                live,
            }
        }

        /// An execution that may have, and has, so much.
        fn add(&self, may_have: u64, has: u64) -> Uuid {
            let id = Uuid::new_v4();
            let demand = Demand { disk_bytes: may_have * GIB, ..Demand::default() };
            let since = clock::since_epoch();
            let waiting =
                Waiting { id, script_id: 1, priority: 0, max_concurrency: None, demand, since };
            self.watch.queue.lock().restore(waiting);
            self.live.entry(id).note_disk_use(has * GIB);
            id
        }

        fn starts(&self) -> bool {
            self.watch.queue.lock().next(clock::since_epoch()).is_some()
        }
    }

    #[test]
    fn what_fits_starts_and_the_rest_waits_for_room() {
        let bench = Bench::new();
        bench.add(60, 0);
        bench.watch.judge(disk(50), None);
        assert!(!bench.starts());
        assert_eq!(bench.watch.fault(), None, "it is no fault to wait for room");
        bench.watch.judge(disk(70), None);
        assert!(bench.starts());
    }

    #[test]
    fn the_one_that_has_most_is_stopped_and_then_the_next() {
        let bench = Bench::new();
        let ids = [(100, 3), (100, 30), (100, 20)].map(|(may, has)| bench.add(may, has));
        bench.watch.judge(disk(400), None);
        assert!(bench.starts() && bench.starts() && bench.starts());
        let reason = |at: usize| bench.live.find(ids[at]).unwrap().disk_stop().map(str::to_owned);
        let stopped = bench.watch.judge(disk(9), None);
        assert!(bench.watch.fault().unwrap().contains("9 GiB free, and 10 GiB"));
        assert_eq!(stopped.map(|it| it.0), Some(ids[1]));
        assert!(reason(1).unwrap().contains("30 GiB"));
        // It has time to end.
        let again = bench.watch.judge(disk(9), stopped);
        assert_eq!((again, reason(2)), (stopped, None));
        bench.live.find(ids[1]).unwrap().note_disk_use(0);
        let late = stopped.map(|(id, at)| (id, at - ROOM_WITHIN));
        let next = bench.watch.judge(disk(9), late);
        assert_eq!(next.map(|it| it.0), Some(ids[2]));
        bench.watch.judge(disk(11), next);
        assert_eq!((bench.watch.fault(), reason(0)), (None, None));
    }

    #[test]
    fn a_full_disk_that_nobody_needs_is_no_fault() {
        let bench = Bench::new();
        bench.watch.judge(disk(0), None);
        assert_eq!(bench.watch.fault(), None);
        bench.add(1, 0);
        bench.watch.judge(disk(0), None);
        assert!(bench.watch.fault().is_some() && !bench.starts());
    }
}

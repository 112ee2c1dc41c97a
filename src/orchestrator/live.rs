//! The live state of executions: for each that somebody runs or waits for, its growing
//! log and a signal that something of it has changed. It is a hint. The truth is in
//! the store, and followers look there when an entry is closed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::domain::execution::{Execution, State};
use crate::domain::output_log::{OutputLog, Position, StreamName};
use crate::sandbox::Cancel;
use crate::store::Runnable;

/// Bytes of an execution that is handed over in memory instead of being read back:
/// so few that there is no need to have room for them first.
pub(super) const MAX_HANDED_OVER: usize = 64 * 1024;

/// The executions that somebody runs, waits for or follows.
#[derive(Clone, Default)]
pub struct LiveRegistry {
    entries: Arc<Mutex<HashMap<Uuid, Arc<LiveExecution>>>>,
}

/// Live state of one execution.
#[derive(Debug)]
pub struct LiveExecution {
    log: Mutex<OutputLog>,
    stage: watch::Sender<Stage>,
    /// The execution as it was just stored, for its task.
    brought: Mutex<Option<Box<Runnable>>>,
    /// The ended execution, as it is stored.
    end: OnceLock<Box<Execution>>,
    /// Ends the execution, once a task has it.
    pub(super) cancel: Cancel,
    /// Bytes that it has on disk, as its sandbox has told last.
    disk_bytes: AtomicU64,
    /// The reason that it was stopped for room on the disk, if it was.
    disk_stop: OnceLock<String>,
}

/// Progress of an execution, with a count that grows with every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// The last state that was heard of.
    pub state: State,
    /// Everything is in the store, and nothing more will come from here.
    pub is_closed: bool,
    revision: u64,
}

impl LiveRegistry {
    /// The entry of an execution, made if there is none.
    #[must_use]
    pub fn entry(&self, id: Uuid) -> Arc<LiveExecution> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.entry(id).or_default())
    }

    /// The entry of an execution, if somebody runs it or waits for it.
    #[must_use]
    pub fn find(&self, id: Uuid) -> Option<Arc<LiveExecution>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(&id).cloned()
    }

    /// All entries that have something on disk.
    pub(super) fn on_disk(&self) -> Vec<(Uuid, Arc<LiveExecution>)> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let on_disk = entries.iter().filter(|(_, entry)| entry.disk_bytes() > 0);
        on_disk.map(|(id, entry)| (*id, Arc::clone(entry))).collect()
    }

    /// Announces that the store has everything, and removes the entry.
    pub fn close(&self, id: Uuid, state: State) {
        let entry = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.remove(&id)
        };
        if let Some(entry) = entry {
            entry.stage.send_modify(|stage| {
                *stage = Stage { state, is_closed: true, revision: stage.revision + 1 };
            });
        }
    }

    /// Removes the entry of an execution when `entry` is its last use. One that is to
    /// be cancelled keeps its entry for its task.
    pub(super) fn leave(&self, id: Uuid, entry: Arc<LiveExecution>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        drop(entry);
        if let Some(known) = entries.get(&id)
            && Arc::strong_count(known) == 1
            && !known.cancel.is_cancelled()
        {
            entries.remove(&id);
        }
    }
}

impl Default for LiveExecution {
    fn default() -> Self {
        let stage = Stage { state: State::Pending, is_closed: false, revision: 0 };
        Self {
            log: Mutex::default(),
            stage: watch::Sender::new(stage),
            brought: Mutex::default(),
            end: OnceLock::new(),
            cancel: Cancel::new(),
            disk_bytes: AtomicU64::new(0),
            disk_stop: OnceLock::new(),
        }
    }
}

impl LiveExecution {
    /// A signal for every change; several may come as one.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// The next text of the log; as [`OutputLog::next_text`], while more may come.
    #[must_use]
    pub fn next_text(
        &self,
        from: Position,
        max_bytes: usize,
    ) -> Option<(StreamName, String, Position)> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).next_text(from, max_bytes, false)
    }

    pub(super) fn note_disk_use(&self, bytes: u64) {
        self.disk_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes that it has on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk_bytes.load(Ordering::Relaxed)
    }

    /// Stops the execution for room on the disk. False if it is ending already.
    pub(super) fn stop_for_disk(&self, reason: String) -> bool {
        if self.cancel.is_cancelled() || self.disk_stop.set(reason).is_err() {
            return false;
        }
        self.cancel.cancel();
        true
    }

    /// The reason that it was stopped for room on the disk, if it was.
    pub(super) fn disk_stop(&self) -> Option<&str> {
        self.disk_stop.get().map(String::as_str)
    }

    pub(super) fn has_printed(&self, bytes: &[u8]) -> bool {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).stdout() == bytes
    }

    pub(super) fn append(&self, stream: StreamName, bytes: &[u8]) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).append(stream, bytes);
        self.stage.send_modify(|stage| stage.revision += 1);
    }

    pub(super) fn set_state(&self, state: State) {
        self.stage.send_modify(|stage| {
            *stage = Stage { state, revision: stage.revision + 1, ..*stage };
        });
    }

    /// Leaves the execution to its task, which then need not read it.
    pub(super) fn bring(&self, runnable: Runnable) {
        *self.brought() = Some(Box::new(runnable));
    }

    /// The execution that was brought, once: another attempt reads it.
    pub(super) fn take_brought(&self) -> Option<Box<Runnable>> {
        self.brought().take()
    }

    fn brought(&self) -> MutexGuard<'_, Option<Box<Runnable>>> {
        self.brought.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if anybody hears of changes.
    pub(super) fn is_followed(&self) -> bool {
        self.stage.receiver_count() > 0
    }

    /// Keeps an end that is stored, for those who have waited for it. The first
    /// one counts, as in the store.
    pub(super) fn keep_end(&self, execution: Execution) {
        let _ = self.end.set(Box::new(execution));
    }

    /// The end, if it was kept.
    pub(super) fn end(&self) -> Option<&Execution> {
        self.end.get().map(|it| &**it)
    }

    /// Takes the log out, which goes to the store. Followers find nothing more
    /// here, and wait until the entry is closed.
    pub(super) fn take_log(&self) -> OutputLog {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

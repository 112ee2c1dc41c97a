//! Ctrl-C, TERM and a terminal that closes: the first one cancels, the second
//! one does not wait for what was cancelled, one more does not wait for what
//! that left.

use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::sandbox::Cancel;

/// The signals that came since this command listens.
pub(super) struct Interrupts {
    /// Cancelled by the first one.
    pub(super) cancel: Cancel,
    count: watch::Receiver<u32>,
}

impl Interrupts {
    /// Listens from now on. Signals that can't be listened to end the process as
    /// ever.
    pub(super) fn listen() -> Self {
        let cancel = Cancel::new();
        let (sender, count) = watch::channel(0);
        for kind in kinds() {
            let (sender, cancel) = (sender.clone(), cancel.clone());
            if let Ok(mut signals) = signal(kind) {
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        sender.send_modify(|count| *count += 1);
                        cancel.cancel();
                    }
                });
            }
        }
        Self { cancel, count }
    }

    /// Waits for the second one.
    pub(super) async fn second(&self) {
        self.reach(2).await;
    }

    /// Waits for one more than have come until this call, not until it is polled.
    pub(super) fn another(&self) -> impl Future<Output = ()> {
        self.reach(self.so_far() + 1)
    }

    /// Waits for one that has cancelled nothing: the first, if none has, and otherwise one
    /// more than have come until this call.
    pub(super) fn unheeded(&self, has_cancelled: bool) -> impl Future<Output = ()> {
        self.reach(if has_cancelled { self.so_far() + 1 } else { 1 })
    }

    /// Waits for one more than have come so far that is not the first.
    pub(super) async fn another_but_the_first(&self) {
        let next = self.so_far() + 1;
        self.reach(next.max(2)).await;
    }

    fn so_far(&self) -> u32 {
        *self.count.borrow()
    }

    async fn reach(&self, number: u32) {
        let mut count = self.count.clone();
        if count.wait_for(|count| *count >= number).await.is_err() {
            // Nobody listens.
            pending().await
        }
    }
}

/// Signals that are listened to. Under nohup(1) a terminal that closes is to be ignored,
/// and listening would undo that.
fn kinds() -> impl Iterator<Item = SignalKind> {
    let hangup = (!is_hangup_ignored()).then(SignalKind::hangup);
    [SignalKind::interrupt(), SignalKind::terminate()].into_iter().chain(hangup)
}

/// True if this process was started to ignore SIGHUP: bit 0 of `SigIgn` (proc(5)).
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|it| it & 1 == 1)
}

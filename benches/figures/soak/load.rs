//! Executions, so many in flight at any time. Each is a task of its own: whoever takes
//! samples does not hold them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::mix::Kind;
use crate::Failure;
use crate::harness::api::Api;

/// One that is over.
pub(super) struct Ran {
    /// How long the answer took; or what was wrong with it.
    pub(super) end: Result<Duration, Failure>,
}

pub(super) struct Load {
    over: mpsc::UnboundedReceiver<Ran>,
    /// What is in flight is given up with it.
    _workers: JoinSet<()>,
}

impl Load {
    /// Executions from number 0 up to this many.
    pub(super) fn start(api: &Arc<Api>, count: u64, in_flight: usize) -> Self {
        let (sender, over) = mpsc::unbounded_channel();
        let next = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..in_flight {
            let (api, next, sender) = (Arc::clone(api), Arc::clone(&next), sender.clone());
            workers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || sender.send(execute(&api, number).await).is_err() {
                        return;
                    }
                }
            });
        }
        Self { over, _workers: workers }
    }

    /// The next one that is over, in whatever order.
    pub(super) async fn next(&mut self) -> Option<Ran> {
        self.over.recv().await
    }
}

async fn execute(api: &Api, number: u64) -> Ran {
    let kind = Kind::of(number);
    let end = async {
        let (execution, took) = api.run(&kind.request(number)).await?;
        kind.check(number, &execution)?;
        Ok(took)
    };
    Ran { end: end.await }
}

//! Work that is under way: once per name, however many wait for it.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The result of the work; `None` when it panicked.
pub(super) type Flight<T> = Shared<BoxFuture<'static, Option<T>>>;

/// All that is under way.
#[derive(Clone)]
pub(super) struct Flights<T> {
    under_way: Arc<Mutex<HashMap<String, Flight<T>>>>,
    tasks: TaskTracker,
}

/// An entry, as long as its work is under way.
struct Entry<T> {
    flights: Flights<T>,
    name: String,
}

impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        self.flights.under_way().remove(&self.name);
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Nothing is under way; `tasks` are those that it will be.
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { under_way: Arc::default(), tasks }
    }

    /// The work of this name, begun if it is not under way. It ends in a task of
    /// its own: whoever asked first may go away.
    pub(super) fn join<W>(&self, name: &str, work: impl FnOnce() -> W) -> Flight<T>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let flight = {
            let mut under_way = self.under_way();
            if let Some(flight) = under_way.get(name) {
                return flight.clone();
            }
            let flight = AssertUnwindSafe(work()).catch_unwind().map(Result::ok).boxed().shared();
            under_way.insert(name.to_owned(), flight.clone());
            flight
        };
        // Whatever becomes of the task, the next who asks is not given its remains.
        let entry = Entry { flights: self.clone(), name: name.to_owned() };
        let task = flight.clone();
        self.tasks.spawn(
            async move {
                let _entry = entry;
                task.await;
            }
            .in_current_span(),
        );
        flight
    }

    /// True if work of this name is under way.
    pub(super) fn has(&self, name: &str) -> bool {
        self.under_way().contains_key(name)
    }
}

impl<T> Flights<T> {
    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Flight<T>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn flights() -> Flights<u32> {
        let tasks = TaskTracker::new();
        tasks.close();
        Flights::new(tasks)
    }

    #[tokio::test]
    async fn it_is_done_once_for_all_who_wait_and_anew_for_those_who_come_later() {
        let flights = flights();
        let (release, released) = oneshot::channel::<()>();
        let first = flights.join("a", || async { released.await.map_or(0, |()| 1) });
        let second = flights.join("a", || async { 2 });
        assert!(flights.has("a") && !flights.has("b"));
        drop(first);
        release.send(()).unwrap();
        assert_eq!(second.await, Some(1));
        flights.tasks.wait().await;
        assert_eq!(flights.join("a", || async { 3 }).await, Some(3));
    }

    #[tokio::test]
    async fn work_that_panics_is_begun_again_by_the_next_who_asks() {
        let flights = flights();
        let panics = async { panic!("part of the test") };
        assert_eq!(flights.join("a", || panics).await, None);
        flights.tasks.wait().await;
        assert!(!flights.has("a"));
        assert_eq!(flights.join("a", || async { 1 }).await, Some(1));
    }

    #[tokio::test]
    async fn it_goes_on_when_nobody_waits() {
        let flights = flights();
        let (sender, receiver) = oneshot::channel();
        drop(flights.join("a", || async { sender.send(()).map_or(0, |()| 1) }));
        receiver.await.unwrap();
    }
}

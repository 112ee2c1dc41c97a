//! Whoever waits for an execution's end, or reads its events. They change nothing:
//! the live registry says that something has changed, and the store what is true.

mod event_stream;
mod subscription;
mod waiter;

use std::time::Duration;

use futures::Stream;
use uuid::Uuid;

pub use event_stream::Event;
pub use waiter::Waiter;

use crate::domain::output_log::Position;
use crate::orchestrator::live::LiveRegistry;
use crate::store::{Store, StoreError};
use event_stream::EventReader;
use subscription::Subscription;

/// Pause between two questions to the store: signals are hints, and another process
/// may run the execution.
const LOOK: Duration = Duration::from_secs(2);

/// Lets others wait for executions and follow them.
#[derive(Clone)]
pub(super) struct Followers {
    store: Store,
    live: LiveRegistry,
}

impl Followers {
    pub(super) fn new(store: Store, live: LiveRegistry) -> Self {
        Self { store, live }
    }

    /// A waiter for the end of an execution, which may have ended.
    pub(super) fn waiter(&self, id: Uuid) -> Waiter {
        Waiter::new(self.store.clone(), self.subscription(id))
    }

    /// A waiter for the end of an execution that is not stored yet.
    pub(super) fn first_waiter(&self, id: Uuid) -> Waiter {
        Waiter::first(self.store.clone(), self.subscription(id))
    }

    /// The events of an execution from a position on. There are none of an unknown
    /// execution. After an error nothing more comes.
    pub(super) fn follow(
        &self,
        id: Uuid,
        from: Position,
    ) -> impl Stream<Item = Result<Event, StoreError>> + Send + use<> {
        EventReader::new(self.store.clone(), self.subscription(id), from).stream()
    }

    fn subscription(&self, id: Uuid) -> Subscription {
        Subscription::new(&self.live, id)
    }
}

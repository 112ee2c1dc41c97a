//! The events of an execution, from any position to its end: from memory while it
//! runs here, and from the store otherwise. The reader asks for the next event, so a
//! slow one makes nothing grow.

use std::collections::VecDeque;

use futures::Stream;

use super::LOOK;
use super::subscription::Subscription;
use crate::domain::execution::{ExecutionSummary, State};
use crate::domain::output_log::{OutputLog, Position, StreamName};
use crate::store::{Store, StoreError};

/// Longest text of one event, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// Event of an execution.
#[derive(Debug, Clone)]
pub enum Event {
    /// It is in this state now.
    Status {
        /// The state.
        state: State,
        /// The follower's position.
        position: Position,
    },
    /// It has printed something.
    Output {
        /// The stream that it was printed to.
        stream: StreamName,
        /// The printed text.
        text: String,
        /// The follower's position after it.
        position: Position,
    },
    /// It has ended, and nothing more will come.
    End(Box<ExecutionSummary>),
}

/// Reads the events of one execution.
pub(super) struct EventReader {
    store: Store,
    id: uuid::Uuid,
    position: Position,
    /// The last state that the follower heard of.
    reported: Option<State>,
    source: Source,
    events: VecDeque<Event>,
}

enum Source {
    Live(Subscription),
    Stored(OutputLog, Box<ExecutionSummary>),
    Over,
}

impl EventReader {
    pub(super) fn new(store: Store, subscription: Subscription, from: Position) -> Self {
        Self {
            store,
            id: subscription.id,
            position: from,
            reported: None,
            source: Source::Live(subscription),
            events: VecDeque::new(),
        }
    }

    pub(super) fn stream(self) -> impl Stream<Item = Result<Event, StoreError>> + Send + use<> {
        futures::stream::try_unfold(self, |mut reader| async move {
            Ok(reader.next().await?.map(|event| (event, reader)))
        })
    }

    /// The next event; `None` after the end.
    async fn next(&mut self) -> Result<Option<Event>, StoreError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match &self.source {
                Source::Over => return Ok(None),
                Source::Stored(..) => self.read_stored(),
                Source::Live(_) => self.read_live().await?,
            }
        }
    }

    async fn read_live(&mut self) -> Result<(), StoreError> {
        let Source::Live(subscription) = &mut self.source else { return Ok(()) };
        let stage = *subscription.changes.borrow_and_update();
        if !stage.is_closed && stage.state == State::Running {
            let entry = subscription.entry();
            let next = entry.and_then(|entry| entry.next_text(self.position, MAX_TEXT));
            self.report(State::Running);
            if let Some((stream, text, position)) = next {
                self.position = position;
                self.events.push_back(Event::Output { stream, text, position });
                return Ok(());
            }
            if !self.events.is_empty() {
                return Ok(());
            }
        }
        if self.reported.is_none() || stage.is_closed {
            self.ask_store().await?;
            if stage.is_closed && matches!(self.source, Source::Live(_)) {
                // No signal will come any more; the store has to be asked again.
                tokio::time::sleep(LOOK).await;
            }
            return Ok(());
        }
        let Source::Live(subscription) = &mut self.source else { return Ok(()) };
        let changed = tokio::time::timeout(LOOK, subscription.changes.changed()).await;
        match changed {
            Ok(Ok(())) => Ok(()),
            // Nothing was heard for a while, or there is nobody to be heard.
            Ok(Err(_)) | Err(_) => self.ask_store().await,
        }
    }

    async fn ask_store(&mut self) -> Result<(), StoreError> {
        let Some(summary) = self.store.execution_summary(self.id).await? else {
            self.source = Source::Over;
            return Ok(());
        };
        if !summary.status.has_ended() {
            self.report(summary.status);
            return Ok(());
        }
        let log = self.store.log(self.id).await?.unwrap_or_default();
        if self.reported.is_none() {
            // A late follower hears first of all that it is over.
            self.report(summary.status);
        }
        self.source = Source::Stored(log, Box::new(summary));
        Ok(())
    }

    fn read_stored(&mut self) {
        let Source::Stored(log, summary) = &self.source else { return };
        if let Some((stream, text, position)) = log.next_text(self.position, MAX_TEXT, true) {
            self.position = position;
            self.events.push_back(Event::Output { stream, text, position });
            return;
        }
        let summary = summary.clone();
        self.source = Source::Over;
        self.report(summary.status);
        self.events.push_back(Event::End(summary));
    }

    fn report(&mut self, state: State) {
        if self.reported != Some(state) {
            self.reported = Some(state);
            self.events.push_back(Event::Status { state, position: self.position });
        }
    }
}

//! Following an execution from any position to its end: from memory while it
//! runs here, and from the store otherwise. Whoever follows asks for the next
//! event, so that a slow reader makes nothing grow.

use std::collections::VecDeque;

use futures::Stream;
use uuid::Uuid;

use super::Executions;
use super::wait::{LOOK, Subscription};
use crate::domain::execution::{ExecutionSummary, State};
use crate::domain::output_log::{OutputLog, Position, StreamName};
use crate::store::StoreError;

/// Longest text of one event, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// Something that a follower hears of.
#[derive(Debug, Clone)]
pub enum Event {
    /// It is in this state now.
    Status {
        /// The state.
        state: State,
        /// Where the follower is.
        position: Position,
    },
    /// It has printed something.
    Output {
        /// Where.
        stream: StreamName,
        /// What.
        text: String,
        /// Where the follower is after it.
        position: Position,
    },
    /// It has ended, and nothing more will come.
    End(Box<ExecutionSummary>),
}

/// Follows one execution.
struct Follower {
    executions: Executions,
    id: Uuid,
    position: Position,
    told: Option<State>,
    source: Source,
    events: VecDeque<Event>,
}

enum Source {
    Live(Subscription),
    Stored(OutputLog, Box<ExecutionSummary>),
    Over,
}

impl Executions {
    /// Follows an execution, from a position on. Nothing is heard of one that is
    /// not there. After an error nothing more comes.
    pub fn follow(
        &self,
        id: Uuid,
        from: Position,
    ) -> impl Stream<Item = Result<Event, StoreError>> + Send + use<> {
        let follower = Follower {
            executions: self.clone(),
            id,
            position: from,
            told: None,
            source: Source::Live(Subscription::new(&self.inner.live, id)),
            events: VecDeque::new(),
        };
        futures::stream::try_unfold(follower, |mut follower| async move {
            Ok(follower.next().await?.map(|event| (event, follower)))
        })
    }
}

impl Follower {
    /// What comes next; `None` after the end.
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
        let Source::Live(visit) = &mut self.source else { return Ok(()) };
        let stage = *visit.changes.borrow_and_update();
        if !stage.is_closed && stage.state == State::Running {
            let next = visit.entry().and_then(|entry| entry.next_text(self.position, MAX_TEXT));
            self.tell(State::Running);
            if let Some((stream, text, position)) = next {
                self.position = position;
                self.events.push_back(Event::Output { stream, text, position });
                return Ok(());
            }
            if !self.events.is_empty() {
                return Ok(());
            }
        }
        if self.told.is_none() || stage.is_closed {
            self.look().await?;
            if stage.is_closed && matches!(self.source, Source::Live(_)) {
                // Nobody will say more; the store has to be asked again.
                tokio::time::sleep(LOOK).await;
            }
            return Ok(());
        }
        let Source::Live(visit) = &mut self.source else { return Ok(()) };
        let changed = tokio::time::timeout(LOOK, visit.changes.changed()).await;
        match changed {
            Ok(Ok(())) => Ok(()),
            // Nothing was heard for a while, or there is nobody to be heard.
            Ok(Err(_)) | Err(_) => self.look().await,
        }
    }

    /// Asks the store, which knows the truth.
    async fn look(&mut self) -> Result<(), StoreError> {
        let store = &self.executions.inner.store;
        let Some(summary) = store.execution_summary(self.id).await? else {
            self.source = Source::Over;
            return Ok(());
        };
        if !summary.status.has_ended() {
            self.tell(summary.status);
            return Ok(());
        }
        let log = store.log(self.id).await?.unwrap_or_default();
        if self.told.is_none() {
            // Whoever comes late hears first of all that it is over.
            self.tell(summary.status);
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
        self.tell(summary.status);
        self.events.push_back(Event::End(summary));
    }

    fn tell(&mut self, state: State) {
        if self.told != Some(state) {
            self.told = Some(state);
            self.events.push_back(Event::Status { state, position: self.position });
        }
    }
}

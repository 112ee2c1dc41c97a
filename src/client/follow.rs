//! Follows an execution while it runs. A connection that is cut is resumed where it
//! ended; the follower fails after some tries without an event:
//!
//! ```text
//! connected ── cut ──▶ waiting ── time ──▶ connecting ──▶ connected
//!     │                                        │
//!     └─ `end` event, or 204 ──▶ over          └─ refused, or too often ──▶ error
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;

use super::connection::{ANSWER_WITHIN, Client, next_piece};
use super::error::ClientError;
use super::sse::{Event, EventParser};
use super::wire::{Execution, Shown};

/// Connections without an event before the follower fails; with the pauses between them,
/// a server has half a minute to come back.
const MAX_FRUITLESS: u32 = 10;

/// First pause after a cut.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Longest pause, whatever the server wishes.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Events of an execution.
#[derive(Debug, Clone)]
pub enum ExecutionEvent {
    /// It has another status.
    Status(String),
    /// A piece of its stdout.
    Stdout(String),
    /// A piece of its stderr.
    Stderr(String),
    /// It is over; the fields that the event holds. Nothing comes after it.
    End(Box<Execution>),
}

/// Reads the events of one execution from the start.
#[derive(Debug)]
pub struct Follower<'c> {
    client: &'c Client,
    id: String,
    stream: Option<Response>,
    parser: EventParser,
    waiting: VecDeque<ExecutionEvent>,
    fruitless: u32,
    /// True if events without an id came: they would come again.
    is_unresumable: bool,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: Shown,
}

impl Client {
    /// Follows an execution.
    ///
    /// # Errors
    /// [`ClientError`]: the first connection is tried once.
    pub async fn follow(&self, id: &str) -> Result<Follower<'_>, ClientError> {
        let stream = self.events(id, "").await?;
        let mut waiting = VecDeque::new();
        if stream.is_none() {
            waiting.push_back(ExecutionEvent::End(Box::default()));
        }
        Ok(Follower {
            client: self,
            id: id.to_owned(),
            stream,
            parser: EventParser::default(),
            waiting,
            fruitless: 0,
            is_unresumable: false,
        })
    }
}

impl Follower<'_> {
    /// The next event.
    ///
    /// # Errors
    /// [`ClientError`] when no more can be had.
    pub async fn next(&mut self) -> Result<ExecutionEvent, ClientError> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            if let Err(error) = self.read().await {
                self.reconnect(error).await?;
            }
        }
    }

    /// Takes the next piece of the stream.
    async fn read(&mut self) -> Result<(), ClientError> {
        let url = self.client.url().to_string();
        let cut = |reason: &str| ClientError::Cut { url: url.clone(), reason: reason.to_owned() };
        let Some(stream) = &mut self.stream else {
            return Err(cut("there is no connection"));
        };
        // Comments come while nothing happens; without them the server is gone.
        let piece = next_piece(stream, &url, ANSWER_WITHIN).await?;
        let piece = piece.ok_or_else(|| cut("it ended before the execution did"))?;
        let events = self.parser.feed(&piece);
        let events =
            events.map_err(|_| ClientError::TooLarge(super::sse::MAX_EVENT_BYTES as u64))?;
        if !events.is_empty() {
            self.fruitless = 0;
            self.is_unresumable = self.parser.last_id().is_empty();
        }
        self.waiting.extend(events.iter().filter_map(understood));
        Ok(())
    }

    /// Takes the stream up again after the last event that was whole.
    async fn reconnect(&mut self, mut error: ClientError) -> Result<(), ClientError> {
        self.stream = None;
        loop {
            self.fruitless += 1;
            if !error.is_passing() || self.is_unresumable || self.fruitless > MAX_FRUITLESS {
                return Err(error);
            }
            tracing::debug!(%error, fruitless = self.fruitless, "the stream of events was cut");
            tokio::time::sleep(pause(self.fruitless, self.parser.retry())).await;
            match self.client.events(&self.id, self.parser.last_id()).await {
                Ok(Some(stream)) => {
                    self.stream = Some(stream);
                    self.parser = self.parser.resumed();
                    return Ok(());
                }
                Ok(None) => {
                    self.waiting.push_back(ExecutionEvent::End(Box::default()));
                    return Ok(());
                }
                Err(next) => error = next,
            }
        }
    }
}

/// The pause before the `attempt`th connection, from 1.
fn pause(attempt: u32, wish: Option<Duration>) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(8));
    doubled.max(wish.unwrap_or_default()).min(LONGEST_PAUSE)
}

/// Decodes an event; `None` for one that this version does not know.
fn understood(event: &Event) -> Option<ExecutionEvent> {
    let text = || serde_json::from_str::<Text>(&event.data).ok().map(|piece| piece.text);
    match event.name.as_str() {
        "stdout" => text().map(ExecutionEvent::Stdout),
        "stderr" => text().map(ExecutionEvent::Stderr),
        "status" => {
            let status: Status = serde_json::from_str(&event.data).ok()?;
            Some(ExecutionEvent::Status(status.status.as_str().to_owned()))
        }
        // The end is the end, even if its fields can't be read.
        "end" => Some(ExecutionEvent::End(serde_json::from_str(&event.data).unwrap_or_default())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert_eq!(pause(1, None), FIRST_PAUSE);
        assert_eq!(pause(3, None), FIRST_PAUSE * 4);
        assert_eq!(pause(u32::MAX, None), LONGEST_PAUSE);
        assert_eq!(pause(1, Some(Duration::from_secs(2))), Duration::from_secs(2));
        assert_eq!(pause(1, Some(Duration::MAX)), LONGEST_PAUSE);
    }

    #[test]
    fn events_that_are_not_known_are_passed_over() {
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        let of = |name, data| understood(&event(name, data)).map(|it| format!("{it:?}"));
        assert_eq!(of("stdout", r#"{"text":"a\nb"}"#).unwrap(), r#"Stdout("a\nb")"#);
        assert_eq!(of("status", r#"{"status":"running"}"#).unwrap(), r#"Status("running")"#);
        assert_eq!(of("stdout", "not JSON"), None);
        assert_eq!(of("news", "{}"), None);
        assert!(of("end", "not JSON").is_some());
    }
}

//! Room for what is large: bodies until they are handed on, and whole executions
//! until they are sent. So callers can't make the server hold more at once than
//! it can bear, whatever the number of their connections.
//!
//! What is held is counted in bytes, by the copies that are made of it. What is
//! small is not counted: connections are bounded, too ([`crate::server`]).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::extract::aside;
use super::problem::{Kind, Problem};

/// All that is held at once, in bytes (512 MiB).
const TOTAL: usize = 512 * 1024 * 1024;

/// What is not counted, in bytes (64 KiB).
const SMALL: usize = 64 * 1024;

/// How often there is a byte at most: in the body, in the value that is read of
/// it and in the answer; or in the row, in the execution and in the answer.
const COPIES: usize = 3;

/// In what steps room is taken for a body that does not say how long it is, in
/// bytes (1 MiB).
const STEP: usize = 1024 * 1024;

/// How long somebody waits for room.
const WITHIN: Duration = Duration::from_secs(3);

/// After how long whoever got none may ask again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What is left of the room.
#[derive(Debug)]
pub(crate) struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOTAL)))
    }
}

/// Room that somebody has; given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Bytes that it is enough for.
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// Room for this many bytes; whoever needs more than there is gets all of it.
    ///
    /// # Errors
    /// A [`Problem`] when there is none for a while.
    pub(crate) async fn hold(&self, bytes: u64) -> Result<Held, Problem> {
        let mut held = Held::default();
        self.add(&mut held, usize::try_from(bytes).unwrap_or(TOTAL)).await?;
        Ok(held)
    }

    /// Makes room that is held enough for so many bytes, and some more.
    ///
    /// # Errors
    /// As those of [`Self::hold`].
    pub(crate) async fn extend(&self, held: &mut Held, bytes: usize) -> Result<(), Problem> {
        match bytes > held.bytes.max(SMALL) {
            true => self.add(held, bytes.max(held.bytes + STEP)).await,
            false => Ok(()),
        }
    }

    async fn add(&self, held: &mut Held, bytes: usize) -> Result<(), Problem> {
        if bytes <= SMALL {
            return Ok(());
        }
        let wanted = bytes.saturating_mul(COPIES).min(TOTAL);
        let has = held.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = u32::try_from(wanted.saturating_sub(has)).unwrap_or(u32::MAX);
        let taking = Arc::clone(&self.0).acquire_many_owned(missing);
        let Ok(Ok(more)) = tokio::time::timeout(WITHIN, taking).await else {
            return Err(refused());
        };
        match &mut held.permit {
            Some(permit) => permit.merge(more),
            None => held.permit = Some(more),
        }
        held.bytes = bytes;
        Ok(())
    }
}

fn refused() -> Problem {
    let detail = "the requests and answers that are under way are too large for another large one";
    Problem::new(Kind::TooMuch, detail).after(RETRY_AFTER).hint("try again in a moment")
}

impl Held {
    /// An answer in JSON, for which the room is held until it is sent.
    pub(crate) async fn json<T>(self, status: StatusCode, value: T) -> Response
    where
        T: Serialize + Send + 'static,
    {
        let written = aside(self.bytes, move || {
            serde_json::to_vec(&value).map_err(|error| Problem::internal(error.to_string()))
        });
        match written.await {
            Ok(json) => {
                (status, [(CONTENT_TYPE, "application/json")], self.body(json)).into_response()
            }
            Err(problem) => problem.into_response(),
        }
    }

    /// Content to be sent, for which the room is held until it is.
    pub(crate) fn body(mut self, content: impl AsRef<[u8]> + Send + 'static) -> Body {
        let Some(permit) = &mut self.permit else {
            return Body::from(Bytes::from_owner(content));
        };
        // There are no copies any more.
        let excess = permit.num_permits().saturating_sub(content.as_ref().len());
        drop(permit.split(excess));
        Body::from(Bytes::from_owner(Content { content, _held: self }))
    }
}

struct Content<T> {
    content: T,
    _held: Held,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Content<T> {
    fn as_ref(&self) -> &[u8] {
        self.content.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(memory: &Memory) -> usize {
        memory.0.available_permits()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_large_waits_for_room_and_what_is_small_does_not() {
        let memory = Memory::default();
        let all = memory.hold(u64::MAX).await.unwrap();
        assert_eq!(left(&memory), 0);
        memory.hold(SMALL as u64).await.unwrap();
        let refused = memory.hold(SMALL as u64 + 1).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let (waited, ()) = tokio::join!(memory.hold(STEP as u64), async {
            tokio::task::yield_now().await;
            drop(all);
        });
        assert_eq!(left(&memory), TOTAL - COPIES * STEP);
        drop(waited);
        assert_eq!(left(&memory), TOTAL);
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_takes_room_as_it_comes() {
        let (memory, mut held) = (Memory::default(), Held::default());
        for (bytes, steps) in [(SMALL, 0), (SMALL + 1, 1), (STEP, 1), (STEP + 1, 2), (7 * STEP, 7)]
        {
            memory.extend(&mut held, bytes).await.unwrap();
            assert_eq!(left(&memory), TOTAL - COPIES * STEP * steps, "{bytes}");
        }
    }

    #[tokio::test]
    async fn an_answer_holds_its_own_size_until_it_is_sent() {
        let memory = Memory::default();
        let held = memory.hold(STEP as u64).await.unwrap();
        let body = held.body(vec![b'x'; STEP]);
        assert_eq!(left(&memory), TOTAL - STEP);
        let sent = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!((sent.len(), left(&memory)), (STEP, TOTAL - STEP));
        drop(sent);
        assert_eq!(left(&memory), TOTAL);
    }
}

//! Memory permits for large data: bodies from arrival until they are handed on, and whole
//! executions until they are sent. So callers can't make the server hold more than its bound,
//! whatever the number of their connections, and none takes the memory of others
//! ([`super::shares`]).
//!
//! Permits are counted in bytes, including all copies of the data. Announced bytes are not counted,
//! only received ones. Small data is not counted: connections are bounded too ([`crate::server`]).

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use super::offload::offload_if_large;
use super::problem::{Kind, Problem};
use super::shares::{Share, Shares, Taker};

/// Total memory held at once, in bytes (512 MiB).
const TOTAL: usize = 512 * 1024 * 1024;

/// Additional memory for admins, in bytes (208 MiB): one request with the largest input.
const FOR_ADMINS: usize = 208 * 1024 * 1024;

/// Bytes that are not counted (4 KiB): a connection takes as many anyway.
const SMALL: usize = 4 * 1024;

/// Most copies of a byte: in the body, the parsed value and the answer; or in the row, the
/// execution and the answer.
const COPIES: usize = 3;

/// Step by which memory is held for an arriving body, in bytes (64 KiB).
const STEP: usize = 64 * 1024;

/// Longest wait for memory.
const WITHIN: Duration = Duration::from_secs(3);

/// Time after which a refused caller may retry.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Remaining memory.
#[derive(Debug)]
pub(crate) struct BodyBudget(Shares);

impl Default for BodyBudget {
    fn default() -> Self {
        Self(Shares::new(TOTAL, FOR_ADMINS))
    }
}

/// Memory held by a caller; released on drop.
#[derive(Debug, Default)]
pub(crate) struct MemoryPermit {
    /// Bytes of data that the permit covers.
    bytes: usize,
    share: Option<Share>,
}

impl BodyBudget {
    /// Holds memory for this many bytes in all their copies, capped at the most that a caller can
    /// have.
    ///
    /// # Errors
    /// A [`Problem`] if no memory becomes free in time.
    pub(crate) async fn hold(&self, taker: Taker, bytes: u64) -> Result<MemoryPermit, Problem> {
        let bytes = usize::try_from(bytes).unwrap_or(TOTAL);
        let mut held = MemoryPermit::default();
        self.reach(&mut held, taker, bytes, COPIES).await?;
        Ok(held)
    }

    /// Extends the permit to so many received bytes.
    ///
    /// # Errors
    /// Those of [`Self::hold`].
    pub(crate) async fn extend(
        &self,
        held: &mut MemoryPermit,
        taker: Taker,
        bytes: usize,
    ) -> Result<(), Problem> {
        match bytes > held.bytes.max(SMALL) {
            true => self.reach(held, taker, bytes.next_multiple_of(STEP), 1).await,
            false => Ok(()),
        }
    }

    /// Extends the permit to a complete body of so many bytes, in all copies that are made of it
    /// now.
    ///
    /// # Errors
    /// Those of [`Self::hold`].
    pub(crate) async fn complete(
        &self,
        held: &mut MemoryPermit,
        taker: Taker,
        bytes: usize,
    ) -> Result<(), Problem> {
        self.reach(held, taker, bytes, COPIES).await
    }

    async fn reach(
        &self,
        held: &mut MemoryPermit,
        taker: Taker,
        bytes: usize,
        copies: usize,
    ) -> Result<(), Problem> {
        if bytes <= SMALL {
            return Ok(());
        }
        let wanted = bytes.saturating_mul(copies).min(self.0.most(taker));
        let share = held.share.get_or_insert_with(|| self.0.empty(taker));
        let missing = wanted.saturating_sub(share.amount());
        if !share.grow_within(missing, WITHIN).await {
            return Err(refused());
        }
        held.bytes = bytes;
        Ok(())
    }
}

fn refused() -> Problem {
    let detail = "the requests and answers that are under way are too large for another large one";
    Problem::new(Kind::TooMuch, detail).after(RETRY_AFTER).hint("try again in a moment")
}

impl MemoryPermit {
    /// Answers in JSON, and holds the memory until the answer is sent.
    pub(crate) async fn json<T>(self, status: StatusCode, value: T) -> Response
    where
        T: Serialize + Send + 'static,
    {
        let written = offload_if_large(self.bytes, move || {
            serde_json::to_vec(&value).map_err(|error| Problem::internal(error.to_string()))
        });
        match written.await {
            Ok(json) => {
                (status, [(CONTENT_TYPE, "application/json")], self.body(json)).into_response()
            }
            Err(problem) => problem.into_response(),
        }
    }

    /// Body that holds the memory until it is sent.
    pub(crate) fn body(mut self, content: impl AsRef<[u8]> + Send + 'static) -> Body {
        let Some(share) = &mut self.share else {
            return Body::from(Bytes::from_owner(content));
        };
        // No copies remain.
        share.shrink(content.as_ref().len());
        Body::from(Bytes::from_owner(Content { content, _held: self }))
    }
}

struct Content<T> {
    content: T,
    _held: MemoryPermit,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Content<T> {
    fn as_ref(&self) -> &[u8] {
        self.content.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNER: Taker = Taker { token_id: 1, is_admin: false };
    const OTHER: Taker = Taker { token_id: 2, is_admin: false };
    const ADMIN: Taker = Taker { token_id: 3, is_admin: true };

    /// Largest body with an input.
    const LARGEST: u64 = super::super::extract::WITH_INPUT as u64;

    #[tokio::test(start_paused = true)]
    async fn what_is_large_waits_for_room_and_what_is_small_does_not() {
        let memory = BodyBudget::default();
        let all = memory.hold(RUNNER, u64::MAX).await.unwrap();
        assert_eq!(memory.0.in_use(), TOTAL / 2);
        memory.hold(RUNNER, SMALL as u64).await.unwrap();
        let refused = memory.hold(RUNNER, SMALL as u64 + 1).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let (waited, ()) = tokio::join!(memory.hold(RUNNER, STEP as u64), async {
            tokio::task::yield_now().await;
            drop(all);
        });
        assert_eq!(memory.0.in_use(), COPIES * STEP);
        drop(waited);
        assert_eq!(memory.0.in_use(), 0);
    }

    #[tokio::test]
    async fn the_largest_input_has_room_for_one_token_and_for_an_admin_beside_two() {
        let memory = BodyBudget::default();
        let one = memory.hold(RUNNER, LARGEST).await.unwrap();
        assert_eq!(memory.0.in_use() as u64, COPIES as u64 * LARGEST);
        let rest = memory.hold(OTHER, 20 << 20).await.unwrap();
        let all = memory.hold(ADMIN, LARGEST).await.unwrap();
        drop((one, rest, all));
    }

    #[tokio::test]
    async fn a_body_takes_room_as_it_comes_and_for_its_copies_when_it_is_there() {
        let (memory, mut held) = (BodyBudget::default(), MemoryPermit::default());
        for (bytes, steps) in [(SMALL, 0), (SMALL + 1, 1), (STEP, 1), (STEP + 1, 2), (7 * STEP, 7)]
        {
            memory.extend(&mut held, RUNNER, bytes).await.unwrap();
            assert_eq!(memory.0.in_use(), STEP * steps, "{bytes}");
        }
        memory.complete(&mut held, RUNNER, 7 * STEP).await.unwrap();
        assert_eq!(memory.0.in_use(), COPIES * 7 * STEP);
    }

    #[tokio::test]
    async fn an_answer_holds_its_own_size_until_it_is_sent() {
        let memory = BodyBudget::default();
        let held = memory.hold(RUNNER, STEP as u64).await.unwrap();
        let body = held.body(vec![b'x'; STEP]);
        assert_eq!(memory.0.in_use(), STEP);
        let sent = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!((sent.len(), memory.0.in_use()), (STEP, STEP));
        drop(sent);
        assert_eq!(memory.0.in_use(), 0);
    }
}

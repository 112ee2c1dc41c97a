//! Bodies of any size that go to a disk piece by piece. A client may take hours for one, as long
//! as it goes on sending.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::extract::drain;
use super::problem::{Kind, Problem};

/// Time in which [`LEAST_SENT`] must come.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// Least that a client sends in [`STALLED_AFTER`], in bytes (16 KiB).
const LEAST_SENT: usize = 16 * 1024;

/// Body that arrives.
pub(crate) struct Arriving {
    stream: BodyDataStream,
    /// End of the time in which the least must come.
    due: Instant,
    /// Bytes that came in that time.
    sent: usize,
}

impl Arriving {
    pub(crate) fn new(body: Body) -> Self {
        let due = Instant::now() + STALLED_AFTER;
        Self { stream: body.into_data_stream(), due, sent: 0 }
    }

    /// The next piece; `None` at the end. Only time in which nothing comes counts, not the work
    /// on received pieces.
    ///
    /// # Errors
    /// A [`Problem`] if the client stops sending, or its line is cut.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let begun = Instant::now();
        let piece = loop {
            match timeout_at(self.due, self.stream.next()).await {
                Ok(piece) => break piece,
                Err(_) if self.sent >= LEAST_SENT => self.renew(),
                Err(_) => return Err(too_slow()),
            }
        };
        let Some(piece) = piece else { return Ok(None) };
        let piece = piece.map_err(|_| {
            Problem::new(Kind::Malformed, "the body broke off, or is not well-formed HTTP")
        })?;
        self.sent = self.sent.saturating_add(piece.len());
        if self.sent >= LEAST_SENT || begun >= self.due {
            self.renew();
        }
        Ok(Some(piece))
    }

    /// Reads and drops some of the rest: a client that reads no answer before it has sent
    /// everything would otherwise see a broken connection.
    pub(crate) async fn discard(self) {
        drain(self.stream).await;
    }

    fn renew(&mut self) {
        self.due = Instant::now() + STALLED_AFTER;
        self.sent = 0;
    }
}

fn too_slow() -> Problem {
    let detail = format!("next to nothing of the body came for {} s", STALLED_AFTER.as_secs());
    Problem::new(Kind::SlowBody, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body of so many pieces of so many bytes, each after so many seconds.
    async fn read(pieces: usize, bytes: usize, seconds: u64) -> Result<usize, u16> {
        let pieces = futures::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, std::io::Error>(vec![b'x'; bytes])
        });
        let mut arriving = Arriving::new(Body::from_stream(pieces));
        let mut read = 0;
        while let Some(piece) = arriving.next().await.map_err(|it| it.status().as_u16())? {
            read += piece.len();
        }
        Ok(read)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_may_take_hours_and_one_that_stalls_may_not() {
        assert_eq!(read(1_000, LEAST_SENT, 59).await, Ok(1_000 * LEAST_SENT));
        assert_eq!(read(1_000, LEAST_SENT / 2, 20).await, Ok(500 * LEAST_SENT));
        assert_eq!(read(1_000, 1, 20).await, Err(408));
        assert_eq!(read(1, LEAST_SENT, 61).await, Err(408));
    }
}

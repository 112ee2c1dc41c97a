//! A stream whose writes do not block for ever. A live peer that reads nothing answers every window
//! probe with a zero window, so the system never closes the connection (RFC 9293, 3.8.6.1); nor one
//! of a peer that reads a byte now and then.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Stream that fails with [`ErrorKind::TimedOut`] if less than a minimum is written in some time.
/// Only time in which a write blocks counts.
pub(super) struct Unstalled<S> {
    stream: S,
    at_most: Duration,
    at_least: usize,
    /// Time blocked since the taken bytes were last checked.
    waited: Duration,
    /// Bytes taken since that check.
    taken: usize,
    /// Start and deadline of the current block; `None` if no write blocks.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Unstalled<S> {
    /// Creates a stream with a time limit for a minimum of bytes to be taken.
    pub(super) fn new(stream: S, at_most: Duration, at_least: usize) -> Self {
        Self { stream, at_most, at_least, waited: Duration::ZERO, taken: 0, waiting: None }
    }

    /// Returns the result of a write, or a timeout.
    fn bounded(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        if let Poll::Ready(written) = written {
            if let Some((since, _)) = self.waiting.take() {
                self.waited += since.elapsed();
            }
            self.taken = self.taken.saturating_add(*written.as_ref().unwrap_or(&0));
            return Poll::Ready(written);
        }
        loop {
            let left = self.at_most.saturating_sub(self.waited);
            let (_, over) = self
                .waiting
                .get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
            ready!(over.as_mut().poll(context));
            let taken = std::mem::take(&mut self.taken);
            if taken < self.at_least {
                break;
            }
            (self.waited, self.waiting) = (Duration::ZERO, None);
        }
        let words = format!("the peer has taken next to nothing for {} s", self.at_most.as_secs());
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, words)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.bounded(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, sleep};

    const AT_MOST: Duration = Duration::from_secs(60);

    /// Reads in pieces, each after a delay.
    async fn read(theirs: &mut tokio::io::DuplexStream, piece: usize, every: Duration) {
        let mut buffer = vec![0; piece];
        loop {
            sleep(every).await;
            if theirs.read_exact(&mut buffer).await.is_err() {
                return;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails() {
        let (ours, _theirs) = duplex(8);
        let begun = Instant::now();
        let failed = Unstalled::new(ours, AT_MOST, 9).write_all(&[0; 9]).await.unwrap_err();
        assert_eq!((failed.kind(), begun.elapsed()), (ErrorKind::TimedOut, AT_MOST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_taken_byte_by_byte_fails_and_one_that_is_taken_slowly_does_not() {
        for (piece, is_taken) in [(1, false), (7, false), (11, true)] {
            let (ours, mut theirs) = duplex(11);
            let mut stream = Unstalled::new(ours, AT_MOST, 50);
            let every = Duration::from_secs(10);
            let written = tokio::select! {
                written = stream.write_all(&[0; 500]) => written,
                () = read(&mut theirs, piece, every) => unreachable!("it is not dropped"),
            };
            assert_eq!(written.is_ok(), is_taken, "{piece}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_anything_to_write_does_not_count() {
        let (ours, mut theirs) = duplex(1);
        let mut stream = Unstalled::new(ours, AT_MOST, 60);
        for _ in 0..3 {
            sleep(2 * AT_MOST).await;
            let (written, read) = tokio::join!(stream.write_all(&[0; 2]), async {
                theirs.read_exact(&mut [0; 2]).await
            });
            assert!(written.is_ok() && read.is_ok());
        }
    }
}

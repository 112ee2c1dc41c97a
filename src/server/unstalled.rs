//! A stream that a write does not wait on for ever. A peer that lives and reads
//! nothing answers every probe of the system's that it has no room, so nothing
//! below this would ever give it up (RFC 9293, 3.8.6.1).

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Fails with [`ErrorKind::TimedOut`] when nothing of what is to be written has
/// gone out for some time.
pub(super) struct Unstalled<S> {
    stream: S,
    at_most: Duration,
    /// There is one while a write waits.
    over: Option<Pin<Box<Sleep>>>,
}

impl<S> Unstalled<S> {
    pub(super) fn new(stream: S, at_most: Duration) -> Self {
        Self { stream, at_most, over: None }
    }

    /// What the stream has said to a write, or that it is over.
    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        if written.is_ready() {
            self.over = None;
            return written;
        }
        let at_most = self.at_most;
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(at_most)));
        ready!(over.as_mut().poll(context));
        let words = format!("the peer has taken nothing for {} s", at_most.as_secs());
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

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails() {
        let (ours, _theirs) = duplex(8);
        let begun = Instant::now();
        let failed = Unstalled::new(ours, AT_MOST).write_all(&[0; 9]).await.unwrap_err();
        assert_eq!((failed.kind(), begun.elapsed()), (ErrorKind::TimedOut, AT_MOST));
    }

    #[tokio::test(start_paused = true)]
    async fn every_byte_that_is_taken_gives_time_for_the_next() {
        let (ours, mut theirs) = duplex(1);
        let mut stream = Unstalled::new(ours, AT_MOST);
        let reading = async {
            for _ in 0..10 {
                sleep(AT_MOST - Duration::from_secs(1)).await;
                theirs.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(stream.write_all(&[0; 10]), reading);
        written.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_anything_to_write_does_not_count() {
        let (ours, mut theirs) = duplex(1);
        let mut stream = Unstalled::new(ours, AT_MOST);
        for _ in 0..3 {
            sleep(2 * AT_MOST).await;
            let (written, read) = tokio::join!(stream.write_all(&[0; 2]), async {
                theirs.read_exact(&mut [0; 2]).await
            });
            assert!(written.is_ok() && read.is_ok());
        }
    }
}

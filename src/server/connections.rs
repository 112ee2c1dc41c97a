//! Takes connections, and serves each: bounded in number, in the size of a
//! request's head, in the time that it may take, and in the time without a byte of
//! an answer that goes out, so that whoever sends nothing or reads nothing holds
//! nothing for long. What requests mean is not known here.

use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::unstalled::Unstalled;
use crate::sandbox::Cancel;

/// How long the head of a request may take to come, and how long a connection may
/// stay without a request.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// What is read of a request before its head must be whole, in bytes (64 KiB);
/// those with more are answered with 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long an answer may wait to be taken, and what was sent to be acknowledged.
///
/// What goes into the system's buffers, of some MiB, counts as taken. So whoever
/// follows an execution that prints little, and lives, and reads nothing, is not
/// told from one that reads: both have their place until it has ended. One that
/// has vanished does not acknowledge the comments of its stream and loses it.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(60);

/// After how long without anything a peer is asked for a sign of life, and how
/// long after that again (tcp(7)): one that has vanished while it waits for an
/// answer is known within two minutes.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15));

/// Most connections at once, wherever there are files enough for them.
const MAX_CONNECTIONS: u64 = 4_096;

/// How long nothing is taken after the system has refused to give a connection,
/// as it does when there are no more file descriptors.
const AFTER_REFUSAL: Duration = Duration::from_millis(500);

/// Serves until `closing` is cancelled and the requests that came before are
/// answered. Connections that there is no room for wait in the system's queue.
/// Whoever takes nothing of an answer for `stalled_after` is cut off.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    stalled_after: Duration,
    closing: Cancel,
) {
    let room = Arc::new(Semaphore::new(most_connections()));
    let open = TaskTracker::new();
    // It ends only with its last permit: it is never closed.
    while let Some(Ok(permit)) =
        closing.run_until_cancelled(Arc::clone(&room).acquire_owned()).await
    {
        let Some(stream) = closing.run_until_cancelled(next(&listener)).await else { break };
        let (router, closing) = (router.clone(), closing.clone());
        open.spawn(async move {
            serve_one(stream, router, stalled_after, &closing).await;
            drop(permit);
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// Half of the files that the process may open: the database and the engine need
/// theirs, whatever callers do.
fn most_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((files / 2).clamp(16, MAX_CONNECTIONS)).unwrap_or(16)
}

async fn next(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_the_caller(&error) => {}
            Err(error) => {
                tracing::error!(%error, "can't take connections");
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
}

/// It went away before it was taken (accept(2)).
fn is_of_the_caller(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

async fn serve_one(stream: TcpStream, router: Router, stalled_after: Duration, closing: &Cancel) {
    if let Err(error) = prepare(&stream, stalled_after) {
        // It is served all the same.
        tracing::debug!(%error, "a connection is not as it should be");
    }
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD_BYTES);
    let service = TowerToHyperService::new(router);
    let stream = TokioIo::new(Unstalled::new(stream, stalled_after));
    let mut connection = pin!(builder.serve_connection(stream, service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Events are small and go at once; and a peer that has vanished is found out.
fn prepare(stream: &TcpStream, stalled_after: Duration) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let (time, interval) = KEEPALIVE;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(interval))?;
    // It decides when probes are given up, too.
    socket.set_tcp_user_timeout(Some(stalled_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn serving() -> (std::net::SocketAddr, Cancel, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(|| async { "well" });
        let closing = Cancel::new();
        (address, closing.clone(), tokio::spawn(serve(listener, router, STALLED_AFTER, closing)))
    }

    async fn answer(stream: &mut TcpStream, sent: &[u8]) -> String {
        stream.write_all(sent).await.unwrap();
        let mut answer = String::new();
        // A connection that is broken off has said all that it will.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_no_whole_head_is_cut_off() {
        let (address, ..) = serving().await;
        let whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for sent in ["", "GET / HTTP/1.1\r\nHos"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert!(!answer(&mut stream, sent.as_bytes()).await.contains("200"), "{sent}");
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(answer(&mut stream, whole.as_bytes()).await.matches("200 OK").count(), 1);
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let (address, ..) = serving().await;
        let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(4 * MAX_HEAD_BYTES));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.ok();
        // What was sent behind the bound may break the connection off first.
        assert!(!answer(&mut stream, b"").await.contains("200 OK"));
    }

    #[tokio::test]
    async fn it_ends_when_it_is_closed_and_idle_connections_do_not_hold_it() {
        let (address, closing, serving) = serving().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(stream.read_u8().await.is_ok());
        closing.cancel();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    /// Says when it is dropped.
    struct Told(Option<tokio::sync::oneshot::Sender<()>>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }

    /// A server of one answer that never ends, and when that was given up.
    async fn endless(
        stalled_after: Duration,
    ) -> (std::net::SocketAddr, tokio::sync::oneshot::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, given_up) = tokio::sync::oneshot::channel();
        let told = Arc::new(std::sync::Mutex::new(Some(Told(Some(sender)))));
        let router = Router::new().fallback(move || {
            let told = told.lock().unwrap().take();
            async move {
                axum::body::Body::from_stream(futures::stream::repeat_with(move || {
                    let _held = &told;
                    Ok::<_, Error>(vec![b'x'; 64 * 1024])
                }))
            }
        });
        tokio::spawn(serve(listener, router, stalled_after, Cancel::new()));
        (address, given_up)
    }

    #[tokio::test]
    async fn whoever_reads_nothing_of_an_answer_is_cut_off() {
        let stalled_after = Duration::from_millis(300);
        let (address, given_up) = endless(stalled_after).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), given_up).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn whoever_reads_slowly_is_not() {
        let stalled_after = Duration::from_secs(2);
        let (address, mut given_up) = endless(stalled_after).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let begun = std::time::Instant::now();
        let mut buffer = vec![0; 4 * 1024 * 1024];
        while begun.elapsed() < 2 * stalled_after {
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(given_up.try_recv().is_err());
        drop(stream);
        given_up.await.unwrap();
    }
}

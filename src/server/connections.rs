//! Accepts and serves connections. It bounds their number, the size of a request's head, the time
//! for it, and the least rate of an answer, so that a peer that sends or reads nothing holds
//! nothing for long. At the limit, some connections that serve no token are closed for new ones
//! ([`super::eviction`]). Requests have no meaning here.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::eviction::Crowd;
use super::unstalled::Unstalled;
use crate::http::connection::Connection;
use crate::sandbox::Cancel;

/// Time limit for a request's head, and for a connection without a request.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Largest head of a request, in bytes (32 KiB); larger ones are answered with 431.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Time in which a blocked answer must progress by [`LEAST_TAKEN`], and in which sent data must be
/// acknowledged.
///
/// Data in the system's buffers, of some MiB, counts as taken. So a live follower that reads
/// nothing of an execution with little output looks like one that reads: both keep their connection
/// until the execution ends. A vanished follower does not acknowledge the comments of its stream
/// and loses its connection.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// Least part of an answer that a peer takes within [`STALLED_AFTER`], in bytes (1 MiB; 17 KiB/s):
/// buffers are emptied in large pieces.
const LEAST_TAKEN: usize = 1024 * 1024;

/// Idle time before a keepalive probe, and the interval of further ones (tcp(7)): a peer that
/// vanished while it waits for an answer is detected within two minutes.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15));

/// Most connections at once, if there are enough file descriptors.
const MAX_CONNECTIONS: u64 = 4_096;

/// Part of all connections that is closed at once at the limit: candidates are not searched for
/// with each new one.
const EVICTED: usize = 64;

/// Pause after the system refused to accept a connection, as it does without free file descriptors.
const AFTER_REFUSAL: Duration = Duration::from_millis(500);

/// Limits for connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Most connections.
    pub(super) connections: usize,
    /// Time limit for a blocked answer to progress.
    pub(super) stalled_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connections: most_connections(), stalled_after: STALLED_AFTER }
    }
}

/// Serves until `closing` is cancelled and the requests received before are answered. Connections
/// over the limit wait in the system's queue until others end or are closed for them.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    closing: Cancel,
) {
    let room = Arc::new(Semaphore::new(patience.connections));
    let crowd = Crowd::default();
    let open = TaskTracker::new();
    while let Some((stream, address)) = closing.run_until_cancelled(next(&listener)).await {
        if room.available_permits() == 0 {
            crowd.evict((patience.connections / EVICTED).max(1));
        }
        let permit = closing.run_until_cancelled(Arc::clone(&room).acquire_owned()).await;
        // The loop ends only with the last permit: the semaphore is never closed.
        let Some(Ok(permit)) = permit else { break };
        let (router, closing) = (router.clone(), closing.clone());
        let place = crowd.enter(address.ip());
        open.spawn(async move {
            let connection = place.connection();
            let served = serve_one(stream, router, connection, patience.stalled_after, &closing);
            place.until_evicted(served).await;
            drop((place, permit));
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// Half of the file descriptors of the process: the database and the engine need the rest.
fn most_connections() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((files / 2).clamp(16, MAX_CONNECTIONS)).unwrap_or(16)
}

async fn next(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_the_caller(&error) => {}
            Err(error) => {
                tracing::error!(%error, "can't take connections");
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
}

/// The connection was closed before it was accepted (accept(2)).
fn is_of_the_caller(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

async fn serve_one(
    stream: TcpStream,
    router: Router,
    connection: &Connection,
    stalled_after: Duration,
    closing: &Cancel,
) {
    if let Err(error) = prepare(&stream, stalled_after) {
        // The connection is served anyway.
        tracing::debug!(%error, "a connection is not as it should be");
    }
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD_BYTES);
    let connection = connection.clone();
    let router = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection.clone());
        request
    });
    let stream = TokioIo::new(Unstalled::new(stream, stalled_after, LEAST_TAKEN));
    let mut serving = pin!(builder.serve_connection(stream, TowerToHyperService::new(router)));
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = closing.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Disables Nagle's algorithm, because events are small, and enables keepalive.
fn prepare(stream: &TcpStream, stalled_after: Duration) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let (time, interval) = KEEPALIVE;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(interval))?;
    // This also limits keepalive probes.
    socket.set_tcp_user_timeout(Some(stalled_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn serving() -> (std::net::SocketAddr, Cancel, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(|| async { "well" });
        let closing = Cancel::new();
        let patience = Patience::default();
        (address, closing.clone(), tokio::spawn(serve(listener, router, patience, closing)))
    }

    async fn answer(stream: &mut TcpStream, sent: &[u8]) -> String {
        stream.write_all(sent).await.unwrap();
        let mut answer = String::new();
        // A broken connection sends nothing more.
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
        // Data sent beyond the limit may break the connection first.
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

    /// Signals its drop.
    struct Told(Option<tokio::sync::oneshot::Sender<()>>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }

    /// Server with one endless answer, and a signal for its drop.
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
        let patience = Patience { stalled_after, ..Patience::default() };
        tokio::spawn(serve(listener, router, patience, Cancel::new()));
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

    /// Server with four connections, which holds those with a token.
    async fn crowded() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/well", axum::routing::get(async || "well")).fallback(
            async |axum::Extension(connection): axum::Extension<Connection>| {
                let hold = connection.hold();
                axum::body::Body::from_stream(futures::stream::iter(0..2).then(move |piece| {
                    let _held = &hold;
                    async move {
                        match piece {
                            0 => Ok::<_, Error>("begun"),
                            _ => std::future::pending().await,
                        }
                    }
                }))
            },
        );
        let patience = Patience { connections: 4, ..Patience::default() };
        tokio::spawn(serve(listener, router, patience, Cancel::new()));
        address
    }

    async fn asked(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        answer(&mut stream, head.as_bytes()).await
    }

    #[tokio::test]
    async fn connections_that_work_for_nobody_are_closed_for_those_that_come() {
        let address = crowded().await;
        let mut idle = Vec::new();
        for sent in ["", "GET / HTTP/1.1\r\nX: ", "", "POST /well HTTP/1.1\r\n"].repeat(8) {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            idle.push(stream);
        }
        assert!(asked(address, "/well").await.ends_with("well"));
    }

    #[tokio::test]
    async fn connections_that_work_for_a_token_are_not() {
        let address = crowded().await;
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            assert!(stream.read_u8().await.is_ok());
            held.push(stream);
        }
        for _ in 0..8 {
            let _idle = TcpStream::connect(address).await.unwrap();
            assert!(asked(address, "/well").await.ends_with("well"));
        }
        for mut stream in held {
            let mut sent = vec![0; 1024];
            let end = tokio::time::timeout(Duration::from_millis(50), async {
                while stream.read(&mut sent).await.is_ok_and(|it| it > 0) {}
            });
            assert!(end.await.is_err(), "it was closed");
        }
    }
}

//! A wedged engine, which can't be had from a real one at will: it answers
//! everything but starts.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::{Docker, Endpoint};
use crate::domain::uid_range::UidRange;
use crate::engine::{Engine, EngineError, Verb};

const SOON: Duration = Duration::from_millis(300);

/// Answers requests whose path ends with one of `answered`, and no others.
async fn serve(listener: UnixListener, answered: &'static [&'static str]) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        tokio::spawn(answer(stream, answered));
    }
}

async fn answer(mut stream: UnixStream, answered: &[&str]) {
    let mut request = vec![0; 4096];
    let read = stream.read(&mut request).await.unwrap_or(0);
    let text = String::from_utf8_lossy(&request[..read]).into_owned();
    let path = text.split_whitespace().nth(1).unwrap_or_default();
    if answered.iter().any(|it| path.ends_with(it)) {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n";
        let _ = stream.write_all(format!("{head}{{}}").as_bytes()).await;
    } else {
        std::future::pending::<()>().await;
    }
}

async fn start_on(answered: &'static [&'static str]) -> EngineError {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    tokio::spawn(serve(UnixListener::bind(&socket).unwrap(), answered));
    let mut docker = Docker::connect(Endpoint::Unix(socket), UidRange::DEFAULT).unwrap();
    docker.start_within = SOON;
    docker.start("any").await.unwrap_err()
}

#[tokio::test]
async fn an_engine_that_answers_and_starts_nothing_is_wedged() {
    let error = start_on(&["/version", "/info"]).await;
    assert!(matches!(error, EngineError::Wedged { after: SOON }), "{error}");
    assert!(error.hint().unwrap().contains("restart the Docker daemon"));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_answers_nothing_has_timed_out() {
    let error = start_on(&[]).await;
    assert!(matches!(error, EngineError::TimedOut { verb: Verb::Start, .. }), "{error}");
}

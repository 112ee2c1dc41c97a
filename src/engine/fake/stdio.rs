//! The stdio of a fake container, and PID 1's manners at its inner end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use gantry_init::frame::{Decoder, Frame, Header, Kind};
use gantry_init::message::{Launch, Preparation, Prepared, Request};
use serde::Serialize;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::world::{Life, has_ended};
use crate::engine::{Attached, EngineError, OutputChunk, OutputStream};

/// A Linux pipe's size, in bytes.
const PIPE: usize = 64 * 1024;

/// Unread pieces of output before the writer has to wait.
const UNREAD: usize = 16;

/// File whose stand-by interpreter reports success and later runs on by itself.
pub(crate) const RUNS_ON: &str = "runs_on.py";

/// PID 1's side of a container's stdio.
pub(crate) struct Stdio {
    input: DuplexStream,
    decoder: Decoder,
    output: mpsc::Sender<Result<OutputChunk, EngineError>>,
    journal: Journal,
    terminated: CancellationToken,
}

/// Log of a container: all that it has printed.
#[derive(Clone, Default)]
pub(super) struct Journal(Arc<watch::Sender<Vec<OutputChunk>>>);

impl Journal {
    /// Replays the log, and follows it until the container ends.
    pub(super) fn replay(&self, life: watch::Receiver<Life>) -> OutputStream {
        let state = (self.0.subscribe(), life, 0);
        let pieces = stream::unfold(state, |(mut pieces, mut life, next)| async move {
            loop {
                // Read first, so that everything printed before the end is there.
                let is_over = has_ended(&life.borrow_and_update()) || life.has_changed().is_err();
                let piece = pieces.borrow_and_update().get(next).cloned();
                if let Some(piece) = piece {
                    return Some((Ok(piece), (pieces, life, next + 1)));
                }
                if is_over {
                    return None;
                }
                tokio::select! {
                    _ = pieces.changed() => {}
                    _ = life.changed() => {}
                }
            }
        });
        pieces.boxed()
    }
}

/// Both sides of a container's stdio.
pub(super) fn pipes(journal: Journal) -> (Stdio, Attached) {
    let (near, far) = duplex(PIPE);
    let (sender, receiver) = mpsc::channel(UNREAD);
    // PID 1's stdin ends when the client drops both directions or shuts it down, as with
    // an attached connection.
    let (connection, input) = tokio::io::split(near);
    let output = stream::unfold((receiver, connection), |(mut receiver, connection)| async {
        let piece = receiver.recv().await?;
        Some((piece, (receiver, connection)))
    });
    let inside = Stdio {
        input: far,
        decoder: Decoder::new(),
        output: sender,
        journal,
        terminated: CancellationToken::new(),
    };
    (inside, Attached { input: Box::pin(input), output: output.boxed() })
}

impl Stdio {
    /// Prints raw bytes.
    pub(crate) async fn print(&self, bytes: &[u8]) {
        self.send(Ok(OutputChunk::Stdout(Bytes::copy_from_slice(bytes)))).await;
    }

    /// Prints to stderr, which PID 1 does only on errors.
    pub(crate) async fn print_stderr(&self, words: &str) {
        self.send(Ok(OutputChunk::Stderr(Bytes::copy_from_slice(words.as_bytes())))).await;
    }

    /// Breaks the client's connection.
    pub(crate) async fn break_connection(&self, error: EngineError) {
        self.send(Err(error)).await;
    }

    /// Sends one frame.
    pub(crate) async fn send_frame(&self, kind: Kind, payload: &[u8]) {
        let header = Header::encode(kind, payload.len()).unwrap();
        self.print(&[header.as_slice(), payload].concat()).await;
    }

    /// Sends one frame with a JSON message.
    pub(crate) async fn send_message(&self, kind: Kind, message: &impl Serialize) {
        self.send_frame(kind, &serde_json::to_vec(message).unwrap()).await;
    }

    /// Token that TERM cancels.
    pub(crate) fn terminated(&self) -> CancellationToken {
        self.terminated.clone()
    }

    /// Waits for a Cancel frame or for TERM.
    pub(crate) async fn wait_for_stop(&mut self) {
        let terminated = self.terminated();
        let cancelled = async {
            while let Some(frame) = self.next_frame().await {
                if frame.kind == Kind::Cancel {
                    return;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            () = terminated.cancelled() => {}
            () = cancelled => {}
        }
    }

    /// Reads the next frame for PID 1; `None` at the end of its stdin.
    pub(crate) async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(frame);
            }
            let mut piece = vec![0; PIPE];
            match self.input.read(&mut piece).await.unwrap() {
                0 => return None,
                read => self.decoder.feed(&piece[..read]),
            }
        }
    }

    /// Reads a request, confirms it and waits for Go. Returns the script's stdin, or
    /// `None` when no Go came.
    pub(crate) async fn wait_for_go(&mut self) -> Option<Vec<u8>> {
        let stdin = self.read_request().await?;
        self.send_frame(Kind::Loaded, &[]).await;
        self.next_frame().await.filter(|frame| frame.kind == Kind::Go)?;
        Some(stdin)
    }

    /// Reads a whole request. Returns the script's stdin, or `None` when the request is
    /// incomplete.
    pub(crate) async fn read_request(&mut self) -> Option<Vec<u8>> {
        let mut head = self.next_frame().await?;
        if head.kind == Kind::Prepare {
            if self.prepare(&head.payload).await == Some(RUNS_ON.to_owned()) {
                tokio::time::sleep(Duration::from_secs(10)).await;
                self.print_stderr("process 2 ran while all stood by\n").await;
                return None;
            }
            head = self.next_frame().await?;
        }
        let head = Some(head).filter(|frame| frame.kind == Kind::Request)?;
        let head: Request = serde_json::from_slice(&head.payload).unwrap();
        self.read_contents(Kind::Script, head.script_bytes).await?;
        self.read_contents(Kind::Stdin, head.stdin_bytes).await
    }

    /// Answers a preparation. A non-empty source is the reason of a failure. Returns the
    /// file name of the stand-by interpreter.
    async fn prepare(&mut self, json: &[u8]) -> Option<String> {
        let preparation: Preparation = serde_json::from_slice(json).unwrap();
        let stand_by = preparation.stand_by;
        let reason = stand_by.as_ref().map(|it| it.source.clone()).filter(|it| !it.is_empty());
        self.send_message(Kind::Prepared, &Prepared { unfit: reason, remark: None }).await;
        stand_by.and_then(|it| match it.launch {
            Launch::Interpreted { file_name, .. } => Some(file_name),
            Launch::Executable { .. } | Launch::InImage { .. } => None,
        })
    }

    async fn read_contents(&mut self, kind: Kind, size: u64) -> Option<Vec<u8>> {
        let mut contents = Vec::new();
        while (contents.len() as u64) < size {
            let frame = self.next_frame().await.filter(|frame| frame.kind == kind)?;
            contents.extend(frame.payload);
        }
        Some(contents)
    }

    /// Sends output. As in a real container, a missing client is not noticed.
    async fn send(&self, piece: Result<OutputChunk, EngineError>) {
        if let Ok(piece) = &piece {
            self.journal.0.send_modify(|pieces| pieces.push(piece.clone()));
        }
        let _ = self.output.send(piece).await;
        // Lets the reader see one piece at a time.
        tokio::task::yield_now().await;
    }
}

//! The stdio of a fake container, and PID 1's manners at its inner end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use gantry_init::frame::{Decoder, Frame, Header, Kind};
use gantry_init::message::{Preparation, Prepared, Request};
use serde::Serialize;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::world::{Life, has_ended};
use crate::engine::{Attached, EngineError, OutputChunk, OutputStream};

/// A Linux pipe's size, in bytes.
const PIPE: usize = 64 * 1024;

/// Pieces of output that nobody has read yet, before the writer has to wait.
const UNREAD: usize = 16;

/// The file whose interpreter says that it stands by, and runs on.
pub(crate) const RUNS_ON: &str = "runs_on.py";

/// PID 1's side of a container's stdio.
pub(crate) struct Stdio {
    input: DuplexStream,
    decoder: Decoder,
    output: mpsc::Sender<Result<OutputChunk, EngineError>>,
    journal: Journal,
    terminated: CancellationToken,
}

/// All that a container has printed, as the engine keeps it.
#[derive(Clone, Default)]
pub(super) struct Journal(Arc<watch::Sender<Vec<OutputChunk>>>);

impl Journal {
    /// All of it, and what comes until the container ends.
    pub(super) fn replay(&self, life: watch::Receiver<Life>) -> OutputStream {
        let state = (self.0.subscribe(), life, 0);
        let pieces = stream::unfold(state, |(mut pieces, mut life, next)| async move {
            loop {
                // Looked at first: what was printed before the end is there then.
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
    // PID 1's stdin ends when the client has let go of both directions, or shuts
    // it down, as with an attached connection.
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
    /// Prints bytes as they are.
    pub(crate) async fn print(&self, bytes: &[u8]) {
        self.send(Ok(OutputChunk::Stdout(Bytes::copy_from_slice(bytes)))).await;
    }

    /// Prints to stderr, which PID 1 does only when something is wrong.
    pub(crate) async fn complain(&self, words: &str) {
        self.send(Ok(OutputChunk::Stderr(Bytes::copy_from_slice(words.as_bytes())))).await;
    }

    /// Breaks the connection to whoever is attached.
    pub(crate) async fn break_connection(&self, error: EngineError) {
        self.send(Err(error)).await;
    }

    /// Says one frame.
    pub(crate) async fn say(&self, kind: Kind, payload: &[u8]) {
        let header = Header::encode(kind, payload.len()).unwrap();
        self.print(&[header.as_slice(), payload].concat()).await;
    }

    /// Says one frame with a message in it.
    pub(crate) async fn tell(&self, kind: Kind, message: &impl Serialize) {
        self.say(kind, &serde_json::to_vec(message).unwrap()).await;
    }

    /// Is cancelled by TERM.
    pub(crate) fn terminated(&self) -> CancellationToken {
        self.terminated.clone()
    }

    /// Waits for a Cancel frame or for TERM.
    pub(crate) async fn asked_to_end(&mut self) {
        let terminated = self.terminated();
        let cancelled = async {
            while let Some(frame) = self.heard().await {
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

    /// The next frame for PID 1; `None` at the end of its stdin.
    pub(crate) async fn heard(&mut self) -> Option<Frame> {
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

    /// What a whole request has for the script's stdin, once it is to be started;
    /// `None` when it never is.
    pub(crate) async fn asked(&mut self) -> Option<Vec<u8>> {
        let stdin = self.request().await?;
        self.say(Kind::Loaded, &[]).await;
        self.heard().await.filter(|frame| frame.kind == Kind::Go)?;
        Some(stdin)
    }

    /// What a whole request has for the script's stdin; `None` when there was no
    /// whole request.
    pub(crate) async fn request(&mut self) -> Option<Vec<u8>> {
        let mut head = self.heard().await?;
        if head.kind == Kind::Prepare {
            if self.prepare(&head.payload).await == Some(RUNS_ON.to_owned()) {
                tokio::time::sleep(Duration::from_secs(10)).await;
                self.complain("process 2 ran while all stood by\n").await;
                return None;
            }
            head = self.heard().await?;
        }
        let head = Some(head).filter(|frame| frame.kind == Kind::Request)?;
        let head: Request = serde_json::from_slice(&head.payload).unwrap();
        self.contents(Kind::Script, head.script_bytes).await?;
        self.contents(Kind::Stdin, head.stdin_bytes).await
    }

    /// Says that it is prepared; a source that is not empty is why nobody stands by.
    /// Answers with the file that somebody stands by for.
    async fn prepare(&mut self, json: &[u8]) -> Option<String> {
        let preparation: Preparation = serde_json::from_slice(json).unwrap();
        let stand_by = preparation.stand_by;
        let reason = stand_by.as_ref().map(|it| it.source.clone()).filter(|it| !it.is_empty());
        self.tell(Kind::Prepared, &Prepared { unfit: reason, remark: None }).await;
        stand_by.map(|it| it.file_name)
    }

    async fn contents(&mut self, kind: Kind, size: u64) -> Option<Vec<u8>> {
        let mut contents = Vec::new();
        while (contents.len() as u64) < size {
            let frame = self.heard().await.filter(|frame| frame.kind == kind)?;
            contents.extend(frame.payload);
        }
        Some(contents)
    }

    /// A container does not notice when nobody listens any more.
    async fn send(&self, piece: Result<OutputChunk, EngineError>) {
        if let Ok(piece) = &piece {
            self.journal.0.send_modify(|pieces| pieces.push(piece.clone()));
        }
        let _ = self.output.send(piece).await;
        // So that the reader sees one piece at a time.
        tokio::task::yield_now().await;
    }
}

//! Parser of stdin, piece by piece: perhaps a preparation, then the request, its script,
//! its stdin and the word to start, in this order, and perhaps a cancel.
//!
//! Pure: takes bytes, gives events, keeps nothing but the JSON of the request.
//! The bytes of script and stdin are passed on as they come and never held.

use crate::frame::{FrameError, HEADER_BYTES, Header, Kind};
use crate::message::{Preparation, Request};
use thiserror::Error;

/// Meaning of the next bytes.
#[derive(Debug, PartialEq)]
pub enum Event<'bytes> {
    /// A preparation before the request.
    Prepare(Box<Preparation>),
    /// The request; the bytes that it announces follow.
    Request(Box<Request>),
    /// A piece of the script, never empty.
    Script(&'bytes [u8]),
    /// A piece of the script's stdin, never empty.
    Stdin(&'bytes [u8]),
    /// The script is to be started: all that was announced is here.
    Go,
    /// The script is to be ended.
    Cancel,
}

/// Errors of bytes that are no request. Nothing can be read after it.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// Not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not this frame, or not now.
    #[error("unexpected {kind:?} frame of {length} bytes")]
    Order {
        /// The frame's kind.
        kind: Kind,
        /// The length that its header claims, in bytes.
        length: usize,
    },
    /// Not the JSON that it has to be.
    #[error("request: {0}")]
    Json(#[from] serde_json::Error),
}

/// Position in the stream.
#[derive(Debug, Default)]
pub struct Intake {
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    /// The frame whose payload is being read; its length counts down.
    frame: Option<Header>,
    json: Vec<u8>,
    has_preparation: bool,
    announced: Option<Announced>,
    has_go: bool,
}

/// Bytes that the request announces and that have not arrived.
#[derive(Debug, Clone, Copy)]
struct Announced {
    script: u64,
    stdin: u64,
}

impl Intake {
    /// True when the request and all that it announces are here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let nothing_follows = matches!(self.announced, Some(Announced { script: 0, stdin: 0 }));
        // A Go or a cancel may be half here. They are no part of the request, and
        // empty.
        nothing_follows && self.frame.is_none()
    }

    /// True when the script is to be started.
    #[must_use]
    pub fn has_go(&self) -> bool {
        self.has_go
    }

    /// Takes from the front of `bytes` what makes the next event; `None` when
    /// all are taken and more are needed.
    ///
    /// # Errors
    /// Any [`IntakeError`]; it must not be called again then.
    pub fn next<'bytes>(
        &mut self,
        bytes: &mut &'bytes [u8],
    ) -> Result<Option<Event<'bytes>>, IntakeError> {
        loop {
            let Some(frame) = self.frame else {
                match self.read_header(bytes)? {
                    Some(header) => self.frame = Some(self.admit(header)?),
                    None => return Ok(None),
                }
                continue;
            };
            let piece = take(bytes, frame.length);
            let left = frame.length - piece.len();
            self.frame = (left > 0).then_some(Header { length: left, ..frame });
            if let Some(event) = self.event(frame.kind, piece)? {
                return Ok(Some(event));
            }
            if left > 0 {
                return Ok(None);
            }
        }
    }

    /// The next frame's header, when it is here as a whole.
    fn read_header(&mut self, bytes: &mut &[u8]) -> Result<Option<Header>, FrameError> {
        let piece = take(bytes, HEADER_BYTES - self.header_filled);
        let end = self.header_filled + piece.len();
        self.header[self.header_filled..end].copy_from_slice(piece);
        self.header_filled = end % HEADER_BYTES;
        if end < HEADER_BYTES { Ok(None) } else { Header::decode(self.header).map(Some) }
    }

    /// Lets a frame in if this is its time, and counts what it brings.
    fn admit(&mut self, header: Header) -> Result<Header, IntakeError> {
        let Header { kind, length } = header;
        let bytes = length as u64;
        match (kind, &mut self.announced) {
            (Kind::Cancel, _) | (Kind::Request, None) => {}
            (Kind::Prepare, None) if !self.has_preparation => self.has_preparation = true,
            (Kind::Script, Some(Announced { script, .. })) if bytes <= *script => *script -= bytes,
            (Kind::Stdin, Some(Announced { script: 0, stdin })) if bytes <= *stdin => {
                *stdin -= bytes;
            }
            (Kind::Go, Some(Announced { script: 0, stdin: 0 })) if !self.has_go => {
                self.has_go = true;
            }
            _ => return Err(IntakeError::Order { kind, length }),
        }
        Ok(header)
    }

    fn event<'bytes>(
        &mut self,
        kind: Kind,
        piece: &'bytes [u8],
    ) -> Result<Option<Event<'bytes>>, IntakeError> {
        Ok(match kind {
            Kind::Cancel => Some(Event::Cancel),
            Kind::Go => Some(Event::Go),
            Kind::Prepare | Kind::Request => {
                self.json.extend_from_slice(piece);
                match (kind, self.frame) {
                    (_, Some(_)) => None,
                    (Kind::Prepare, None) => Some(self.preparation()?),
                    (_, None) => Some(self.request()?),
                }
            }
            _ if piece.is_empty() => None,
            Kind::Script => Some(Event::Script(piece)),
            _ => Some(Event::Stdin(piece)),
        })
    }

    fn preparation(&mut self) -> Result<Event<'static>, IntakeError> {
        let json = std::mem::take(&mut self.json);
        Ok(Event::Prepare(serde_json::from_slice(&json)?))
    }

    fn request(&mut self) -> Result<Event<'static>, IntakeError> {
        let request: Request = serde_json::from_slice(&std::mem::take(&mut self.json))?;
        self.announced =
            Some(Announced { script: request.script_bytes, stdin: request.stdin_bytes });
        Ok(Event::Request(Box::new(request)))
    }
}

/// Cuts at most `most` bytes off the front.
fn take<'bytes>(bytes: &mut &'bytes [u8], most: usize) -> &'bytes [u8] {
    let (piece, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    piece
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;

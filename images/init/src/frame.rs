//! Frames: an 8-byte header and a payload of bounded length.
//!
//! ```text
//! 0      1        2     3         4            8
//! | 'G' | version | kind | 0      | length LE  | payload …
//! ```
//!
//! Between frames there may be line feeds. init sends one behind each of its own
//! ([`TERMINATOR`]), because engines keep what a container prints as lines: one is
//! written down, and can be read again, when it is whole, and of one that is longer
//! than 16 KiB Docker 20.10 loses the line feed.

use thiserror::Error;

/// First byte of every frame.
pub const MAGIC: u8 = b'G';

/// Version of the protocol; both ends must have the same. Images carry the hash
/// of the init that is in them, so a mismatch means a foreign image.
pub const VERSION: u8 = 1;

/// Bytes in a frame's header.
pub const HEADER_BYTES: usize = 8;

/// Byte that init sends behind each frame.
pub const TERMINATOR: u8 = b'\n';

/// Longest line that Docker's loggers take in one piece, its line feed included
/// (`defaultBufSize` of moby's `daemon/logger/copier.go`).
const MAX_LINE: usize = 16 * 1024;

/// Longest payload that init sends: no frame makes a line that is too long.
pub const MAX_REPLY_PAYLOAD: usize = MAX_LINE - HEADER_BYTES - 1;

/// Longest JSON of a [`Kind::Request`]: argv and environment together are
/// bounded by the kernel at 2 MiB (a quarter of the 8 MiB stack limit,
/// execve(2)), and a byte of them takes up to six in JSON (`\u001f`).
pub const MAX_REQUEST_JSON: usize = 16 * 1024 * 1024;

/// Longest payload of a [`Kind::Script`] or [`Kind::Stdin`] frame, in bytes.
/// Longer contents are sent in several frames.
pub const MAX_REQUEST_PAYLOAD: usize = 1024 * 1024;

/// Kind of a frame. Kinds below 16 go to init, the others come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// JSON [`crate::message::Request`]; first and once.
    Request = 1,
    /// A piece of the script's bytes.
    Script = 2,
    /// A piece of what the script reads from stdin.
    Stdin = 3,
    /// Ends the script now: TERM, grace, KILL. Before [`Kind::Go`] it ends PID 1,
    /// and nothing has run. Empty.
    Cancel = 4,
    /// Starts the script: after all that the request announces, and once. Empty.
    Go = 5,
    /// JSON [`crate::message::Preparation`]; before the request, and once at most.
    Prepare = 6,
    /// JSON [`crate::message::Hello`]: PID 1 is up and waits.
    Hello = 16,
    /// The script's process exists. Empty.
    Started = 17,
    /// A piece of the script's stdout.
    Stdout = 18,
    /// A piece of the script's stderr.
    Stderr = 19,
    /// A piece of the declared output file.
    OutputFile = 20,
    /// JSON [`crate::message::ArtifactBegin`]: the next `size` bytes of
    /// [`Kind::ArtifactData`] are this file.
    ArtifactBegin = 21,
    /// A piece of the artifact that started last.
    ArtifactData = 22,
    /// JSON [`crate::message::Exit`]; last.
    Exit = 23,
    /// JSON [`crate::message::Refused`]; last, and no script ran.
    Refused = 24,
    /// The request is here as a whole and nothing has run: PID 1 waits for
    /// [`Kind::Go`]. Once, before [`Kind::Started`]. Empty.
    Loaded = 25,
    /// JSON [`crate::message::Prepared`]; answers [`Kind::Prepare`].
    Prepared = 26,
    /// JSON [`crate::message::LeftFile`]: the script left this file on disk.
    LeftFile = 27,
    /// JSON [`crate::message::DiskUse`]: now and then while the script runs.
    DiskUse = 28,
}

impl Kind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Request,
            2 => Self::Script,
            3 => Self::Stdin,
            4 => Self::Cancel,
            5 => Self::Go,
            6 => Self::Prepare,
            16 => Self::Hello,
            17 => Self::Started,
            18 => Self::Stdout,
            19 => Self::Stderr,
            20 => Self::OutputFile,
            21 => Self::ArtifactBegin,
            22 => Self::ArtifactData,
            23 => Self::Exit,
            24 => Self::Refused,
            25 => Self::Loaded,
            26 => Self::Prepared,
            27 => Self::LeftFile,
            28 => Self::DiskUse,
            _ => return None,
        })
    }

    /// The longest payload that a frame of this kind may have, in bytes.
    #[must_use]
    pub fn max_payload(self) -> usize {
        match self {
            Self::Prepare | Self::Request => MAX_REQUEST_JSON,
            Self::Script | Self::Stdin => MAX_REQUEST_PAYLOAD,
            Self::Cancel | Self::Go | Self::Loaded | Self::Started => 0,
            _ => MAX_REPLY_PAYLOAD,
        }
    }
}

/// Errors of bytes that are not a frame. The stream can't be read on after any of these.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The first byte is not [`MAGIC`].
    #[error("byte 0x{0:02x} where a frame must begin")]
    Magic(u8),
    /// The other end speaks another version.
    #[error("frame of protocol version {0}, expected {VERSION}")]
    Version(u8),
    /// No kind has this number, or the reserved byte is set.
    #[error("frame of unknown kind {0}")]
    Kind(u8),
    /// The payload is longer than its kind allows.
    #[error("{kind:?} frame of {length} bytes, at most {} are allowed", kind.max_payload())]
    Length {
        /// The frame's kind.
        kind: Kind,
        /// The length that its header claims, in bytes.
        length: usize,
    },
}

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Kind of the frame.
    pub kind: Kind,
    /// Bytes of payload that follow.
    pub length: usize,
}

impl Header {
    /// The header's bytes.
    ///
    /// # Errors
    /// [`FrameError::Length`] when the payload is longer than its kind allows.
    pub fn encode(kind: Kind, length: usize) -> Result<[u8; HEADER_BYTES], FrameError> {
        let too_long = FrameError::Length { kind, length };
        if length > kind.max_payload() {
            return Err(too_long);
        }
        let [a, b, c, d] = u32::try_from(length).map_err(|_| too_long)?.to_le_bytes();
        Ok([MAGIC, VERSION, kind as u8, 0, a, b, c, d])
    }

    /// Reads a header.
    ///
    /// # Errors
    /// Any [`FrameError`]; the bytes are not trusted.
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let [magic, version, kind, reserved, length @ ..] = bytes;
        if magic != MAGIC {
            return Err(FrameError::Magic(magic));
        }
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let kind = match (Kind::from_number(kind), reserved) {
            (Some(known), 0) => known,
            _ => return Err(FrameError::Kind(kind)),
        };
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > kind.max_payload() {
            return Err(FrameError::Length { kind, length });
        }
        Ok(Self { kind, length })
    }
}

/// One whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub kind: Kind,
    /// Its payload, at most [`Kind::max_payload`] bytes.
    pub payload: Vec<u8>,
}

/// Cuts a byte stream into frames. Feed it pieces of any size; it holds at most
/// one frame and the piece that was fed last.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    read: usize,
}

impl Decoder {
    /// An empty decoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.buffer.drain(..self.read);
            self.read = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next whole frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// Any [`FrameError`]. The stream is broken then, and every later call returns the
    /// same error.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = self.buffer.get(self.read..).unwrap_or_default();
        self.read += rest.iter().take_while(|byte| **byte == TERMINATOR).count();
        let rest = self.buffer.get(self.read..).unwrap_or_default();
        let Some((head, body)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let Header { kind, length } = Header::decode(*head)?;
        let Some(payload) = body.get(..length) else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.read += HEADER_BYTES + length;
        Ok(Some(Frame { kind, payload }))
    }

    /// True when the stream could end here: no frame has been cut in two, and all of
    /// them have been taken.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.read == self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_decoder_holds_one_frame_and_the_last_piece(
            lengths in proptest::collection::vec(0..=MAX_REPLY_PAYLOAD, 1..20),
            piece in 1..200_000_usize,
        ) {
            let mut stream = vec![];
            for length in lengths {
                stream.extend(Header::encode(Kind::Stdout, length).unwrap());
                stream.resize(stream.len() + length, 0);
            }
            let mut decoder = Decoder::new();
            for piece in stream.chunks(piece) {
                decoder.feed(piece);
                prop_assert!(decoder.buffer.len() < HEADER_BYTES + MAX_REPLY_PAYLOAD + piece.len());
                while decoder.next_frame().unwrap().is_some() {}
            }
            prop_assert!(decoder.is_at_boundary());
        }
    }
}

//! Frames on their way to Gantry, in a buffer of fixed size.
//!
//! Writing never blocks unless the caller waits for it, and then only as long as the
//! other end goes on reading: the script's deadline is kept even without a reader. When
//! the other end is gone for good, frames are dropped without an error, because the
//! script goes on.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::write;
use serde::Serialize;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use gantry_init::frame::{HEADER_BYTES, Header, Kind, MAX_REPLY_PAYLOAD, TERMINATOR};

use crate::readiness::{Interest, wait};

/// Bytes that may wait for the other end to read them: four times what a Linux pipe
/// holds.
const CAPACITY: usize = 16 * LONGEST_FRAME;

/// The longest frame that init sends, in bytes, with what stands behind it.
const LONGEST_FRAME: usize = HEADER_BYTES + MAX_REPLY_PAYLOAD + 1;

/// Longest time that the other end may read nothing while init has nothing else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Nobody has read anything for [`PATIENCE`].
#[derive(Debug)]
pub(crate) struct WriteStalled;

/// The buffer, and the pipe that it is emptied into.
pub(crate) struct Outgoing {
    pipe: OwnedFd,
    buffer: Box<[u8]>,
    /// Bytes to send are `buffer[sent..filled]`.
    sent: usize,
    filled: usize,
    broken: bool,
}

impl Outgoing {
    /// Sends into `pipe`, which becomes non-blocking.
    pub(crate) fn new(pipe: OwnedFd) -> nix::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&pipe, FcntlArg::F_GETFL)?);
        fcntl(&pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let buffer = vec![0; CAPACITY].into_boxed_slice();
        Ok(Self { pipe, buffer, sent: 0, filled: 0, broken: false })
    }

    /// True when the longest frame fits in.
    pub(crate) fn has_room(&self) -> bool {
        self.filled - self.sent + LONGEST_FRAME <= CAPACITY
    }

    /// True when bytes wait to be written.
    pub(crate) fn is_pending(&self) -> bool {
        self.sent < self.filled
    }

    /// True when the other end is gone for good.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Adds one frame whose payload, of at most `most` bytes, `read` puts right
    /// into the buffer. Nothing is added when it reads nothing.
    ///
    /// # Errors
    /// That of `read`, and `WouldBlock` when there is no room.
    pub(crate) fn fill(
        &mut self,
        kind: Kind,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if !self.has_room() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.move_to_front();
        let most = most.min(kind.max_payload()).min(MAX_REPLY_PAYLOAD);
        let frame = &mut self.buffer[self.filled..];
        let (header, payload) = frame.split_at_mut(HEADER_BYTES);
        let length = read(&mut payload[..most])?;
        header.copy_from_slice(&Header::encode(kind, length).map_err(io::Error::other)?);
        if length > 0 {
            frame[HEADER_BYTES + length] = TERMINATOR;
            self.filled += HEADER_BYTES + length + 1;
        }
        Ok(length)
    }

    /// Adds one frame, waiting for room.
    pub(crate) fn push(&mut self, kind: Kind, payload: &[u8]) -> Result<(), WriteStalled> {
        self.make_room()?;
        self.move_to_front();
        let Ok(header) = Header::encode(kind, payload.len()) else {
            debug_assert!(false, "{kind:?} of {} bytes", payload.len());
            return Ok(());
        };
        for part in [&header[..], payload, &[TERMINATOR]] {
            self.buffer[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
        }
        Ok(())
    }

    /// Adds one frame with a JSON message in it, waiting for room.
    pub(crate) fn push_message(
        &mut self,
        kind: Kind,
        message: &impl Serialize,
    ) -> Result<(), WriteStalled> {
        let json = serde_json::to_vec(message);
        debug_assert!(json.is_ok(), "messages are plain structs");
        self.push(kind, &json.unwrap_or_default())
    }

    /// Writes what can be written at once.
    pub(crate) fn flush(&mut self) {
        while self.is_pending() {
            match write(&self.pipe, &self.buffer[self.sent..self.filled]) {
                Ok(written) => self.sent += written,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => {
                    self.broken = true;
                    self.sent = self.filled;
                }
            }
        }
        (self.sent, self.filled) = (0, 0);
    }

    /// Waits until the longest frame fits in.
    pub(crate) fn make_room(&mut self) -> Result<(), WriteStalled> {
        while !self.has_room() {
            self.write_some()?;
        }
        Ok(())
    }

    /// Waits until all is written.
    pub(crate) fn flush_all(&mut self) -> Result<(), WriteStalled> {
        while self.is_pending() {
            self.write_some()?;
        }
        Ok(())
    }

    fn write_some(&mut self) -> Result<(), WriteStalled> {
        let waiting = self.filled - self.sent;
        self.flush();
        if self.filled - self.sent < waiting {
            return Ok(());
        }
        let [ready] = wait([Some(Interest::writing(&self.pipe))], Some(PATIENCE));
        if ready { Ok(()) } else { Err(WriteStalled) }
    }

    fn move_to_front(&mut self) {
        if self.filled + LONGEST_FRAME > CAPACITY {
            self.buffer.copy_within(self.sent..self.filled, 0);
            self.filled -= self.sent;
            self.sent = 0;
        }
    }
}

impl AsFd for Outgoing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_init::frame::{Decoder, Frame};
    use std::io::Read;

    fn piped() -> (Outgoing, io::PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        (Outgoing::new(writer.into()).unwrap(), reader)
    }

    #[test]
    fn frames_come_out_as_they_went_in_while_the_reader_is_slow() {
        let (mut out, mut reader) = piped();
        let mut decoder = Decoder::new();
        let mut received = Vec::new();
        let mut piece = vec![0; 50_000];
        for number in 0..100_u8 {
            let payload = vec![number; 1 + usize::from(number) * 160];
            while !out.has_room() {
                let read = reader.read(&mut piece).unwrap();
                decoder.feed(&piece[..read]);
                out.flush();
            }
            out.push(Kind::Stdout, &payload).unwrap();
            out.flush();
            while let Some(frame) = decoder.next_frame().unwrap() {
                received.push(frame);
            }
        }
        while out.is_pending() {
            let read = reader.read(&mut piece).unwrap();
            decoder.feed(&piece[..read]);
            out.flush();
        }
        drop(out);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        decoder.feed(&rest);
        while let Some(frame) = decoder.next_frame().unwrap() {
            received.push(frame);
        }
        let expected: Vec<_> = (0..100_u8)
            .map(|number| Frame {
                kind: Kind::Stdout,
                payload: vec![number; 1 + usize::from(number) * 160],
            })
            .collect();
        assert!(received == expected);
    }

    #[test]
    fn no_line_is_longer_than_an_engine_keeps_in_one_piece() {
        let (mut out, mut reader) = piped();
        for payload in [&[0; MAX_REPLY_PAYLOAD][..], b"", b"\n\n"] {
            out.push(Kind::Stdout, payload).unwrap();
        }
        out.fill(Kind::Stdout, usize::MAX, |space| Ok(space.len())).unwrap();
        let mut sent = Vec::new();
        while out.is_pending() {
            out.flush();
            let mut piece = vec![0; 70_000];
            let read = reader.read(&mut piece).unwrap();
            sent.extend_from_slice(&piece[..read]);
        }
        assert!(sent.ends_with(b"\n"));
        assert!(sent.split_inclusive(|byte| *byte == b'\n').all(|line| line.len() <= 16 * 1024));
    }

    #[test]
    fn full_means_full() {
        let (mut out, _reader) = piped();
        while out.has_room() {
            out.push(Kind::Stdout, &[0; MAX_REPLY_PAYLOAD]).unwrap();
        }
        let refused = out.fill(Kind::Stdout, 1, |_| Ok(1)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_empty_read_adds_no_frame() {
        let (mut out, _reader) = piped();
        assert_eq!(out.fill(Kind::Stdout, 10, |_| Ok(0)).unwrap(), 0);
        assert!(!out.is_pending());
    }

    #[test]
    fn a_payload_is_cut_at_what_the_kind_allows() {
        let (mut out, _reader) = piped();
        let length = out.fill(Kind::Stdout, usize::MAX, |space| Ok(space.len())).unwrap();
        assert_eq!(length, MAX_REPLY_PAYLOAD);
    }

    #[test]
    fn without_a_reader_frames_are_dropped() {
        let (mut out, reader) = piped();
        drop(reader);
        for _ in 0..100 {
            out.push(Kind::Stdout, &[0; MAX_REPLY_PAYLOAD]).unwrap();
        }
        out.flush_all().unwrap();
        assert!(out.is_broken());
    }
}

//! The script's stdin: a pipe that is filled out of a memory file as it is read.
//!
//! The rest waits in the file until the pipe has room, and its memory is given back as it
//! is read. Nothing waits for a script that does not read.

use nix::fcntl::{FallocateFlags, fallocate};
use std::fs::File;
use std::io::{ErrorKind, PipeWriter, Write};
use std::os::unix::fs::FileExt;

use crate::readiness::Interest;

/// Bytes that are written at once: a pipe's.
const PIECE_BYTES: usize = 64 * 1024;

/// Pieces that are written in one turn. A script that reads as fast as it is written to
/// must not keep us from its deadline.
const PIECES_PER_TURN: usize = 8;

/// Bytes that are given back at once.
const FREED_BYTES: u64 = 1024 * 1024;

/// The part of stdin that is still to be read.
pub(crate) struct Feed {
    /// Our end, non-blocking; `None` when there is nothing more to write, or no reader.
    pipe: Option<PipeWriter>,
    source: File,
    written: u64,
    freed: u64,
}

impl Feed {
    /// Writes all of `source` into `pipe`, which is non-blocking, and then its end.
    pub(crate) fn new(pipe: PipeWriter, source: File) -> Self {
        Self { pipe: Some(pipe), source, written: 0, freed: 0 }
    }

    /// The event to wait for before the next [`Feed::pass_on`].
    pub(crate) fn interest(&self) -> Option<Interest<'_>> {
        self.pipe.as_ref().map(Interest::writing)
    }

    /// Writes what can be written at once.
    pub(crate) fn pass_on(&mut self) {
        let mut piece = [0; PIECE_BYTES];
        for _ in 0..PIECES_PER_TURN {
            let Some(pipe) = &mut self.pipe else { return };
            let passed = match self.source.read_at(&mut piece, self.written) {
                Ok(0) => Ok(0),
                Ok(length) => pipe.write(&piece[..length]),
                Err(error) => Err(error),
            };
            match passed {
                Ok(0) => self.pipe = None,
                Ok(length) => self.written += length as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nobody reads any more.
                Err(_) => self.pipe = None,
            }
        }
        self.give_back();
    }

    fn give_back(&mut self) {
        let length = self.written - self.freed;
        if length < FREED_BYTES {
            return;
        }
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let (offset, length) = (self.freed.cast_signed(), length.cast_signed());
        // Where it can't be, it is given back at the end.
        let _ = fallocate(&self.source, flags, offset, length);
        self.freed = self.written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::io::{PipeReader, Read};

    fn fed(content: &[u8]) -> (Feed, PipeReader) {
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(content).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        (Feed::new(writer, source), reader)
    }

    #[test]
    fn what_fits_is_there_with_its_end_at_once() {
        for content in [&b""[..], b"in", &[7; PIECE_BYTES]] {
            let (mut feed, mut reader) = fed(content);
            feed.pass_on();
            assert!(feed.interest().is_none(), "{}", content.len());
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == content);
        }
    }

    #[test]
    fn what_does_not_fit_comes_as_it_is_read() {
        let content: Vec<u8> = (0..=255).cycle().take(3_000_001).collect();
        let (mut feed, mut reader) = fed(&content);
        let mut read = Vec::new();
        while feed.interest().is_some() {
            feed.pass_on();
            let mut piece = [0; 1000];
            let length = reader.read(&mut piece).unwrap();
            read.extend_from_slice(&piece[..length]);
        }
        reader.read_to_end(&mut read).unwrap();
        assert!(read == content);
        assert!(feed.freed >= 2 * FREED_BYTES);
    }

    #[test]
    fn without_a_reader_it_is_over() {
        let (mut feed, reader) = fed(&[0; 1_000_000]);
        feed.pass_on();
        assert!(feed.interest().is_some());
        drop(reader);
        feed.pass_on();
        assert!(feed.interest().is_none());
    }
}

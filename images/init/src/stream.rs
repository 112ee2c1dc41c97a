//! The script's stdout or stderr, on its way into frames.
//!
//! Up to the cap it is passed on, as fast as the other end reads. The rest is
//! counted and dropped at full speed: a script is never blocked or killed for
//! writing too much.

use std::io::{self, PipeReader, Read};

use gantry_init::frame::{Kind, MAX_REPLY_PAYLOAD};

use crate::outgoing::{Outgoing, WriteStalled};
use crate::readiness::Interest;

/// Most that a pipe can hold (`/proc/sys/fs/pipe-max-size` as the kernel sets
/// it), hence most that can be left in it when its writers are dead.
const PIPE_BYTES: u64 = 1024 * 1024;

/// Buffer for bytes that are dropped.
pub(crate) type Scratch = [u8; MAX_REPLY_PAYLOAD];

/// One of the script's output streams.
pub(crate) struct Stream {
    kind: Kind,
    pipe: Option<PipeReader>,
    /// Bytes that may still be passed on.
    cap: u64,
    written: u64,
}

impl Stream {
    /// Passes on at most `cap` bytes of `pipe`, which is non-blocking.
    pub(crate) fn new(kind: Kind, pipe: PipeReader, cap: u64) -> Self {
        Self { kind, pipe: Some(pipe), cap, written: 0 }
    }

    /// Bytes that the script wrote, passed on or not.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// True until no process can write to it any more.
    pub(crate) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// True when it can't be read on before the other end has read something.
    pub(crate) fn is_held_up(&self, out: &Outgoing) -> bool {
        self.is_open() && !self.is_dropping(out) && !out.has_room()
    }

    /// Readiness to wait for before the next [`Stream::pass_on`].
    pub(crate) fn interest(&self, out: &Outgoing) -> Option<Interest<'_>> {
        if self.is_held_up(out) { None } else { self.pipe.as_ref().map(Interest::reading) }
    }

    /// Takes one piece from the pipe, if there is one.
    pub(crate) fn pass_on(&mut self, out: &mut Outgoing, scratch: &mut Scratch) {
        let _ = self.take_piece(out, scratch);
    }

    /// Takes what is left in the pipe. All processes of the sandbox are dead, so it ends,
    /// unless one of them has handed its end to a process outside: an empty pipe counts
    /// as the end, and so does more than a pipe can hold.
    pub(crate) fn finish(
        &mut self,
        out: &mut Outgoing,
        scratch: &mut Scratch,
    ) -> Result<(), WriteStalled> {
        let enough = self.written + PIPE_BYTES;
        while self.is_open() && self.written < enough {
            if self.is_held_up(out) {
                out.make_room()?;
            }
            if self.take_piece(out, scratch).is_err() {
                break;
            }
            out.flush();
        }
        self.pipe = None;
        Ok(())
    }

    fn is_dropping(&self, out: &Outgoing) -> bool {
        self.cap == 0 || out.is_broken()
    }

    fn take_piece(&mut self, out: &mut Outgoing, scratch: &mut Scratch) -> io::Result<()> {
        let dropping = self.is_dropping(out);
        let Some(mut pipe) = self.pipe.as_ref() else { return Ok(()) };
        let taken = if dropping {
            pipe.read(scratch)
        } else {
            let most = usize::try_from(self.cap).unwrap_or(usize::MAX);
            out.fill(self.kind, most, |space| pipe.read(space))
        };
        match taken {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                self.written += length as u64;
                self.cap = self.cap.saturating_sub(length as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_init::frame::{Decoder, Frame};
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::io::Write;
    use std::os::fd::AsFd;

    fn stream(cap: u64) -> (Stream, io::PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        (Stream::new(Kind::Stdout, reader, cap), writer)
    }

    fn frames(out: Outgoing, mut reader: io::PipeReader) -> Vec<Frame> {
        drop(out);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        let mut decoder = Decoder::new();
        decoder.feed(&bytes);
        std::iter::from_fn(|| decoder.next_frame().unwrap()).collect()
    }

    #[test]
    fn what_is_over_the_cap_is_counted_and_dropped() {
        let (mut stream, mut writer) = stream(5);
        let (reader, out) = io::pipe().unwrap();
        let mut out = Outgoing::new(out.into()).unwrap();
        writer.write_all(b"passed on").unwrap();
        drop(writer);
        while stream.is_open() {
            stream.pass_on(&mut out, &mut [0; MAX_REPLY_PAYLOAD]);
        }
        assert_eq!(stream.written(), 9);
        out.flush();
        let payload = b"passe".to_vec();
        assert_eq!(frames(out, reader), [Frame { kind: Kind::Stdout, payload }]);
    }

    #[test]
    fn the_rest_is_taken_even_when_somebody_holds_the_pipe() {
        let (mut stream, mut writer) = stream(100);
        let (_reader, out) = io::pipe().unwrap();
        let mut out = Outgoing::new(out.into()).unwrap();
        writer.write_all(b"rest").unwrap();
        stream.finish(&mut out, &mut [0; MAX_REPLY_PAYLOAD]).unwrap();
        assert!(!stream.is_open());
        assert_eq!(stream.written(), 4);
    }

    #[test]
    fn a_full_buffer_holds_up_what_is_passed_on_but_not_what_is_dropped() {
        let (_reader, out) = io::pipe().unwrap();
        let mut out = Outgoing::new(out.into()).unwrap();
        while out.has_room() {
            out.push(Kind::Stdout, &[0; MAX_REPLY_PAYLOAD]).unwrap();
        }
        assert!(stream(1).0.is_held_up(&out));
        assert!(!stream(0).0.is_held_up(&out));
    }
}

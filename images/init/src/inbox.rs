//! Frames on our stdin: perhaps a preparation, then the request, some time later the word
//! to start its script, then silence or a cancel.
//!
//! Up to that word nothing has run, and the end of stdin means that Gantry is gone:
//! PID 1 goes too. Afterwards it means nothing.

use std::fs::File;
use std::io::{ErrorKind, Read};

use gantry_init::intake::{Event, Intake};
use gantry_init::message::{Preparation, Refused, RefusedReason};
use gantry_init::request::{check, refused};
use nix::unistd::Pid;

use crate::delivery::{Delivered, Delivery};
use crate::outgoing::Outgoing;
use crate::pid_one::{PidOne, Reaped};
use crate::readiness::{Interest, wait};
use crate::signals::Signals;
use crate::watch::Watch;

/// Bytes that are read at once: a pipe's.
const PIECE_BYTES: usize = 64 * 1024;

/// Reasons to run no script.
pub(crate) enum NoRequest {
    /// Gantry is gone, or does not need this sandbox any more.
    Gone,
    /// Gantry is still there and has to get this answer.
    Refused(Refused),
}

/// A preparation or a request.
pub(crate) enum Received {
    /// To be ready for a request.
    Preparation(Box<Preparation>),
    /// All of a request.
    Request(Box<Delivered>),
}

/// Frames from Gantry.
pub(crate) struct Inbox {
    stdin: Option<File>,
    intake: Intake,
    preparation: Option<Box<Preparation>>,
    /// A process that has to live until the script starts, and to stand by.
    watch: Option<Watch>,
    cancelled: bool,
}

impl Inbox {
    /// Nothing has been read of `stdin`.
    pub(crate) fn new(stdin: File) -> Self {
        Self {
            stdin: Some(stdin),
            intake: Intake::default(),
            preparation: None,
            watch: None,
            cancelled: false,
        }
    }

    /// From now on, this process stands by.
    pub(crate) fn stands_by(&mut self, process: Pid) {
        self.watch = Some(Watch::begin(process));
    }

    /// Waits for the request, or for what to prepare, for ever if need be.
    pub(crate) fn receive(
        &mut self,
        pid_one: &PidOne,
        signals: &Signals,
        out: &mut Outgoing,
    ) -> Result<Received, NoRequest> {
        let mut delivery = None;
        loop {
            self.hear(pid_one, signals, out, &mut delivery)?;
            if let Some(preparation) = self.preparation.take() {
                return Ok(Received::Preparation(preparation));
            }
            if self.intake.is_complete()
                && let Some(delivery) = delivery.take()
            {
                return Ok(Received::Request(Box::new(delivery.finish()?)));
            }
        }
    }

    /// Waits for the word to start what was received, for ever if need be.
    pub(crate) fn wait_for_go(
        &mut self,
        pid_one: &PidOne,
        signals: &Signals,
        out: &mut Outgoing,
    ) -> Result<(), NoRequest> {
        while !self.intake.has_go() {
            self.hear(pid_one, signals, out, &mut None)?;
        }
        Ok(())
    }

    /// Waits until there is something to hear while nothing runs, and takes it in.
    fn hear(
        &mut self,
        pid_one: &PidOne,
        signals: &Signals,
        out: &mut Outgoing,
        delivery: &mut Option<Delivery>,
    ) -> Result<(), NoRequest> {
        let to_write = out.is_pending().then(|| Interest::writing(out));
        let interests = [self.interest(), to_write, Some(Interest::reading(signals))];
        let [readable, writable, signalled] =
            wait(interests, self.watch.as_ref().map(Watch::time_left));
        if writable {
            out.flush();
        }
        if signalled {
            // A process that the operator executed in here and left behind, or one whose
            // end makes this sandbox unfit.
            while let Reaped::Process(pid, _) = pid_one.reap() {
                if self.watch.as_ref().is_some_and(|watch| watch.is_of(pid)) {
                    return Err(given_up("its interpreter ended while it stood by"));
                }
            }
        }
        if let Some(why) = self.watch.as_mut().and_then(|watch| watch.look(signalled)) {
            return Err(given_up(&why));
        }
        if (signalled && signals.take()) || out.is_broken() {
            return Err(NoRequest::Gone);
        }
        if readable {
            let mut buffer = [0; PIECE_BYTES];
            let piece = self.read(&mut buffer).ok_or(NoRequest::Gone)?;
            self.take_in(piece, delivery)?;
        }
        Ok(())
    }

    /// Readiness to wait for before the next [`Inbox::hears_cancel`].
    pub(crate) fn interest(&self) -> Option<Interest<'_>> {
        self.stdin.as_ref().map(Interest::reading)
    }

    /// Reads what is there when the script runs already; true when it is to be
    /// cancelled. What is not understood ends the listening, not the script.
    pub(crate) fn hears_cancel(&mut self) -> bool {
        let mut buffer = [0; 512];
        if let Some(mut piece) = self.read(&mut buffer) {
            self.listen(&mut piece);
        }
        self.cancelled
    }

    /// True when a cancel came right behind the word to start.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The next piece; `None` at the end of stdin, which is closed then.
    fn read<'buffer>(&mut self, buffer: &'buffer mut [u8]) -> Option<&'buffer [u8]> {
        let length = match self.stdin.as_mut()?.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Some(&[]),
            Ok(0) | Err(_) => {
                self.stdin = None;
                return None;
            }
            Ok(length) => length,
        };
        Some(&buffer[..length])
    }

    fn take_in(
        &mut self,
        mut piece: &[u8],
        delivery: &mut Option<Delivery>,
    ) -> Result<(), NoRequest> {
        while !self.intake.has_go() {
            let not_understood = |error| refused(RefusedReason::Request, error);
            let event = self.intake.next(&mut piece).map_err(not_understood)?;
            match (event, delivery.as_mut()) {
                (None, _) => return Ok(()),
                (Some(Event::Go), _) => {}
                (Some(Event::Cancel), _) => return Err(NoRequest::Gone),
                (Some(Event::Prepare(_)), _) if !piece.is_empty() => {
                    let text = "something before the preparation was answered";
                    return Err(refused(RefusedReason::Request, text).into());
                }
                (Some(Event::Prepare(preparation)), _) => self.preparation = Some(preparation),
                (Some(Event::Request(request)), _) => {
                    check(&request)?;
                    *delivery = Some(Delivery::begin(*request)?);
                }
                (Some(Event::Script(bytes)), Some(delivery)) => delivery.script(bytes)?,
                (Some(Event::Stdin(bytes)), Some(delivery)) => delivery.stdin(bytes)?,
                (Some(Event::Script(_) | Event::Stdin(_)), None) => {
                    debug_assert!(false, "intake gives the request first");
                }
            }
        }
        self.listen(&mut piece);
        Ok(())
    }

    fn listen(&mut self, piece: &mut &[u8]) {
        loop {
            match self.intake.next(piece) {
                Ok(Some(Event::Cancel)) => self.cancelled = true,
                Ok(None) => return,
                Ok(Some(_)) | Err(_) => {
                    self.stdin = None;
                    return;
                }
            }
        }
    }
}

/// Ends a sandbox that is unfit. Gantry has no request for it yet, or will give it to
/// another one; stderr is logged.
fn given_up(why: &str) -> NoRequest {
    eprintln!("{why}");
    NoRequest::Gone
}

impl From<Refused> for NoRequest {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

//! Runs one script from its start to the death of its last process: passes its
//! output on, keeps its deadline, reaps, listens for a cancel.
//!
//! One thread, one poll(2). Nothing here waits for anything else, so that
//! neither a script nor a slow reader can hold up the deadline.

use nix::libc::SIGKILL;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::File;
use std::time::{Duration, Instant};

use gantry_init::frame::{Kind, MAX_REPLY_PAYLOAD};
use gantry_init::message::{DiskEnd, DiskUse, End, Place, Request, Stopped};

use crate::child::Child;
use crate::disk::Disk;
use crate::feed::Feed;
use crate::inbox::Inbox;
use crate::outgoing::{Outgoing, WriteStalled};
use crate::pid_one::{PidOne, Reaped};
use crate::places::Places;
use crate::readiness::{Interest, wait};
use crate::signals::Signals;
use crate::stop::{Action, Facts, Stop};
use crate::stream::{Scratch, Stream};

/// Most processes that are reaped in one turn. A fork bomb makes them faster
/// than they can be reaped, and the deadline has to be looked at.
const REAPED_PER_TURN: usize = 256;

/// Change in the use of the disk that is told, in bytes.
const TOLD: u64 = 1 << 20;

/// End of the script's process, and its cause.
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) duration: Duration,
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr_bytes: u64,
    pub(crate) places: Vec<Place>,
    pub(crate) disk: Option<DiskEnd>,
}

/// One script, running.
pub(crate) struct Execution<'init> {
    pid_one: &'init PidOne,
    signals: &'init Signals,
    inbox: &'init mut Inbox,
    out: &'init mut Outgoing,
    pid: Pid,
    started: Instant,
    stdin: Feed,
    stdout: Stream,
    stderr: Stream,
    places: Places,
    disk: Option<Disk>,
    /// Use of the disk that was told last, in bytes.
    told: u64,
    stop: Stop,
    cancelled: bool,
    /// End of the script's own process, and the time since its start.
    main_end: Option<(End, Duration)>,
    /// True if a child has ended and may not have been reaped yet.
    may_reap: bool,
    alone: bool,
}

impl<'init> Execution<'init> {
    /// The process has just been started, and is to read `stdin`.
    pub(crate) fn new(
        pid_one: &'init PidOne,
        signals: &'init Signals,
        inbox: &'init mut Inbox,
        out: &'init mut Outgoing,
        child: Child,
        stdin: File,
        request: &Request,
    ) -> Self {
        let cancelled = inbox.is_cancelled();
        let time = Duration::from_millis(request.timeout_ms);
        let grace = Duration::from_millis(request.grace_ms);
        Self {
            pid_one,
            signals,
            inbox,
            out,
            pid: child.pid,
            started: child.started,
            stdin: Feed::new(child.stdin, stdin),
            stdout: Stream::new(Kind::Stdout, child.stdout, request.stream_cap),
            stderr: Stream::new(Kind::Stderr, child.stderr, request.stream_cap),
            places: Places::find(request.disk.map(|it| it.bytes)),
            disk: request.disk.map(Disk::new),
            told: 0,
            stop: Stop::new(time, grace),
            cancelled,
            main_end: None,
            may_reap: false,
            alone: false,
        }
    }

    /// Runs until no process of the script is left and all of its output is in `out`.
    pub(crate) fn run(mut self) -> Result<Ended, WriteStalled> {
        let mut scratch = [0; MAX_REPLY_PAYLOAD];
        self.stdin.pass_on();
        loop {
            self.reap();
            while let Some(action) = self.stop.next(self.facts()) {
                self.act(action);
            }
            if self.stop.is_over() {
                return self.finish(&mut scratch);
            }
            self.wait_and_pass_on(&mut scratch);
        }
    }

    fn facts(&self) -> Facts {
        let streams = [&self.stdout, &self.stderr];
        Facts {
            now: self.started.elapsed(),
            cancelled: self.cancelled,
            over_disk: self.disk.as_ref().is_some_and(Disk::is_over),
            main_ended: self.main_end.is_some(),
            output_ended: !streams.iter().any(|stream| stream.is_open()),
            output_held_up: streams.iter().any(|stream| stream.is_held_up(self.out)),
            alone: self.alone,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Terminate => {
                self.pid_one.signal_everyone(Signal::SIGTERM);
                self.pid_one.signal_everyone(Signal::SIGCONT);
            }
            Action::Kill => {
                self.pid_one.signal_everyone(Signal::SIGKILL);
                self.may_reap = true;
                self.reap();
            }
        }
    }

    fn reap(&mut self) {
        for _ in 0..REAPED_PER_TURN {
            if !self.may_reap {
                return;
            }
            match self.pid_one.reap() {
                Reaped::Process(pid, end) if pid == self.pid && self.main_end.is_none() => {
                    self.main_end = Some((end, self.started.elapsed()));
                }
                Reaped::Process(..) => {}
                Reaped::NobodyYet => self.may_reap = false,
                Reaped::Alone => (self.may_reap, self.alone) = (false, true),
            }
        }
    }

    fn wait_and_pass_on(&mut self, scratch: &mut Scratch) {
        let to_write = self.out.is_pending().then(|| Interest::writing(self.out));
        let interests = [
            self.stdout.interest(self.out),
            self.stderr.interest(self.out),
            to_write,
            self.inbox.interest(),
            Some(Interest::reading(self.signals)),
            self.stdin.interest(),
        ];
        let [stdout, stderr, _writable, input, signalled, stdin] = wait(interests, self.timeout());
        if signalled {
            self.cancelled |= self.signals.take();
            self.may_reap = true;
        }
        if input {
            self.cancelled |= self.inbox.hears_cancel();
        }
        if stdin {
            self.stdin.pass_on();
        }
        if stdout {
            self.stdout.pass_on(self.out, scratch);
        }
        if stderr {
            self.stderr.pass_on(self.out, scratch);
            self.places.look();
        }
        self.measure();
        self.out.flush();
    }

    /// Does a step of measuring, if one is due, and tells of what has grown or shrunk much.
    /// Nothing waits for it: there is a next time.
    fn measure(&mut self) {
        let Some(bytes) = self.disk.as_mut().and_then(Disk::step) else { return };
        if bytes.abs_diff(self.told) >= TOLD && self.out.has_room() {
            let told = self.out.push_message(Kind::DiskUse, &DiskUse { bytes });
            self.told = if told.is_ok() { bytes } else { self.told };
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if self.may_reap {
            return Some(Duration::ZERO);
        }
        let stop = self.stop.look_again_at();
        let stop = stop.map(|at| at.saturating_sub(self.started.elapsed()));
        let disk = self.disk.as_ref().filter(|it| !it.is_over()).map(Disk::time_left);
        [stop, disk].into_iter().flatten().min()
    }

    fn finish(mut self, scratch: &mut Scratch) -> Result<Ended, WriteStalled> {
        self.stdout.finish(self.out, scratch)?;
        self.stderr.finish(self.out, scratch)?;
        // It is our child, so no process is left only after it has been reaped.
        let killed = (End::Signal(SIGKILL), self.started.elapsed());
        let (end, duration) = self.main_end.unwrap_or(killed);
        Ok(Ended {
            end,
            stopped: self.stop.stopped(),
            duration,
            stdout_bytes: self.stdout.written(),
            stderr_bytes: self.stderr.written(),
            places: self.places.into_seen(),
            disk: self.disk.map(Disk::finish),
        })
    }
}

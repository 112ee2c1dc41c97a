//! PID 1 of a sandbox: takes one request, runs its script, answers once, exits.
//!
//! The order of things: [`preparation`] does the work that precedes a request, [`inbox`]
//! waits for the request, [`delivery`] puts it in place, and nothing of it runs until
//! [`inbox`] has read the word to start. [`child`] starts the script, [`execution`] runs
//! until no process of it is left, [`collect`] sends its files; on disk, [`moving`] moves
//! them, and [`emptying`] removes the rest. [`stop`] decides when it has to end, [`disk`] if
//! it has too much there, and [`outgoing`] is the only way out.
//!
//! It must never run as anything but PID 1 (it kills all other processes when the script
//! ends), never hold what the script writes in memory, and never trust the script: all
//! that the script can touch is its own files and its three pipes.
//!
//! A process of the same user may change our limits and our scheduling (prlimit(2) with
//! our number, sched_setattr(2)), and so end PID 1 and lose its own result: [`filter`]
//! keeps them from it.

mod cgroup;
mod child;
mod collect;
mod delivery;
mod disk;
mod emptying;
mod execution;
mod feed;
mod fields;
mod filter;
mod inbox;
mod moving;
mod outgoing;
mod passwd;
mod pid_one;
mod places;
mod preparation;
mod readiness;
mod safe_open;
mod signals;
mod stand_by;
mod stop;
mod stream;
mod warm_up;
mod watch;

use nix::libc;
use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use gantry_init::frame::Kind;
use gantry_init::message::{
    Exit, Hello, NO_REQUEST, Preparation, Prepared, Refused, Request, StoodBy,
};

use crate::cgroup::Meter;
use crate::child::{Child, spawn};
use crate::delivery::{Delivered, Script};
use crate::execution::{Ended, Execution};
use crate::inbox::{Inbox, NoRequest, Received};
use crate::outgoing::{Outgoing, WriteStalled};
use crate::pid_one::PidOne;
use crate::signals::Signals;
use crate::stand_by::{NotReady, StandBy};

/// Exit code: this process is not PID 1.
const NOT_PID_ONE: u8 = 64;

/// Exit code: there was an answer, and no reader.
const UNHEARD: u8 = 66;

/// Exit code: the kernel refused something that every kernel has.
const BROKEN: u8 = 70;

fn main() -> ExitCode {
    // First of all: from here on it may kill all other processes.
    let Some(pid_one) = PidOne::claim() else {
        eprintln!("gantry-init is PID 1 of a sandbox and can't be run as anything else");
        return ExitCode::from(NOT_PID_ONE);
    };
    match live(&pid_one) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gantry-init: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn live(pid_one: &PidOne) -> io::Result<ExitCode> {
    // Nobody in the sandbox may read our memory or our /proc/1/fd.
    prctl::set_dumpable(false)?;
    filter::install()?;
    close_inherited();
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    // A script that looks up its name gets its number then.
    let _ = passwd::name_user();
    warm_up::place();
    let mut init = Init {
        pid_one,
        signals: Signals::listen()?,
        inbox: Inbox::new(File::from(io::stdin().as_fd().try_clone_to_owned()?)),
        out: Outgoing::new(io::stdout().as_fd().try_clone_to_owned()?)?,
        meter: Meter::open(),
        stand_by: None,
        stood_by: None,
        stay: Duration::ZERO,
    };
    let answer = init.answer();
    if emptying::is_on_disk() {
        emptying::empty_work();
    }
    Ok(match answer {
        Err(WriteStalled) => ExitCode::from(UNHEARD),
        Ok(Answer::None) => ExitCode::from(NO_REQUEST),
        Ok(Answer::Sent) if init.out.is_broken() => ExitCode::from(UNHEARD),
        Ok(Answer::Sent) => ExitCode::SUCCESS,
    })
}

/// Closes descriptors that were left open by mistake: they may lead out of the sandbox,
/// as in CVE-2024-21626. Before anything of our own is open.
fn close_inherited() {
    let (first, last, flags) = (3, libc::c_uint::MAX, 0);
    // SAFETY: nothing in this process owns a file descriptor above stderr yet.
    let failed = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } != 0;
    if failed {
        // Before kernel 5.9, or not known to a seccomp profile.
        for number in 3..256 {
            // SAFETY: as above. Most are not open, which is an error and fine.
            unsafe { libc::close(number) };
        }
    }
}

/// State of PID 1.
struct Init<'proof> {
    pid_one: &'proof PidOne,
    signals: Signals,
    inbox: Inbox,
    out: Outgoing,
    meter: Meter,
    stand_by: Option<StandBy>,
    stood_by: Option<StoodBy>,
    /// Time to stay after the last frame.
    stay: Duration,
}

/// Answer to the request.
enum Answer {
    Sent,
    /// There was none.
    None,
}

impl Init<'_> {
    fn answer(&mut self) -> Result<Answer, WriteStalled> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.out.push_message(Kind::Hello, &Hello { init: version })?;
        self.out.flush();
        match self.load() {
            Ok(delivered) => self.execute(delivered)?,
            Err(NoRequest::Refused(refused)) => self.refuse(&refused)?,
            Err(NoRequest::Gone) => return Ok(Answer::None),
        }
        self.out.flush_all()?;
        sleep(self.stay);
        Ok(Answer::Sent)
    }

    /// Takes the request, confirms it, and waits for the word to start it.
    fn load(&mut self) -> Result<Delivered, NoRequest> {
        let delivered = loop {
            match self.inbox.receive(self.pid_one, &self.signals, &mut self.out)? {
                Received::Preparation(preparation) => self.prepare(&preparation)?,
                Received::Request(delivered) => break *delivered,
            }
        };
        // Whoever does not read this will not ask for the script either.
        self.out.push(Kind::Loaded, &[]).map_err(|WriteStalled| NoRequest::Gone)?;
        self.out.flush();
        self.inbox.wait_for_go(self.pid_one, &self.signals, &mut self.out)?;
        Ok(delivered)
    }

    fn prepare(&mut self, preparation: &Preparation) -> Result<(), NoRequest> {
        let (pid_one, signals) = (self.pid_one, &self.signals);
        preparation::rehearse(&preparation.rehearsal, pid_one, signals);
        let mut prepared = Prepared::default();
        if let Some(order) = &preparation.stand_by {
            match preparation::stand_by(order, pid_one, signals, self.inbox.interest()) {
                Ok((process, remark)) => {
                    self.inbox.stands_by(process.pid());
                    self.stand_by = Some(process);
                    prepared.remark = remark;
                }
                Err(NotReady::Unfit(reason)) => prepared.unfit = Some(reason),
                Err(NotReady::Gone) => return Err(NoRequest::Gone),
            }
        }
        let sent = self.out.push_message(Kind::Prepared, &prepared);
        self.out.flush();
        sent.map_err(|WriteStalled| NoRequest::Gone)
    }

    /// The script's process: the one that stands by for it, or a new one.
    fn begin(&mut self, request: &Request, script: &Script) -> Result<Child, Refused> {
        if let Some(process) = self.stand_by.take() {
            let reason = match process.check(request) {
                Err(reason) => {
                    preparation::dismiss(process, self.pid_one, &self.signals);
                    reason
                }
                Ok(()) => {
                    if let Some(child) = process.begin(request, self.pid_one)? {
                        self.stood_by = Some(StoodBy::Ran);
                        return Ok(child);
                    }
                    "it has ended".to_owned()
                }
            };
            self.stood_by = Some(StoodBy::Replaced(reason));
        }
        spawn(request, script)
    }

    fn refuse(&mut self, refused: &Refused) -> Result<(), WriteStalled> {
        self.out.push_message(Kind::Refused, refused)
    }

    fn execute(&mut self, delivered: Delivered) -> Result<(), WriteStalled> {
        self.meter.start();
        let Delivered { request, script, stdin } = delivered;
        let child = match self.begin(&request, &script) {
            Ok(child) => child,
            Err(refused) => return self.refuse(&refused),
        };
        // Its bytes are memory, and the process has them now if it wants them.
        drop(script);
        self.out.push(Kind::Started, &[])?;
        self.out.flush();
        let ended = Execution::new(
            self.pid_one,
            &self.signals,
            &mut self.inbox,
            &mut self.out,
            child,
            stdin,
            &request,
        )
        .run()?;
        self.report(&request, ended)
    }

    fn report(&mut self, request: &Request, ended: Ended) -> Result<(), WriteStalled> {
        self.stay = Duration::from_millis(request.stay_ms);
        let usage = self.meter.usage();
        let output_file = match &request.output_file {
            Some(declared) => Some(collect::send_output_file(&mut self.out, declared)?),
            None => None,
        };
        let left = match request.disk {
            None => collect::send_artifacts(&mut self.out, request.artifacts)?,
            Some(_) => moving::move_files(&mut self.out, request.artifacts)?,
        };
        if request.disk.is_some() && left.sent > 0 {
            // They are taken when the container has ended.
            self.stay = Duration::ZERO;
        }
        let exit = Exit {
            end: ended.end,
            stopped: ended.stopped,
            duration_us: u64::try_from(ended.duration.as_micros()).unwrap_or(u64::MAX),
            stdout_bytes: ended.stdout_bytes,
            stderr_bytes: ended.stderr_bytes,
            usage,
            output_file,
            artifacts_skipped: left.skipped,
            artifacts_unlisted: left.unlisted,
            artifacts_sent: left.sent,
            places: ended.places,
            disk: ended.disk,
            stood_by: self.stood_by.take(),
        };
        self.out.push_message(Kind::Exit, &exit)
    }
}

//! Preparation of a sandbox before its request comes: a rehearsal, and a process that
//! stands by ([`crate::stand_by`]).
//!
//! Nothing of a request's is here, and only the requested process may be left: when the
//! rehearsal is over, none of its processes lives.

use nix::sys::signal::Signal;
use std::process::Stdio;
use std::time::{Duration, Instant};

use gantry_init::message::{self, REHEARSAL_MS};

use crate::child::{Image, start};
use crate::pid_one::{PidOne, Reaped};
use crate::readiness::{Interest, wait};
use crate::signals::Signals;
use crate::stand_by::{NotReady, StandBy};

/// Time between one KILL and the next, while a process is left.
const KILL_AGAIN: Duration = Duration::from_millis(20);

/// Runs a program once, without input and unheard. If it can't be run, the script that
/// needs it reports that.
pub(crate) fn rehearse(words: &[String], pid_one: &PidOne, signals: &Signals) {
    let (Some(program), Ok(image)) = (words.first(), Image::of_words(words)) else { return };
    let outputs = [Stdio::null(), Stdio::null()];
    if start(program, image, Stdio::null(), outputs, &[]).is_ok() {
        leave_nobody(pid_one, signals, Duration::from_millis(REHEARSAL_MS));
    }
}

/// Waits until no other process is there; kills those that are when the time is over.
fn leave_nobody(pid_one: &PidOne, signals: &Signals, time: Duration) {
    let deadline = Instant::now() + time;
    loop {
        match pid_one.reap() {
            Reaped::Alone => return,
            Reaped::Process(..) => continue,
            Reaped::NobodyYet => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            pid_one.signal_everyone(Signal::SIGKILL);
        }
        let next = if left.is_zero() { KILL_AGAIN } else { left };
        if wait([Some(Interest::reading(signals))], Some(next)) == [true] {
            signals.take();
        }
    }
}

/// Starts a process that stands by, and waits until it is ready. Returns it with its
/// remark. On failure no process of it is left.
pub(crate) fn stand_by(
    order: &message::StandBy,
    pid_one: &PidOne,
    signals: &Signals,
    input: Option<Interest<'_>>,
) -> Result<(StandBy, Option<String>), NotReady> {
    let ready = StandBy::start(order)
        .map_err(|error| NotReady::Unfit(format!("it can't be started: {error}")))
        .and_then(|mut process| {
            let remark = process.wait_until_ready(pid_one, signals, input)?;
            Ok((process, remark))
        });
    if ready.is_err() {
        leave_nobody(pid_one, signals, Duration::ZERO);
    }
    ready
}

/// Ends a process that stands by for something else, with all that it has started.
pub(crate) fn dismiss(process: StandBy, pid_one: &PidOne, signals: &Signals) {
    drop(process);
    leave_nobody(pid_one, signals, Duration::ZERO);
}

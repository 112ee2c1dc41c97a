//! End of the script: its time and its signals. Pure: takes the current facts, returns
//! the next action and the time to look again.
//!
//! ```text
//!             deadline, cancel, disk         grace is over
//!   Running ───────────────────► Terminating ─────────────► Killing ──► Over
//!      │      TERM                     │       KILL            ▲   nobody is left
//!      │ main process ended            │ main process ended    │
//!      └───────────────► Lingering ◄───┘                       │
//!                            └─────────────────────────────────┘
//!                              output ended, or time is over: KILL
//! ```
//!
//! The first cause wins: a script that ends by itself was not stopped, and what
//! was stopped for one reason is not stopped again for another.

use std::time::Duration;

use gantry_init::message::{LINGER_MS, Stopped};

/// Longest time that other processes may hold the output after the script's end.
const LINGER: Duration = Duration::from_millis(LINGER_MS);

/// Time between one KILL and the next, while a process is left.
const KILL_AGAIN: Duration = Duration::from_millis(20);

/// Longest time that the others may take to die after the script's own process is gone.
/// Only a process that the kernel holds in uninterruptible sleep needs more, and the
/// container's removal will get it.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// Current facts. Once true, `main_ended`, `output_ended`, `alone`, `over_disk` and `cancelled` stay
/// true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Time since the script's start; never goes back.
    pub(crate) now: Duration,
    /// True if its end was requested.
    pub(crate) cancelled: bool,
    /// True if it has more on disk than it may have.
    pub(crate) over_disk: bool,
    /// True if the script's own process has been reaped.
    pub(crate) main_ended: bool,
    /// True if no process holds the script's stdout or stderr.
    pub(crate) output_ended: bool,
    /// True if output can't be read because the other end does not read ours.
    pub(crate) output_held_up: bool,
    /// True if no process is left in the sandbox.
    pub(crate) alone: bool,
}

/// Signal for every process of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask it to end: TERM, and CONT so that a stopped one can.
    Terminate,
    /// End it: KILL.
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Terminating { kill_at: Duration },
    Lingering { until: Duration, at_most: Duration },
    Killing { again_at: Duration, give_up_at: Duration },
    Over,
}

/// The end of one script, in the making.
#[derive(Debug)]
pub(crate) struct Stop {
    state: State,
    deadline: Duration,
    grace: Duration,
    stopped: Option<Stopped>,
}

impl Stop {
    /// The script has just been started.
    pub(crate) fn new(deadline: Duration, grace: Duration) -> Self {
        Self { state: State::Running, deadline, grace, stopped: None }
    }

    /// The reason that the script was stopped, if it was.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// True when there is nothing more to wait for.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Time to look again even if nothing happens.
    pub(crate) fn look_again_at(&self) -> Option<Duration> {
        match self.state {
            State::Running => Some(self.deadline),
            State::Terminating { kill_at } => Some(kill_at),
            State::Lingering { until, .. } => Some(until),
            State::Killing { again_at, .. } => Some(again_at),
            State::Over => None,
        }
    }

    /// Returns the next action. To be called again until it is `None`.
    pub(crate) fn next(&mut self, facts: Facts) -> Option<Action> {
        match self.state {
            State::Running => self.run_on(facts),
            State::Terminating { kill_at } if facts.main_ended => self.linger(facts, kill_at),
            State::Terminating { kill_at } => (facts.now >= kill_at).then(|| self.kill(facts.now)),
            State::Lingering { until, at_most } => self.linger_on(facts, until, at_most),
            State::Killing { again_at, give_up_at } => self.kill_on(facts, again_at, give_up_at),
            State::Over => None,
        }
    }

    fn run_on(&mut self, facts: Facts) -> Option<Action> {
        if facts.main_ended {
            return self.linger(facts, self.deadline.saturating_add(self.grace));
        }
        if facts.cancelled {
            self.stopped = Some(Stopped::Cancelled);
        } else if facts.now >= self.deadline {
            self.stopped = Some(Stopped::Deadline);
        } else if facts.over_disk {
            self.stopped = Some(Stopped::Disk);
        } else {
            return None;
        }
        self.state = State::Terminating { kill_at: facts.now.saturating_add(self.grace) };
        Some(Action::Terminate)
    }

    fn linger(&mut self, facts: Facts, at_most: Duration) -> Option<Action> {
        self.linger_on(facts, facts.now.saturating_add(LINGER), at_most)
    }

    fn linger_on(&mut self, facts: Facts, until: Duration, at_most: Duration) -> Option<Action> {
        // The time that we wait for our own reader is not theirs.
        let until = if facts.output_held_up { facts.now.saturating_add(LINGER) } else { until };
        let until = until.min(at_most);
        self.state = State::Lingering { until, at_most };
        let is_enough = facts.output_ended || facts.alone || facts.cancelled || facts.now >= until;
        is_enough.then(|| self.kill(facts.now))
    }

    fn kill(&mut self, now: Duration) -> Action {
        self.state = State::Killing {
            again_at: now.saturating_add(KILL_AGAIN),
            give_up_at: now.saturating_add(KILL_PATIENCE),
        };
        Action::Kill
    }

    fn kill_on(
        &mut self,
        facts: Facts,
        again_at: Duration,
        give_up_at: Duration,
    ) -> Option<Action> {
        if facts.alone || (facts.main_ended && facts.now >= give_up_at) {
            self.state = State::Over;
            return None;
        }
        if facts.now < again_at {
            return None;
        }
        self.state = State::Killing { again_at: facts.now.saturating_add(KILL_AGAIN), give_up_at };
        Some(Action::Kill)
    }
}

#[cfg(test)]
#[path = "stop_tests.rs"]
mod tests;

//! Watches a process that stands by. It is stopped with all that it has started, and must
//! stay so: a timer of its own can send it SIGCONT. A sandbox in which one of them runs
//! all the same is removed, after a second at most.

use nix::libc;
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// Time until everybody has stopped.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

/// Time between two looks, of which each takes about 0.1 ms.
const INTERVAL: Duration = Duration::from_secs(1);

/// CPU time that all may take who stand by, in clock ticks (proc(5)) of 10 ms.
const MOST_TICKS: u64 = 5;

/// A process that stands by, and who came with it.
pub(crate) struct Watch {
    process: Pid,
    next: Instant,
    /// State of all processes when they had stopped.
    first: Option<Everybody>,
}

impl Watch {
    /// From now on no process in the sandbox may run but us.
    pub(crate) fn begin(process: Pid) -> Self {
        Self { process, next: Instant::now() + SETTLED_AFTER, first: None }
    }

    /// True for the number of the process itself.
    pub(crate) fn is_of(&self, pid: Pid) -> bool {
        self.process == pid
    }

    /// Time until the next look is due.
    pub(crate) fn time_left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Looks when it is due, or there was a signal; returns the reason to remove the
    /// sandbox, if there is one.
    pub(crate) fn look(&mut self, signalled: bool) -> Option<String> {
        if signalled && was_continued(self.process) {
            return Some("its interpreter went on while it stood by".to_owned());
        }
        if !self.time_left().is_zero() {
            return None;
        }
        self.next = Instant::now() + INTERVAL;
        let now = Everybody::found(fs::read_dir("/proc").ok()?, &last_pid());
        let why = now.complaint(self.first.as_ref());
        self.first.get_or_insert(now);
        why
    }
}

/// The other processes of the sandbox.
#[derive(Debug, Default, PartialEq)]
struct Everybody {
    pids: BTreeSet<u32>,
    /// One of them that is neither stopped nor dead.
    running: Option<u32>,
    /// CPU time of all of them, in clock ticks.
    ticks: u64,
    /// The number that the last new process or thread has got.
    last_pid: String,
}

impl Everybody {
    fn found(proc: fs::ReadDir, last_pid: &str) -> Self {
        let mut found = Self { last_pid: last_pid.to_owned(), ..Self::default() };
        let own = std::process::id();
        let names =
            proc.map_while(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
        for pid in names.filter_map(|name| name.parse().ok()).filter(|pid| *pid != own) {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            if let Ok((state, ticks)) = stat.as_deref().map(state_and_ticks) {
                found.add(pid, state, ticks);
            }
        }
        found
    }

    fn add(&mut self, pid: u32, state: char, ticks: u64) {
        self.pids.insert(pid);
        self.ticks = self.ticks.saturating_add(ticks);
        if !matches!(state, 'T' | 't' | 'Z' | 'X') {
            self.running = Some(pid);
        }
    }

    /// Reason to remove the sandbox, if there is one. A process that has run may have
    /// stopped again, or ended, or have had others run in its place: a new process is
    /// recognised by the numbers.
    fn complaint(&self, first: Option<&Self>) -> Option<String> {
        if let Some(pid) = self.running {
            return Some(format!("process {pid} ran while all stood by"));
        }
        let first = first?;
        let ticks = self.ticks.saturating_sub(first.ticks);
        if ticks > MOST_TICKS {
            return Some(format!("processes ran for {ticks}0 ms while all stood by"));
        }
        let is_same = (&self.pids, &self.last_pid) == (&first.pids, &first.last_pid);
        (!is_same).then(|| "processes came or went while all stood by".to_owned())
    }
}

/// The state of a process and the CPU time of all its threads, out of its stat (proc(5)).
fn state_and_ticks(stat: &str) -> (char, u64) {
    // Its name is in parentheses, and may look like anything.
    let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    let state = fields.next().and_then(|field| field.chars().next()).unwrap_or('?');
    let times = fields.skip(10).take(2).map(|field| field.parse().unwrap_or(0_u64));
    (state, times.fold(0, u64::saturating_add))
}

/// The last field of loadavg (proc(5)), which is that of our own namespace.
fn last_pid() -> String {
    let line = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split_whitespace().last().unwrap_or_default().to_owned()
}

/// True if a child of ours was stopped and is not any more.
fn was_continued(child: Pid) -> bool {
    // SAFETY: plain integers, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WCONTINUED | libc::WNOHANG;
    let id = child.as_raw().cast_unsigned();
    // SAFETY: `info` is a valid place during the call.
    let failed = unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) } != 0;
    // SAFETY: waitid has filled it in, or left it zero.
    !failed && unsafe { info.si_pid() } != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everybody(processes: &[(u32, char, u64)], last_pid: &str) -> Everybody {
        let mut all = Everybody { last_pid: last_pid.to_owned(), ..Everybody::default() };
        processes.iter().for_each(|(pid, state, ticks)| all.add(*pid, *state, *ticks));
        all
    }

    #[test]
    fn a_stat_is_read_whatever_the_name() {
        let stat = "7 (a) R (b)) T 1 7 7 0 -1 4194304 90 0 0 0 12 30 5 6 20 0 1 0 99";
        assert_eq!(state_and_ticks(stat), ('T', 42));
        assert_eq!(state_and_ticks(""), ('?', 0));
        assert_eq!(state_and_ticks("7 (x) Z"), ('Z', 0));
    }

    #[test]
    fn the_stopped_and_the_dead_stand_by_and_nobody_else() {
        let first = everybody(&[(2, 'T', 7), (3, 'Z', 1)], "3");
        assert_eq!(first.complaint(None), None);
        assert_eq!(everybody(&[(2, 'T', 12), (3, 'Z', 1)], "3").complaint(Some(&first)), None);
        for (others, last_pid) in [
            (vec![(2, 'S', 7), (3, 'Z', 1)], "3"),
            (vec![(2, 'T', 13), (3, 'Z', 1)], "3"),
            // The first thread of a process has ended, and another one runs.
            (vec![(2, 'T', 7), (3, 'Z', 8)], "3"),
            (vec![(2, 'T', 7)], "3"),
            (vec![(2, 'T', 7), (3, 'Z', 1), (4, 'T', 0)], "4"),
            (vec![(2, 'T', 7), (3, 'Z', 1)], "9"),
        ] {
            let now = everybody(&others, last_pid);
            assert!(now.complaint(Some(&first)).is_some(), "{now:?}");
        }
        for state in ['R', 'S', 'D', 'I', '?'] {
            assert!(everybody(&[(2, state, 0)], "2").complaint(None).is_some());
        }
    }

    #[test]
    fn everybody_but_us_is_found() {
        let found = Everybody::found(fs::read_dir("/proc").unwrap(), &last_pid());
        assert!(!found.pids.is_empty() && !found.pids.contains(&std::process::id()));
        assert!(found.last_pid.parse::<u32>().is_ok());
    }
}

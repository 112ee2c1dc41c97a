//! What Gantry sets out to reach, and how far it has come.

use super::POOL;
use super::results::{Entry, Load, Results};
use super::way::Way;
use crate::harness::report::Report;
use crate::harness::workload::{PICTURE, PYTHON, SHELL, Workload};

/// Below this share of a CPU, in percent, a server counts as idle.
const IDLE_PERCENT: f64 = 0.5;

/// A goal, and what was measured.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) goal: String,
    pub(crate) measured: String,
    /// How many times more than the goal was measured: up to 1 it is reached.
    factor: f64,
}

impl Goal {
    /// A row of a table.
    pub(crate) fn row(&self) -> String {
        let verdict = match self.factor {
            factor if factor <= 1.0 => "reached".to_owned(),
            factor => format!("missed by a factor of {factor:.2}"),
        };
        format!("| {} | {} | {} | {verdict} |", self.what, self.goal, self.measured)
    }

    /// At most so many milliseconds.
    fn at_most_ms(what: &str, measured: f64, limit: f64) -> Self {
        Self {
            what: what.to_owned(),
            goal: format!("≤ {limit} ms"),
            measured: format!("{measured:.1} ms"),
            factor: measured / limit,
        }
    }

    /// At most this share of another way's time.
    fn at_most_share(what: &str, measured: f64, limit: f64, of: Way) -> Self {
        Self {
            what: what.to_owned(),
            goal: format!("≤ {} × {}", share(limit), of.label()),
            measured: format!("{} ×", share(measured)),
            factor: measured / limit,
        }
    }

    /// At least so many times as many executions a second.
    fn at_least_times(what: &str, measured: f64, limit: f64, of: Way) -> Self {
        Self {
            what: what.to_owned(),
            goal: format!("≥ {limit} × {}", of.label()),
            measured: format!("{measured:.2} ×"),
            factor: limit / measured,
        }
    }
}

/// The columns of [`Goal::row`].
pub(crate) const COLUMNS: &str = "| | goal | measured | |";

/// Small shares are said as fractions.
fn share(value: f64) -> String {
    if value < 0.095 { format!("1/{:.0}", 1.0 / value) } else { format!("{value:.2}") }
}

pub(crate) fn write(results: &Results, report: &mut Report) {
    let goals = goals(results);
    if !goals.is_empty() {
        report.head("Goals", COLUMNS);
        report.rows(goals.iter().map(Goal::row).collect());
    }
}

/// All goals of which there are results.
pub(crate) fn goals(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    goals.extend(warm(results));
    let share = |workload: &Workload, way, of| {
        let entry = results.find(Load::OneByOne, workload, way)?;
        results.ratio(entry, of)
    };
    let shares = [
        ("Python echo, warm", &PYTHON, Way::Warm, Way::ForkExec, 0.5),
        ("Python with numpy and Pillow, warm", &PICTURE, Way::Warm, Way::ForkExec, 0.2),
        ("shell `cat`, cold", &SHELL, Way::Cold, Way::DockerRun, 0.5),
    ];
    goals.extend(shares.into_iter().filter_map(|(what, workload, way, of, limit)| {
        Some(Goal::at_most_share(what, share(workload, way, of)?, limit, of))
    }));
    goals.extend(sustained(results));
    let burst = results.find(Load::Burst(POOL), &SHELL, Way::Warm);
    goals.extend(burst.map(|it| {
        Goal::at_most_ms(
            &format!("{POOL} `cat` at once, all done, median"),
            it.times.median(),
            60.0,
        )
    }));
    let events = results.events.as_ref();
    goals.extend(events.map(|it| {
        Goal::at_most_ms("a script's line until a client has it, median", it.median(), 5.0)
    }));
    goals.extend(idle(results));
    goals
}

fn warm(results: &Results) -> Vec<Goal> {
    let Some(entry) = results.find(Load::OneByOne, &SHELL, Way::Warm) else { return Vec::new() };
    let mut goals = vec![
        Goal::at_most_ms("shell `cat`, warm, median", entry.times.median(), 5.0),
        Goal::at_most_ms("shell `cat`, warm, p95", entry.times.p95(), 15.0),
    ];
    let ratio = results.ratio(entry, Way::DockerRun);
    goals.extend(ratio.map(|ratio| {
        Goal::at_most_share("shell `cat`, warm, median", ratio, 1.0 / 30.0, Way::DockerRun)
    }));
    goals
}

fn sustained(results: &Results) -> Vec<Goal> {
    let is_one = |it: &&Entry| {
        matches!(it.load, Load::InFlight(_))
            && it.workload.name == SHELL.name
            && it.way == Way::Warm
    };
    let mut goals = Vec::new();
    for entry in results.entries.iter().filter(is_one) {
        let what = format!("shell `cat`, {} executions, {}", entry.executions, entry.load.title());
        for (of, limit) in [(Way::Floor, 0.95), (Way::DockerRun, 2.0)] {
            let faster = results.ratio(entry, of).map(|ratio| 1.0 / ratio);
            goals.extend(faster.map(|it| Goal::at_least_times(&what, it, limit, of)));
        }
        goals.push(Goal {
            what: format!("{what}, errors"),
            goal: "0".to_owned(),
            measured: entry.failed.to_string(),
            factor: if entry.failed == 0 { 0.0 } else { f64::INFINITY },
        });
    }
    goals
}

fn idle(results: &Results) -> Option<Goal> {
    let idle = results.idle.as_ref()?;
    let percent = idle.server_percent + idle.containers_percent;
    Some(Goal {
        what: format!("CPU of the server and {} containers that wait", idle.containers),
        goal: format!("0 % (below {IDLE_PERCENT} %)"),
        measured: format!("{percent:.2} %"),
        factor: percent / IDLE_PERCENT,
    })
}

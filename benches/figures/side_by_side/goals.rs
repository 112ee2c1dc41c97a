//! What executions are to reach beside other ways to run the same.

use super::POOL;
use super::results::{Entry, Load, Results};
use super::way::Way;
use crate::harness::goal::Goal;
use crate::harness::workload::{PICTURE, PYTHON, SHELL, Workload};

/// Below this share of a CPU, in percent, a server counts as idle.
const IDLE_PERCENT: f64 = 0.5;

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
        Some(Goal::at_most_share(what, share(workload, way, of)?, limit, of.label()))
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
        Goal::at_most_share("shell `cat`, warm, median", ratio, 1.0 / 30.0, Way::DockerRun.label())
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
            goals.extend(faster.map(|it| Goal::at_least_times(&what, it, limit, of.label())));
        }
        goals.push(Goal::none(format!("{what}, errors"), entry.failed));
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

//! The chart: medians as bars and the 95th of a hundred as whiskers, on logarithmic
//! scales, because what is compared differs by two orders of magnitude.

mod svg;

use super::POOL;
use super::results::{Entry, Load, Results};
use super::way::Way;
use crate::harness::workload::{SHELL, WORKLOADS};
use svg::{Bar, Panel};

/// The ways that are shown: one of each kind.
const SHOWN: [Way; 6] =
    [Way::Warm, Way::NotPreloaded, Way::Cold, Way::Floor, Way::DockerRun, Way::ForkExec];

/// All panels, one below the other.
pub(crate) fn chart(results: &Results) -> String {
    let mut panels = Vec::new();
    let bars = |load, workload| {
        let found = SHOWN.into_iter().filter_map(|way| results.find(load, workload, way));
        found.collect::<Vec<_>>()
    };
    for workload in WORKLOADS {
        let title = format!("{}, {}", workload.title.replace('`', ""), Load::OneByOne.title());
        panels.push((title, bars(Load::OneByOne, workload)));
    }
    let burst = Load::Burst(POOL);
    let title = format!("{}, {}", SHELL.title.replace('`', ""), burst.title());
    panels.push((title, bars(burst, &SHELL)));
    let times = panels.into_iter().filter(|(_, entries)| !entries.is_empty());
    let times = times
        .map(|(title, entries)| Panel { title, bars: entries.into_iter().map(time).collect() });
    let mut groups = results.groups();
    groups.retain(|(load, it)| matches!(load, Load::InFlight(_)) && it.name == SHELL.name);
    let rates = groups.into_iter().map(|(load, workload)| Panel {
        title: format!("{}, {}", workload.title.replace('`', ""), load.title()),
        bars: bars(load, workload).into_iter().map(rate).collect(),
    });
    svg::document(&[
        ("milliseconds, median and p95: less is better", "ms", times.collect()),
        ("executions per second: more is better", "/s", rates.collect()),
    ])
}

fn time(entry: &Entry) -> Bar {
    Bar {
        label: entry.way.label(),
        class: class(entry.way),
        value: entry.times.median(),
        whisker: Some(entry.times.p95()),
    }
}

fn rate(entry: &Entry) -> Bar {
    Bar {
        label: entry.way.label(),
        class: class(entry.way),
        value: entry.per_second,
        whisker: None,
    }
}

/// How a way is coloured.
fn class(way: Way) -> &'static str {
    match way {
        Way::Warm | Way::WarmEngine => "warm",
        Way::NotPreloaded | Way::Cold | Way::ColdEngine => "cold",
        Way::Floor | Way::DockerRun => "other",
        Way::ForkExec => "bare",
    }
}

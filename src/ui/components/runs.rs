//! Last runs of a script as a small picture, and their summary.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::value::{milliseconds, nothing};
use crate::domain::execution::State;
use crate::domain::outcome::Status;
use crate::store::Run;

/// Runs summarised.
pub(in crate::ui) const LOOKED_AT: u32 = 30;

/// Height of the picture.
const HEIGHT: f64 = 22.0;

/// Width of one run in it.
const STEP: usize = 4;

/// Summary of the last runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::ui) struct Summary {
    /// Ended runs that were not cancelled.
    pub(in crate::ui) counted: usize,
    /// Completed share of the counted runs, in percent.
    pub(in crate::ui) success: Option<f64>,
    /// Median run time, in milliseconds.
    pub(in crate::ui) p50: Option<f64>,
    /// 95th percentile of the run time, in milliseconds.
    pub(in crate::ui) p95: Option<f64>,
}

impl Summary {
    /// Summarises the runs.
    #[expect(clippy::cast_precision_loss, reason = "counts and times of a few runs")]
    pub(in crate::ui) fn of<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Self {
        let (mut counted, mut completed, mut times) = (0_usize, 0_usize, Vec::new());
        for run in runs {
            let State::Ended(status) = run.status else { continue };
            times.extend(run.duration_us.map(|it| it as f64 / 1e3));
            if status != Status::Cancelled {
                counted += 1;
                completed += usize::from(status == Status::Completed);
            }
        }
        times.sort_by(f64::total_cmp);
        let success = (counted > 0).then(|| 100.0 * completed as f64 / counted as f64);
        Self { counted, success, p50: rank(&times, 50), p95: rank(&times, 95) }
    }
}

/// Percentile of sorted times (nearest rank).
fn rank(sorted: &[f64], percent: usize) -> Option<f64> {
    let place = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(place - 1).copied()
}

/// Renders a success rate in its colour.
pub(in crate::ui) fn success(summary: &Summary) -> Markup {
    let Some(rate) = summary.success else { return nothing() };
    let class = match rate {
        rate if rate >= 99.0 => "good",
        rate if rate >= 90.0 => "fair",
        _ => "poor",
    };
    html! { span class={ "rate " (class) } { (format!("{rate:.0}")) " %" } }
}

/// Renders the times of the last runs as bars, newest on the right, in the colours of their
/// outcomes.
pub(in crate::ui) fn picture(runs: &[Run]) -> Markup {
    if runs.is_empty() {
        return nothing();
    }
    let width = LOOKED_AT as usize * STEP;
    let summary = Summary::of(runs);
    let label = match (summary.p50, summary.p95) {
        (Some(p50), Some(p95)) => format!(
            "Last {} runs: half within {}, 95 of 100 within {}",
            runs.len(),
            milliseconds(p50),
            milliseconds(p95)
        ),
        _ => format!("Last {} runs", runs.len()),
    };
    html! {
        svg.runs width=(width) height=(HEIGHT) viewBox={ "0 0 " (width) " " (HEIGHT) } role="img"
            aria-label=(label) {
            title { (label) }
            @for (state, bars) in bars(runs, width) { path class=(state) d=(bars) {} }
        }
    }
}

/// Paths of the bars of each state, drawn together: a list has fifty such pictures.
#[expect(clippy::cast_precision_loss, reason = "times of a few runs")]
fn bars(runs: &[Run], width: usize) -> BTreeMap<&'static str, String> {
    let most = runs.iter().filter_map(|run| run.duration_us).max().unwrap_or(0).max(1) as f64;
    let mut bars: BTreeMap<&'static str, String> = BTreeMap::new();
    for (index, run) in runs.iter().take(LOOKED_AT as usize).enumerate() {
        let share = run.duration_us.unwrap_or(0) as f64 / most;
        let top = (1.0 - share) * (HEIGHT - 3.0);
        let middle = width - (index + 1) * STEP + STEP / 2;
        let bar = bars.entry(run.status.name()).or_default();
        // Writing to a string can't fail.
        let _ = write!(bar, "M{middle} {HEIGHT}V{top:.0}");
    }
    bars
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn run(status: Status, duration_us: Option<u64>) -> Run {
        let created_at = DateTime::from_timestamp(0, 0).unwrap();
        Run { id: Uuid::nil(), script_id: 1, status: State::Ended(status), duration_us, created_at }
    }

    #[test]
    fn runs_add_up() {
        let mut runs: Vec<_> =
            (1..=19).map(|it| run(Status::Completed, Some(it * 1_000))).collect();
        runs.push(run(Status::Failed, Some(20_000)));
        runs.push(run(Status::Cancelled, None));
        let summary = Summary::of(&runs);
        assert_eq!((summary.counted, summary.success), (20, Some(95.0)));
        assert_eq!((summary.p50, summary.p95), (Some(10.0), Some(19.0)));
        let drawn = picture(&runs).into_string();
        assert!(drawn.len() < 1_000, "{} bytes", drawn.len());
        assert_eq!(drawn.matches("<path").count(), 3, "{drawn}");
        let none = Summary::of(&[]);
        assert_eq!((none.success, none.p50), (None, None));
    }
}

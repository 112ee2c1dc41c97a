//! A goal that Gantry sets out to reach, and how far it has come.

use super::report::Report;

/// A goal, and what was measured.
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) goal: String,
    pub(crate) measured: String,
    /// How many times more than the goal was measured: up to 1 it is reached.
    pub(crate) factor: f64,
}

impl Goal {
    /// A row of a table.
    pub(crate) fn row(&self) -> String {
        let verdict = match self.factor {
            factor if factor <= 1.0 => "reached".to_owned(),
            factor if factor.is_finite() => format!("missed by a factor of {factor:.2}"),
            _ => "missed".to_owned(),
        };
        format!("| {} | {} | {} | {verdict} |", self.what, self.goal, self.measured)
    }

    /// At most so many milliseconds.
    pub(crate) fn at_most_ms(what: &str, measured: f64, limit: f64) -> Self {
        Self {
            what: what.to_owned(),
            goal: format!("≤ {limit} ms"),
            measured: format!("{measured:.1} ms"),
            factor: measured / limit,
        }
    }

    /// At most this share of what something else takes.
    pub(crate) fn at_most_share(what: &str, measured: f64, limit: f64, of: &str) -> Self {
        Self {
            what: what.to_owned(),
            goal: format!("≤ {} × {of}", share(limit)),
            measured: format!("{} ×", share(measured)),
            factor: measured / limit,
        }
    }

    /// At least so many times as many executions a second.
    pub(crate) fn at_least_times(what: &str, measured: f64, limit: f64, of: &str) -> Self {
        Self {
            what: what.to_owned(),
            goal: format!("≥ {limit} × {of}"),
            measured: format!("{measured:.2} ×"),
            factor: limit / measured,
        }
    }

    /// Not one.
    pub(crate) fn none(what: String, measured: usize) -> Self {
        Self {
            what,
            goal: "0".to_owned(),
            measured: measured.to_string(),
            factor: if measured == 0 { 0.0 } else { f64::INFINITY },
        }
    }
}

/// The columns of [`Goal::row`].
pub(crate) const COLUMNS: &str = "| | goal | measured | |";

/// Small shares are said as fractions.
fn share(value: f64) -> String {
    if value < 0.095 { format!("1/{:.0}", 1.0 / value) } else { format!("{value:.2}") }
}

/// A table of them, when there are any.
pub(crate) fn write(goals: &[Goal], report: &mut Report) {
    if !goals.is_empty() {
        report.head("Goals", COLUMNS);
        report.rows(goals.iter().map(Goal::row).collect());
    }
}

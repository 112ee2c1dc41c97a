//! Tables in Markdown, printed and written beside the benchmarks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::series::Series;
use crate::Failure;

/// Everything that was measured.
pub(crate) struct Report {
    machine: String,
    text: String,
}

impl Report {
    /// A report on this machine.
    pub(crate) fn new(machine: String) -> Self {
        Self { machine, text: String::new() }
    }

    /// Times; the last series is what the others are compared with.
    pub(crate) fn times<const N: usize>(&mut self, title: &str, series: [Series; N]) {
        let reference = series.last().map_or(0.0, Series::median);
        let name = series.last().map_or("", Series::name);
        self.head(title, &format!("| | median | p95 | min | n | × {name} |"));
        let compared = |it: &Series| format!("{} {:.2} |", row(it), it.median() / reference);
        self.rows(series.iter().map(compared).collect());
    }

    /// Times that are compared with nothing.
    pub(crate) fn plain_times<const N: usize>(&mut self, title: &str, series: [Series; N]) {
        self.head(title, "| | median | p95 | min | n |");
        self.rows(series.iter().map(row).collect());
    }

    /// Begins a table.
    pub(crate) fn head(&mut self, title: &str, columns: &str) {
        let line = "|---".repeat(columns.matches('|').count() - 1);
        let _ = write!(self.text, "\n**{title}**\n\n{columns}\n{line}|\n");
    }

    /// Adds rows to the table that was begun last.
    pub(crate) fn rows(&mut self, rows: Vec<String>) {
        for row in rows {
            let _ = writeln!(self.text, "{row}");
        }
    }

    /// Adds a paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        let _ = write!(self.text, "\n{text}\n");
    }

    /// Adds all that is in another.
    pub(crate) fn append(&mut self, other: Self) {
        self.text += &other.text;
    }

    /// Prints all of it, and writes it to a file beside the benchmarks when there is
    /// one that it is the whole of.
    pub(crate) fn publish(&self, file: Option<&str>) -> Result<(), Failure> {
        let text = format!("{}.\n{}", self.machine, self.text);
        println!("{text}");
        match file {
            Some(file) => Ok(std::fs::write(folder().join(file), text)?),
            None => Ok(()),
        }
    }
}

/// A row without a comparison.
fn row(times: &Series) -> String {
    let (median, p95, min) = (times.median(), times.p95(), times.quantile(0.0));
    let (name, n) = (times.name(), times.count());
    format!("| {name} | {median:.1} ms | {p95:.1} ms | {min:.1} ms | {n} |")
}

/// Where what is measured is kept.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches")
}

//! The table and the chart.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Failure;

/// Times of one way of doing something.
pub(crate) struct Series {
    name: &'static str,
    times: Vec<Duration>,
}

impl Series {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, times: Vec::new() }
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.times.push(time);
    }

    /// What they are times of.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    /// The time below which `share` of all are, in milliseconds (nearest rank).
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among a few dozen"
        )]
        let rank = (times.len() as f64 * share).ceil() as usize;
        times.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}

/// A bar of the chart.
struct Bar {
    label: String,
    value: f64,
    text: String,
    is_ours: bool,
}

/// Everything that was measured.
pub(crate) struct Report {
    machine: String,
    text: String,
    groups: Vec<(String, Vec<Bar>)>,
}

impl Report {
    pub(crate) fn new(machine: String) -> Self {
        Self { machine, text: String::new(), groups: Vec::new() }
    }

    /// Times; the last series is what the others are compared with.
    pub(crate) fn times<const N: usize>(&mut self, title: &str, series: [Series; N]) {
        let reference = series.last().map_or(0.0, |last| last.quantile(0.5));
        let name = series.last().map_or("", |last| last.name);
        self.head(title, &format!("| | median | p95 | min | n | × {name} |"));
        let rows = series.iter().map(|it| {
            let (median, p95, min) = (it.quantile(0.5), it.quantile(0.95), it.quantile(0.0));
            let ratio = median / reference;
            format!(
                "| {} | {median:.1} ms | {p95:.1} ms | {min:.1} ms | {} | {ratio:.2} |",
                it.name(),
                it.count()
            )
        });
        self.rows(rows.collect());
        self.bars(title, series.iter().map(|it| (it.name, it.quantile(0.5), "ms")));
    }

    /// Times that are compared with nothing.
    pub(crate) fn plain_times<const N: usize>(&mut self, title: &str, series: [Series; N]) {
        self.head(title, "| | median | p95 | min | n |");
        let rows = series.iter().map(|it| {
            let (median, p95, min) = (it.quantile(0.5), it.quantile(0.95), it.quantile(0.0));
            let n = it.count();
            format!("| {} | {median:.1} ms | {p95:.1} ms | {min:.1} ms | {n} |", it.name)
        });
        self.rows(rows.collect());
        self.bars(title, series.iter().map(|it| (it.name, it.quantile(0.5), "ms")));
    }

    /// Executions per second; the last series is what the others are compared
    /// with.
    pub(crate) fn rates<const N: usize>(
        &mut self,
        title: &str,
        executions: usize,
        series: [Series; N],
    ) {
        #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
        let rate = |series: &Series| executions as f64 * 1000.0 / series.quantile(0.5);
        let reference = series.last().map_or(1.0, rate);
        let name = series.last().map_or("", |last| last.name);
        self.head(title, &format!("| | per second | median of | rounds | × {name} |"));
        let rows = series.iter().map(|it| {
            let (rate, took, rounds) = (rate(it), it.quantile(0.5), it.count());
            let ratio = rate / reference;
            format!("| {} | {rate:.1} | {took:.0} ms | {rounds} | {ratio:.2} |", it.name)
        });
        self.rows(rows.collect());
        self.bars(title, series.iter().map(|it| (it.name, rate(it), "/s")));
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

    fn bars<'a>(&mut self, title: &str, values: impl Iterator<Item = (&'a str, f64, &'a str)>) {
        let bars = values.map(|(label, value, unit)| Bar {
            label: label.to_owned(),
            value,
            text: format!("{value:.1} {unit}"),
            is_ours: label.starts_with("Gantry"),
        });
        self.groups.push((title.replace('`', ""), bars.collect()));
    }

    /// Prints the table, and writes it and the chart beside this benchmark.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        self.write_table("results.md")?;
        std::fs::write(folder().join("results.svg"), self.chart())?;
        Ok(())
    }

    /// Prints the table, and writes it to a file beside this benchmark.
    pub(crate) fn write_table(&self, file: &str) -> Result<(), Failure> {
        self.print();
        std::fs::write(folder().join(file), self.table())?;
        Ok(())
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        println!("{}", self.table());
    }

    fn table(&self) -> String {
        format!("{}.\n{}", self.machine, self.text)
    }

    /// Horizontal bars, each group on a scale of its own.
    fn chart(&self) -> String {
        const ROW: usize = 22;
        let mut body = String::new();
        let mut y = 8;
        for (title, bars) in &self.groups {
            y += ROW + 6;
            let _ =
                writeln!(body, r#"<text class="t" x="12" y="{}">{}</text>"#, y - 6, escaped(title));
            let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
            for Bar { label, value, text, is_ours } in bars {
                let width = value / most * 380.0;
                let class = if *is_ours { "o" } else { "r" };
                let (label, text) = (escaped(label), escaped(text));
                let _ = writeln!(
                    body,
                    r#"<text x="172" y="{0}" text-anchor="end">{label}</text><rect class="{class}" x="180" y="{1}" width="{width:.1}" height="14" rx="2"/><text x="{2:.1}" y="{0}">{text}</text>"#,
                    y + 12,
                    y + 1,
                    186.0 + width,
                );
                y += ROW;
            }
        }
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 660 {0}" width="660" height="{0}" font-family="system-ui, sans-serif" font-size="12"><style>text{{fill:#333}}.t{{font-weight:600}}.o{{fill:#1f7a5c}}.r{{fill:#b8bec6}}@media(prefers-color-scheme:dark){{text{{fill:#ddd}}.o{{fill:#3fb68b}}.r{{fill:#596069}}}}</style>
{body}</svg>
"#,
            y + 10
        )
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

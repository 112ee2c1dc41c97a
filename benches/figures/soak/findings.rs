//! What was seen, and what is said of it.

use super::SAMPLES;
use super::rest::Rest;
use super::sample::Sample;
use crate::Failure;
use crate::harness::series::Series;

/// What the server needs once and keeps, it has after this many: but a tenth of all is
/// enough.
const WARM_UP: u64 = 1000;

/// Samples are compared by tenths.
const PARTS: u64 = 10;

pub(crate) struct Soak {
    /// How many executions there were to be.
    pub(crate) wanted: u64,
    /// How many were over.
    pub(crate) done: u64,
    pub(crate) samples: Vec<Sample>,
    /// Executions that have not ended as they must.
    pub(crate) wrong: Vec<String>,
    /// What is left behind them.
    pub(crate) left: Vec<String>,
    pub(crate) before: Rest,
    /// Not known when it was broken off.
    pub(crate) after: Option<Rest>,
    /// Why it did not come to its end.
    pub(crate) broken_off: Option<String>,
}

impl Soak {
    pub(crate) fn new(wanted: u64, before: Rest) -> Self {
        let (samples, wrong, left) = (Vec::new(), Vec::new(), Vec::new());
        Self { wanted, done: 0, samples, wrong, left, before, after: None, broken_off: None }
    }

    /// Whether a sample is to be taken: there are [`SAMPLES`] in all, as even as it goes.
    pub(crate) fn is_due(&self) -> bool {
        let samples = |done: u64| done * SAMPLES / self.wanted;
        samples(self.done) != samples(self.done.saturating_sub(1))
    }

    /// How many executions are not counted as any others.
    pub(crate) fn warm_up(&self) -> u64 {
        WARM_UP.min(self.wanted / PARTS)
    }

    /// The samples of so many executions behind the warm-up, and of as many at the end.
    fn compared(&self) -> [&[Sample]; 2] {
        let part = self.warm_up();
        let after = |done: u64| self.samples.partition_point(|it| it.done <= done);
        let first = after(part)..after(2 * part);
        let last = after(self.done.saturating_sub(part))..self.samples.len();
        [first, last].map(|range| self.samples.get(range).unwrap_or_default())
    }

    /// By how much resident memory has grown since the warm-up, in percent; and what it
    /// was then and at the end, in MiB. Medians: it is taken while executions run.
    pub(crate) fn growth(&self) -> Option<(f64, [f64; 2])> {
        let [first, last] = self.compared().map(|it| median(it.iter().map(|it| it.rss)));
        let (first, last) = (first?, last?);
        Some(((last / first - 1.0) * 100.0, [first, last]))
    }

    /// The times of the first tenth and of the last.
    pub(crate) fn tenths(&self) -> [Series; 2] {
        let tenth = (self.samples.len() / 10).max(1);
        let first = self.samples.iter().take(tenth);
        let last = self.samples.iter().rev().take(tenth);
        let all = |samples: &mut dyn Iterator<Item = &Sample>| {
            let mut times = Series::new("");
            samples.for_each(|it| times.add_all(&it.times));
            times
        };
        [all(&mut { first }), all(&mut { last })]
    }

    /// An error when anything was not as it must be.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let mut faults = self.left.clone();
        if !self.wrong.is_empty() {
            faults.push(format!("{} executions did not end as they must", self.wrong.len()));
        }
        faults.extend(self.broken_off.clone());
        if faults.is_empty() { Ok(()) } else { Err(format!("soak: {}", faults.join("; ")).into()) }
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

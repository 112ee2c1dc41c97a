//! Times of one way of doing something, and what is said of them.

use std::time::Duration;

#[derive(Clone)]
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

    /// Those of another, too.
    pub(crate) fn add_all(&mut self, others: &Self) {
        self.times.extend(&others.times);
    }

    /// What they are times of.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    /// All of them together, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.times.iter().sum::<Duration>().as_secs_f64()
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn p95(&self) -> f64 {
        self.quantile(0.95)
    }

    /// The time below which `share` of all are, in milliseconds (nearest rank).
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among a few hundred"
        )]
        let rank = (times.len() as f64 * share).ceil() as usize;
        times.get(rank.saturating_sub(1)).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}

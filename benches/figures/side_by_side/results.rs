//! What was measured.

use super::idle::Idle;
use super::way::Way;
use crate::harness::series::Series;
use crate::harness::served::Ran;
use crate::harness::workload::Workload;

/// How executions come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    OneByOne,
    /// So many at a time, for long.
    InFlight(usize),
    /// So many at once, until the last has its answer.
    Burst(usize),
}

impl Load {
    pub(crate) fn title(self) -> String {
        match self {
            Self::OneByOne => "one after the other".to_owned(),
            Self::InFlight(count) => format!("{count} in flight"),
            Self::Burst(count) => format!("{count} at once, until the last has its answer"),
        }
    }
}

/// Executions of one script in one way.
pub(crate) struct Entry {
    pub(crate) load: Load,
    pub(crate) workload: &'static Workload,
    pub(crate) way: Way,
    /// Of each execution; of each burst as a whole.
    pub(crate) times: Series,
    pub(crate) per_second: f64,
    /// How many executions found a sandbox that waited.
    pub(crate) warm: usize,
    /// How many there were.
    pub(crate) executions: usize,
    pub(crate) failed: usize,
}

impl Entry {
    pub(crate) fn new(load: Load, workload: &'static Workload, way: Way) -> Self {
        let times = Series::new(way.label());
        Self { load, workload, way, times, per_second: 0.0, warm: 0, executions: 0, failed: 0 }
    }

    /// Counts an execution.
    pub(crate) fn count(&mut self, ran: Ran) {
        self.executions += 1;
        self.warm += usize::from(ran.warm);
    }

    /// Says how long all of them took.
    pub(crate) fn took(&mut self, seconds: f64) {
        #[expect(clippy::cast_precision_loss, reason = "hundreds")]
        let done = (self.executions - self.failed) as f64;
        self.per_second = done / seconds;
    }

    /// What one execution, or one burst, costs: in milliseconds.
    pub(crate) fn cost(&self) -> f64 {
        match self.load {
            Load::InFlight(_) => 1000.0 / self.per_second,
            Load::OneByOne | Load::Burst(_) => self.times.median(),
        }
    }
}

#[derive(Default)]
pub(crate) struct Results {
    pub(crate) entries: Vec<Entry>,
    /// From the moment when a script prints a line until a client has it.
    pub(crate) events: Option<Series>,
    pub(crate) idle: Option<Idle>,
    /// Why something could not be measured.
    pub(crate) obstacles: Vec<String>,
}

impl Results {
    pub(crate) fn find(&self, load: Load, workload: &Workload, way: Way) -> Option<&Entry> {
        let is_it =
            |it: &&Entry| it.load == load && it.workload.name == workload.name && it.way == way;
        self.entries.iter().find(is_it)
    }

    /// How often one's cost is another's.
    pub(crate) fn ratio(&self, entry: &Entry, to: Way) -> Option<f64> {
        let other = self.find(entry.load, entry.workload, to)?;
        Some(entry.cost() / other.cost())
    }

    /// The loads of which there are results, as they were measured.
    pub(crate) fn groups(&self) -> Vec<(Load, &'static Workload)> {
        let mut groups: Vec<(Load, &'static Workload)> = Vec::new();
        for Entry { load, workload, .. } in &self.entries {
            if !groups.iter().any(|(l, w)| l == load && w.name == workload.name) {
                groups.push((*load, workload));
            }
        }
        groups
    }
}

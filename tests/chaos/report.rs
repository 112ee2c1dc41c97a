//! One table for each run, for people.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

use crate::plan::Plan;
use crate::world::World;

/// What came out of one run.
pub(crate) struct Report {
    seed: u64,
    ground: String,
    took: Duration,
    pub(crate) executions: usize,
    pub(crate) faults: BTreeMap<String, usize>,
    pub(crate) outcomes: BTreeMap<String, usize>,
    tolls: BTreeMap<String, usize>,
    answers: BTreeMap<String, usize>,
    pub(crate) violations: Vec<String>,
    /// Where the logs are, when there is something to look for in them.
    pub(crate) logs: Option<PathBuf>,
}

impl Report {
    pub(crate) fn of(plan: &Plan, world: &World, took: Duration) -> Self {
        let database = if plan.is_on_postgres { "PostgreSQL" } else { "SQLite" };
        let injected = world.injected.lock().unwrap();
        let ends = world.ends.lock().unwrap();
        Self {
            seed: plan.seed,
            ground: format!("{database}, live-restore {:?}", plan.live_restore),
            took,
            executions: world.accepted.lock().unwrap().len(),
            faults: counted(injected.iter().map(|it| format!("{:?}", it.fault))),
            outcomes: counted(ends.values().map(|end| match end.words[1].as_str() {
                "none" => end.words[0].clone(),
                kind => format!("{} {kind}", end.words[0]),
            })),
            tolls: counted(world.tolls.lock().unwrap().iter().cloned()),
            answers: world.answers.lock().unwrap().clone(),
            violations: world.violations.lock().unwrap().clone(),
            logs: None,
        }
    }
}

pub(crate) fn counted(words: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "seed {} ({})", self.seed, self.ground)?;
        let (executions, seconds) = (self.executions, self.took.as_secs());
        writeln!(formatter, "  {executions:>6} executions accepted, in {seconds} s")?;
        let groups = [
            ("faults", &self.faults),
            ("ended", &self.outcomes),
            ("of them not as their scripts would have", &self.tolls),
            ("answers", &self.answers),
        ];
        for (name, counts) in groups {
            writeln!(formatter, "  {:>6} {name}", counts.values().sum::<usize>())?;
            for (word, count) in counts {
                writeln!(formatter, "         {count:>6} {word}")?;
            }
        }
        writeln!(formatter, "  {:>6} violations", self.violations.len())?;
        for violation in &self.violations {
            writeln!(formatter, "         {violation}")?;
        }
        if let Some(logs) = &self.logs {
            writeln!(formatter, "         logs: {}", logs.display())?;
        }
        Ok(())
    }
}

//! One table for each run, for people.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

use crate::plan::Plan;
use crate::recovery::{Recovery, recoveries};
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
    /// How long servers took to go on with what ran when the one before was killed.
    pub(crate) recoveries: Vec<Recovery>,
    /// How long scripts lived that ignore TERM.
    pub(crate) lives: Vec<Duration>,
    /// Where the logs are.
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
            recoveries: recoveries(
                &world.served.log,
                &world.served.starts.lock().unwrap(),
                &injected,
            ),
            lives: Vec::new(),
            logs: None,
        }
    }

    /// Its seed and its violations, if there were any.
    pub(crate) fn failure(&self) -> Option<(u64, usize)> {
        (!self.violations.is_empty()).then_some((self.seed, self.violations.len()))
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
        write_counts(formatter, "faults", &self.faults)?;
        write_counts(formatter, "ended", &self.outcomes)?;
        write_counts(formatter, "of them not as their scripts would have", &self.tolls)?;
        write_counts(formatter, "answers", &self.answers)?;
        write_times(formatter, &self.recoveries, &self.lives)?;
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

/// All runs together.
pub(crate) struct Total<'a>(pub(crate) &'a [Report]);

impl Display for Total<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self(all) = self;
        let added = |of: fn(&Report) -> &BTreeMap<String, usize>| {
            let mut sums = BTreeMap::<String, usize>::new();
            for (word, count) in all.iter().flat_map(of) {
                *sums.entry(word.clone()).or_default() += count;
            }
            sums
        };
        let executions: usize = all.iter().map(|it| it.executions).sum();
        let violations: usize = all.iter().map(|it| it.violations.len()).sum();
        writeln!(formatter, "in all, {} seeds", all.len())?;
        writeln!(formatter, "  {executions:>6} executions accepted")?;
        write_counts(formatter, "faults", &added(|it| &it.faults))?;
        write_counts(formatter, "ended", &added(|it| &it.outcomes))?;
        write_counts(formatter, "of them not as their scripts would have", &added(|it| &it.tolls))?;
        let recoveries: Vec<_> = all.iter().flat_map(|it| it.recoveries.clone()).collect();
        let lives: Vec<_> = all.iter().flat_map(|it| it.lives.clone()).collect();
        write_times(formatter, &recoveries, &lives)?;
        writeln!(formatter, "  {violations:>6} violations")
    }
}

fn write_counts(
    formatter: &mut Formatter<'_>,
    name: &str,
    counts: &BTreeMap<String, usize>,
) -> fmt::Result {
    writeln!(formatter, "  {:>6} {name}", counts.values().sum::<usize>())?;
    for (word, count) in counts {
        writeln!(formatter, "         {count:>6} {word}")?;
    }
    Ok(())
}

fn write_times(
    formatter: &mut Formatter<'_>,
    recoveries: &[Recovery],
    lives: &[Duration],
) -> fmt::Result {
    let alone = recoveries.iter().filter(|it| it.was_alone);
    let measured = [
        ("recoveries after kill -9", recoveries.iter().map(|it| it.took).collect()),
        ("of them with all else well", alone.map(|it| it.took).collect()),
        ("lives of scripts that ignore TERM", lives.to_vec()),
    ];
    for (name, mut times) in measured {
        times.sort_unstable();
        let at = |percent: usize| {
            let number = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(number).map_or(0.0, Duration::as_secs_f64)
        };
        let (count, median, most) = (times.len(), at(50), at(100));
        let (p95, p99) = (at(95), at(99));
        writeln!(
            formatter,
            "  {count:>6} {name}: p50 {median:.2} s, p95 {p95:.2} s, p99 {p99:.2} s, \
             most {most:.2} s"
        )?;
    }
    Ok(())
}

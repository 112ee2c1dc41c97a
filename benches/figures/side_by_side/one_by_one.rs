//! One execution after the other. Each begins when the machine is done with the one
//! before.

use super::bed::Bed;
use super::results::{Entry, Load, Results};
use super::way::Way;
use crate::{Failure, setting};

pub(crate) async fn measure(bed: &Bed<'_>, results: &mut Results) -> Result<(), Failure> {
    let rounds = setting("GANTRY_BENCH_ROUNDS", 100);
    let slow = setting("GANTRY_BENCH_SLOW_ROUNDS", 30).min(rounds);
    let ways: Vec<Way> = bed.ways().collect();
    let mut entries: Vec<Entry> =
        ways.iter().map(|way| Entry::new(Load::OneByOne, bed.task.workload, *way)).collect();
    // The first round warms caches that all have in common.
    for way in &ways {
        once(bed, *way).await?;
    }
    for round in 0..rounds {
        let is_slow_round = round * slow / rounds != (round + 1) * slow / rounds;
        // Who comes first changes, in case that it matters.
        entries.rotate_left(1);
        for entry in entries.iter_mut().filter(|it| is_slow_round || !it.way.is_slow()) {
            let ran = once(bed, entry.way).await?;
            entry.count(ran);
            entry.times.add(ran.took);
        }
    }
    entries.sort_by_key(|entry| ways.iter().position(|way| *way == entry.way));
    for entry in &mut entries {
        entry.took(entry.times.seconds());
    }
    results.entries.extend(entries);
    Ok(())
}

async fn once(bed: &Bed<'_>, way: Way) -> Result<crate::harness::served::Ran, Failure> {
    bed.settle(way, 1).await?;
    let ready = bed.prepare(way).await?;
    bed.execute(way, ready).await
}

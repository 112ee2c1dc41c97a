//! As many executions at once as the pool has sandboxes, until the last has its
//! answer.

use std::time::Instant;

use super::POOL;
use super::bed::Bed;
use super::results::{Entry, Load, Results};
use super::way::Way;
use crate::{Failure, setting};

/// Ways without a pool have one burst for so many of those with one.
const FEWER: u64 = 4;

pub(crate) async fn measure(bed: &Bed<'_>, results: &mut Results) -> Result<(), Failure> {
    let ways = bed.ways().filter(|way| *way != Way::WarmEngine && *way != Way::ColdEngine);
    let mut entries: Vec<Entry> =
        ways.map(|way| Entry::new(Load::Burst(POOL), bed.task.workload, way)).collect();
    for entry in &entries {
        bed.bring_up(entry.way, POOL).await?;
    }
    for round in 0..setting("GANTRY_BENCH_BURSTS", 20) {
        for entry in &mut entries {
            if round % FEWER == 0 || !entry.way.is_slow() {
                burst(bed, entry).await?;
            }
        }
    }
    for entry in &mut entries {
        entry.took(entry.times.seconds());
    }
    results.entries.extend(entries);
    Ok(())
}

async fn burst(bed: &Bed<'_>, entry: &mut Entry) -> Result<(), Failure> {
    bed.settle(entry.way, POOL).await?;
    let begun = Instant::now();
    let all = (0..POOL).map(|_| bed.execute(entry.way, None));
    let ran = futures::future::try_join_all(all).await?;
    entry.times.add(begun.elapsed());
    ran.into_iter().for_each(|ran| entry.count(ran));
    Ok(())
}

//! Many executions, so many in flight at any time, until the last container of them
//! is gone.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};

use super::POOL;
use super::bed::Bed;
use super::results::{Entry, Load, Results};
use super::way::Way;
use crate::harness::workload::SHELL;
use crate::{Failure, setting};

/// How many at a time.
const IN_FLIGHT: [usize; 2] = [8, 32];

/// What has a pool begins with a full one, and so many times fewer of what has none
/// say as much; the engine's floor, which Gantry is held against, has more than the
/// others.
const FEWER_OF_FLOOR: usize = 2;
const FEWER: usize = 5;

/// There are at least so many times as many as are in flight.
const LEAST_TURNS: usize = 2;

pub(crate) async fn measure(bed: &Bed<'_>, results: &mut Results) -> Result<(), Failure> {
    let count = match bed.task.workload.name == SHELL.name {
        true => setting("GANTRY_BENCH_SUSTAINED", 500),
        false => setting("GANTRY_BENCH_SUSTAINED_OTHERS", 64),
    };
    for in_flight in IN_FLIGHT {
        results.entries.extend(sustain(bed, usize::try_from(count)?, in_flight).await?);
    }
    Ok(())
}

/// All ways, the first half of each and then, in the opposite order, the second: a
/// machine that gets slower does so for all of them. The two halves of a warm pool's
/// are one run in the middle, so that no more than one full pool is used up.
async fn sustain(bed: &Bed<'_>, count: usize, in_flight: usize) -> Result<Vec<Entry>, Failure> {
    let mut ways: Vec<Way> = bed.ways().filter(|way| *way != Way::WarmEngine).collect();
    ways.sort_by_key(|way| *way == Way::Warm);
    let new = |way: &Way| Entry::new(Load::InFlight(in_flight), bed.task.workload, *way);
    let mut runs: Vec<_> = ways.iter().map(|way| (new(way), Duration::ZERO)).collect();
    let middle = runs.len().saturating_sub(1);
    for index in (0..=middle).chain((0..middle).rev()) {
        let Some((entry, wall)) = runs.get_mut(index) else { continue };
        let all = match entry.way {
            way if way.has_pool() => count,
            Way::Floor => count / FEWER_OF_FLOOR,
            _ => count / FEWER,
        };
        let all = all.max(in_flight * LEAST_TURNS);
        let part = if index == middle { all } else { all.div_ceil(2) };
        *wall += crowd(bed, entry, part, in_flight).await?;
    }
    let mut entries = Vec::new();
    for (mut entry, wall) in runs {
        entry.took(wall.as_secs_f64());
        entries.push(entry);
    }
    entries.sort_by_key(|entry| bed.ways().position(|way| way == entry.way));
    Ok(entries)
}

/// Executes so many, and answers with how long it took until all was over.
async fn crowd(
    bed: &Bed<'_>,
    entry: &mut Entry,
    count: usize,
    in_flight: usize,
) -> Result<Duration, Failure> {
    let way = entry.way;
    if way.has_pool() {
        bed.bring_up(way, POOL).await?;
    }
    bed.settle(way, 0).await?;
    let begun = Instant::now();
    let executions = stream::iter(0..count).map(|_| bed.execute(way, None));
    let ran: Vec<_> = executions.buffer_unordered(in_flight).collect().await;
    bed.used_are_gone(way).await?;
    let wall = begun.elapsed();
    for ran in ran {
        match ran {
            Ok(ran) => {
                entry.count(ran);
                entry.times.add(ran.took);
            }
            // It is what is measured: how many there are is said in the table.
            Err(error) => {
                eprintln!("{}, {in_flight} in flight: {error}", way.label());
                entry.executions += 1;
                entry.failed += 1;
            }
        }
    }
    Ok(wall)
}

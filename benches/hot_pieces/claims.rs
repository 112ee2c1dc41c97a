//! Taking an execution: the queue's choice among many that wait, and the database's
//! word that it is taken.

use std::time::Duration;

use divan::Bencher;
use gantry::orchestrator::{Capacity, Demand, Queue, Waiting};
use gantry::store::{DatabaseUrl, Store};
use uuid::Uuid;

use samples::Invocations;

#[path = "../../tests/store/samples.rs"]
#[expect(dead_code, reason = "the store's tests need more of them")]
mod samples;

/// Executions that wait.
const WAITING: u64 = 10_000;

/// Executions of a full node, and what each takes.
const CAPACITY: Capacity =
    Capacity { executions: 8, memory_bytes: 8 << 30, nano_cpus: 8_000_000_000, disk_bytes: 0 };
const DEMAND: Demand = Demand { memory_bytes: 512 << 20, nano_cpus: 1_000_000_000, disk_bytes: 0 };

fn waiting(number: u64, scripts: u64) -> Waiting {
    let script = i64::try_from(number % scripts).unwrap_or_default();
    Waiting {
        id: Uuid::from_u128(number.into()),
        script_id: script,
        priority: i8::try_from(number % 3).unwrap_or_default(),
        max_concurrency: None,
        demand: DEMAND,
        since: Duration::from_millis(number),
    }
}

/// Chooses one, and lets it wait again.
#[divan::bench(args = [1, 1000])]
fn choose_among_10_000(bencher: Bencher<'_, '_>, scripts: u64) {
    let mut queue = Queue::new(CAPACITY, usize::MAX);
    for number in 0..WAITING {
        queue.restore(waiting(number, scripts));
    }
    let now = Duration::from_secs(60);
    bencher.bench_local(|| queue.next(now).map(|next| queue.requeue(next)));
}

/// One durable write.
#[divan::bench(sample_count = 300, sample_size = 1)]
fn claim_on_sqlite(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (store, pending) = runtime.block_on(filled(folder.path()));
    let mut pending = pending.into_iter();
    bencher
        .with_inputs(|| pending.next().unwrap_or_default())
        .bench_local_values(|id| runtime.block_on(samples::claim(&store, id)));
}

/// A database in which executions wait.
async fn filled(folder: &std::path::Path) -> (Store, Vec<Uuid>) {
    let url = DatabaseUrl::in_data_dir(folder);
    let store = Store::open(&url).await.unwrap();
    let invocations = Invocations::of(&store, "weather").await;
    let executions: Vec<_> = (0..WAITING).map(|_| invocations.one()).collect();
    store.submit(&executions).await.unwrap();
    (store, executions.into_iter().map(|it| it.id).collect())
}

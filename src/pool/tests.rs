//! The pool on an engine that fails on command, with a clock that stands still while
//! anything is done.

mod floors;

use std::sync::Arc;
use std::time::Duration;

use gantry_init::message::{Launch, StandBy};

use super::*;
use crate::domain::limits::Limits;
use crate::domain::mount::Mount;
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose};
use crate::engine::fake::program::echo;
use crate::engine::fake::{Fake, Fault, IMAGE, RUNS_ON};
use crate::engine::{EngineError, Verb};

/// Longer than any start takes here.
const SOON: Duration = Duration::from_secs(1);

struct Bench {
    engine: Arc<Fake>,
    remover: Remover,
    pool: Pool,
}

fn bench(size: usize) -> Bench {
    let engine = Fake::running(echo());
    let remover = Remover::new(Arc::clone(&engine) as Arc<dyn Engine>);
    let as_engine = Arc::clone(&engine) as Arc<dyn Engine>;
    let pool = Pool::new(as_engine, remover.clone(), Labels::new(), size);
    pool.start_keeper();
    Bench { engine, remover, pool }
}

impl Bench {
    /// Asks for this many at once; answers with how many there were.
    fn take(&self, template: &Template, count: usize) -> usize {
        let taken: Vec<_> = (0..count).map(|_| self.pool.take(template.clone())).collect();
        taken.iter().flatten().count()
    }

    async fn soon(&self) -> PoolStatus {
        tokio::time::sleep(SOON).await;
        self.pool.status()
    }

    fn unused(&self) -> Vec<String> {
        self.engine.containers()
    }

    async fn ends(self) {
        self.pool.drain().await;
        self.remover.drain().await;
        assert_eq!(self.engine.containers(), Vec::<String>::new());
    }
}

fn template(pids: u32) -> Template {
    Template { spec: spec(pids), preparation: Preparation::default() }
}

/// One whose interpreter stands by, unless there is a reason not to.
fn standing_by(reason: &str) -> Template {
    let stand_by = StandBy {
        launch: Launch::Interpreted {
            interpreter: vec!["/bin/python".to_owned()],
            file_name: "it.py".to_owned(),
        },
        working_directory: "/work".to_owned(),
        differing: Vec::new(),
        own_env: Vec::new(),
        env: Vec::new(),
        source: reason.to_owned(),
        modules: None,
    };
    let preparation =
        Preparation { rehearsal: vec!["/bin/python".to_owned()], stand_by: Some(stand_by) };
    Template { preparation, ..template(8) }
}

fn spec(pids: u32) -> SandboxSpec {
    SandboxSpec {
        image: IMAGE.to_owned(),
        limits: Limits { pids, ..Limits::default() },
        network: Network::None,
        mounts: Vec::new(),
        owner: None,
        folder: RunFolder::None,
        oci_runtime: None,
        exec: true,
        purpose: Purpose::Execution,
    }
}

fn unreachable() -> EngineError {
    EngineError::Unreachable { endpoint: "fake".to_owned(), reason: "broken pipe".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_is_there_the_next_time_and_only_once() {
    let bench = bench(4);
    assert_eq!(bench.take(&template(8), 1), 0);
    assert_eq!(bench.soon().await.unused, 1);
    let (first, second) = (bench.pool.take(template(8)), bench.pool.take(template(8)));
    assert!(first.is_some() && second.is_none());
    let name = first.as_ref().unwrap().name().to_owned();
    drop(first);
    // Another one has taken its place, and more are held because more were wanted.
    assert_eq!(bench.soon().await.unused, 2);
    assert!(!bench.unused().contains(&name));
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_than_its_size_and_the_most_called_have_most() {
    let bench = bench(4);
    for _ in 0..3 {
        bench.take(&template(8), 6);
        bench.take(&template(9), 1);
        let status = bench.soon().await;
        assert!(status.unused + status.starting <= 4, "{status:?}");
    }
    assert_eq!(bench.take(&template(8), 8), 4);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_calls_is_given_up() {
    let bench = bench(4);
    bench.take(&template(8), 4);
    assert_eq!(bench.soon().await.unused, 4);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(bench.pool.status(), PoolStatus { size: 4, ..PoolStatus::default() });
    bench.remover.drain().await;
    assert_eq!(bench.unused(), Vec::<String>::new());
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_died_is_not_handed_out_and_is_replaced() {
    let bench = bench(2);
    bench.take(&template(8), 2);
    bench.soon().await;
    let names = bench.unused();
    bench.engine.kill(&names[0]).await.unwrap();
    assert_eq!(bench.take(&template(8), 2), 1);
    bench.soon().await;
    let names = bench.unused();
    bench.engine.kill(&names[0]).await.unwrap();
    // Nobody asks, and it is noticed all the same.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.pool.status().unused, 2);
    assert!(!bench.unused().contains(&names[0]));
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn it_waits_while_an_execution_starts_cold() {
    let bench = bench(2);
    let cold = bench.pool.begin_cold_start();
    bench.take(&template(8), 2);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.engine.calls(Verb::Create), 0);
    drop(cold);
    assert_eq!(bench.soon().await.unused, 2);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_out_is_asked_ever_less_often() {
    let bench = bench(2);
    for _ in 0..100 {
        bench.engine.inject(Verb::Create, Fault::Error(unreachable()));
    }
    bench.take(&template(8), 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let calls = bench.engine.calls(Verb::Create);
    assert!((2..=15).contains(&calls), "{calls}");
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_held_has_been_examined_and_what_is_confined_less_is_not_held() {
    let bench = bench(2);
    bench.take(&template(8), 1);
    bench.soon().await;
    let held = bench.pool.take(template(8)).unwrap();
    assert_eq!(held.confinement().map(|it| it.pids), Some(8));
    assert_eq!(bench.engine.calls(Verb::InspectConfinement), 1);
    drop(held);
    bench.engine.weaken_confinement(|it| it.privileged = true);
    bench.take(&template(9), 2);
    assert!(bench.soon().await.failing > 0);
    assert!(bench.pool.take(template(9)).is_none());
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_being_started_is_not_waited_for_at_the_end() {
    let bench = bench(2);
    bench.engine.inject(Verb::Start, Fault::Hang);
    bench.take(&template(8), 1);
    tokio::time::sleep(SOON).await;
    assert_eq!(bench.pool.status().starting, 1);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_forgotten_is_not_held() {
    let bench = bench(2);
    bench.take(&template(8), 2);
    bench.soon().await;
    bench.pool.evict_image(IMAGE);
    assert_eq!(bench.soon().await.kinds, 0);
    assert_eq!(bench.take(&template(8), 1), 0);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn five_hundred_kinds_share_what_there_is() {
    let bench = bench(8);
    for round in 0..2_u32 {
        for kind in 0..500 {
            bench.take(&template(8 + kind), 1);
        }
        let status = bench.soon().await;
        assert!(status.unused + status.starting <= 8, "{round}: {status:?}");
    }
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_sees_folders_of_the_host_is_not_held() {
    let bench = bench(2);
    let mounts = vec![Mount::parse("/srv/data:/data").unwrap()];
    let spec = SandboxSpec { mounts, ..spec(8) };
    bench.take(&Template { spec, ..template(8) }, 2);
    assert_eq!(bench.soon().await.kinds, 0);
    assert_eq!(bench.engine.calls(Verb::Create), 0);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_places_does_nothing() {
    let bench = bench(0);
    bench.take(&template(8), 3);
    assert_eq!(bench.soon().await, PoolStatus::default());
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_prepared_for_one_is_not_for_another() {
    let bench = bench(4);
    let (one, other) = (standing_by(""), template(8));
    assert_eq!(bench.take(&one, 2), 0);
    assert_eq!(bench.soon().await.unused, 2);
    assert_eq!(bench.engine.calls(Verb::Create), 2);
    assert_eq!(bench.take(&other, 1), 0);
    assert_eq!(bench.take(&one, 2), 2);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn what_can_not_stand_by_is_rehearsed_and_tried_again_later() {
    let bench = bench(2);
    let template = standing_by("no such module");
    bench.take(&template, 1);
    assert_eq!(bench.soon().await.unused, 1);
    // The first of them was given up.
    assert_eq!(bench.engine.calls(Verb::Create), 2);
    let taken = bench.pool.take(template.clone()).unwrap();
    assert_eq!(taken.stand_by_failure(), Some("no such module"));
    drop(taken);
    assert_eq!(bench.soon().await.unused, 1);
    let before = bench.engine.calls(Verb::Create);
    for round in 1..4 {
        assert_eq!(bench.take(&template, 1), 1);
        assert_eq!(bench.soon().await.unused, 1);
        assert_eq!(bench.engine.calls(Verb::Create), before + round);
    }
    let before = bench.engine.calls(Verb::Create);
    for _ in 0..7 {
        tokio::time::sleep(Duration::from_secs(100)).await;
        bench.take(&template, 1);
    }
    assert_eq!(bench.soon().await.unused, 1);
    assert_eq!(bench.engine.calls(Verb::Create), before + 7 + 1);
    bench.ends().await;
}

#[tokio::test(start_paused = true)]
async fn where_somebody_runs_who_was_to_stand_by_nobody_does_for_a_while() {
    let bench = bench(1);
    let mut template = standing_by("");
    let stand_by = template.preparation.stand_by.as_mut().unwrap();
    stand_by.launch = Launch::Interpreted {
        interpreter: vec!["/bin/python".to_owned()],
        file_name: RUNS_ON.to_owned(),
    };
    bench.take(&template, 1);
    assert_eq!(bench.soon().await.unused, 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    // Another one has taken its place, and does not go the same way.
    assert_eq!(bench.pool.status().unused, 1);
    assert_eq!(bench.engine.calls(Verb::Create), 2);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.engine.calls(Verb::Create), 2);
    bench.ends().await;
}

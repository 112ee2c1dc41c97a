//! Removal under faults, and containers that the remover must not touch.

use tokio::time::Instant;

use super::*;
use crate::engine::fake::{Fault, program};

#[tokio::test(start_paused = true)]
async fn a_container_that_can_not_be_removed_is_given_up_in_the_end() {
    for fault in [Fault::Error(refused(Verb::Remove)), Fault::Hang] {
        let bench = Bench::running(program::echo());
        for _ in 0..20 {
            bench.engine.inject(Verb::Remove, fault.clone());
        }
        bench.ending().await.unwrap();
        let begun = Instant::now();
        bench.remover.drain().await;
        assert!(begun.elapsed() < Duration::from_secs(600), "{:?}", begun.elapsed());
        assert_eq!(bench.engine.calls(Verb::Remove), 7);
        assert_eq!(bench.engine.containers(), [NAME]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_with_nothing_to_do_ends_at_once_and_any_number_may_wait() {
    let bench = Bench::running(program::echo());
    bench.remover.drain().await;
    bench.engine.inject(Verb::Remove, Fault::Hang);
    drop(bench.start().await.unwrap());
    tokio::join!(bench.remover.drain(), bench.remover.drain());
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_container_with_the_same_name_is_not_ours_to_remove() {
    let bench = Bench::running(program::echo());
    let first = bench.start().await.unwrap();
    let error = bench.start().await.err().unwrap();
    assert!(matches!(error, SandboxError::Engine(EngineError::Refused { status: 409, .. })));
    bench.remover.drain().await;
    let cancel = Cancel::new();
    let first = load(first, b"{}", &cancel).await.unwrap();
    let ending = first.run_to_end(&mut Kept::default(), &cancel).await.unwrap();
    assert!(matches!(ending, Ending::Reported(_)), "{ending:?}");
    bench.assert_nothing_is_left().await;
}

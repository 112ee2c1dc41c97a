use tokio::time::Instant;

use super::*;
use crate::domain::confinement::SealedConfinement;
use crate::domain::user::User;
use crate::engine::docker::requested_confinement;
use crate::engine::fake::Fault;
use crate::engine::fake::program::echo;

/// Time for the engine to report the confinement.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(1);

async fn loaded(bench: &Bench) -> Result<Option<SealedConfinement>, SandboxError> {
    let request = request(0);
    let launch = LaunchRequest { head: &request, script: SCRIPT, stdin: b"" };
    let sandbox = bench.start().await?;
    let (spec, cancel) = (container().spec, Cancel::new());
    let loaded = sandbox.load_verified(&launch, &spec, &cancel).await;
    loaded.map(|(_, confinement)| confinement)
}

#[tokio::test(start_paused = true)]
async fn what_is_loaded_is_confined_as_it_was_asked_for() {
    let bench = Bench::running(echo());
    let confinement = loaded(&bench).await.unwrap().unwrap();
    assert_eq!(*confinement, requested_confinement(&container().spec, User::SHARED, &[]));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_confined_less_takes_no_request_and_says_why() {
    let bench = Bench::running(echo());
    bench.engine.weaken_confinement(|it| it.readonly_root = false);
    let error = loaded(&bench).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the engine confines the sandbox less than requested: readonly_root is false, \
         and should be true"
    );
    assert!(error.hint().is_some());
    let sandbox = bench.start().await;
    assert!(sandbox.unwrap().verified(&container().spec).await.is_err());
    bench.remover.drain().await;
    assert_eq!(bench.engine.containers(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_say_it_holds_nothing_up() {
    for fault in [Fault::Hang, Fault::Error(refused(Verb::InspectConfinement))] {
        let is_silent = matches!(fault, Fault::Hang);
        let bench = Bench::running(echo());
        bench.engine.inject(Verb::InspectConfinement, fault);
        let begun = Instant::now();
        assert_eq!(loaded(&bench).await.unwrap(), None);
        let waited = if is_silent { INSPECT_TIMEOUT } else { Duration::ZERO };
        assert_eq!(begun.elapsed(), waited);
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_on_an_engine_that_has_just_gone() {
    let bench = Bench::running(echo());
    bench.engine.inject(Verb::InspectConfinement, Fault::Error(unreachable()));
    let error = loaded(&bench).await.unwrap_err();
    assert!(matches!(&error, SandboxError::Engine(error) if error.is_outage()), "{error}");
    bench.assert_nothing_is_left().await;
}

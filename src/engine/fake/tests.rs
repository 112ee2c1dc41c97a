//! The fake keeps the contract, and breaks it on command.

use std::time::Duration;

use tokio::time::Instant;

use super::program::{after_go, echo, program, silent};
use super::*;
use crate::domain::limits::Limits;
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::engine::OutputChunk;
use futures::StreamExt;

mod contract {
    use super::*;

    async fn fake() -> (Arc<dyn Engine>, String) {
        (Fake::running(echo()), IMAGE.to_owned())
    }

    crate::engine::contract::contract_tests!(fake);
}

fn container(name: &str) -> NewContainer {
    NewContainer {
        name: name.to_owned(),
        spec: SandboxSpec {
            image: IMAGE.to_owned(),
            limits: Limits::default(),
            network: Network::None,
            mounts: Vec::new(),
            owner: None,
            folder: RunFolder::None,
            oci_runtime: None,
            exec: true,
            purpose: Purpose::Execution,
        },
        labels: Labels::new(),
    }
}

fn refused(verb: Verb) -> EngineError {
    EngineError::Refused { verb, status: 500, message: "no".to_owned() }
}

async fn started(fake: &Fake) -> Attached {
    fake.create(&container("a")).await.unwrap();
    let attached = fake.attach("a").await.unwrap();
    fake.start("a").await.unwrap();
    attached
}

/// Calls a verb on a container `a` that runs; `create` is of another one, and
/// `attach` and `start` are not for what runs.
async fn call(fake: &Fake, verb: Verb) -> Result<(), EngineError> {
    match verb {
        Verb::Create => fake.create(&container("b")).await,
        Verb::Attach => fake.attach("a").await.map(drop),
        Verb::Start => fake.start("a").await,
        Verb::Wait => fake.wait("a").await.map(drop),
        Verb::Inspect => fake.inspect("a").await.map(drop),
        Verb::Replay => fake.replay("a").await.map(drop),
        Verb::Terminate => fake.terminate("a").await,
        Verb::InspectConfinement => fake.confinement("a").await.map(drop),
        Verb::Kill => fake.kill("a").await,
        Verb::Remove => fake.remove("a").await,
        Verb::List => fake.list(&Labels::new()).await.map(drop),
        other => panic!("{other:?}"),
    }
}

const DEADLINES: [(Verb, Duration); 11] = [
    (Verb::Create, deadline::CREATE),
    (Verb::Attach, deadline::ATTACH),
    (Verb::Start, deadline::START),
    (Verb::Wait, deadline::WAIT),
    (Verb::Inspect, deadline::INSPECT),
    (Verb::Replay, deadline::REPLAY),
    (Verb::Terminate, deadline::TERMINATE),
    (Verb::InspectConfinement, deadline::INSPECT),
    (Verb::Kill, deadline::KILL),
    (Verb::Remove, deadline::REMOVE),
    (Verb::List, deadline::LIST),
];

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_at_its_deadline() {
    for (verb, limit) in DEADLINES {
        for fault in [Fault::Hang, Fault::Late(Duration::from_secs(3600))] {
            let fake = Fake::running(silent());
            fake.inject(verb, fault);
            let begun = Instant::now();
            let error = call(&fake, verb).await.unwrap_err();
            assert!(matches!(error, EngineError::TimedOut { .. }), "{error}");
            assert_eq!(begun.elapsed(), limit, "{verb:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_the_answer_to_one_call_only() {
    for (verb, _) in DEADLINES {
        let fake = Fake::running(silent());
        fake.inject(verb, Fault::Error(refused(verb)));
        let error = call(&fake, verb).await.unwrap_err();
        assert_eq!(error.to_string(), refused(verb).to_string());
        assert_eq!(fake.containers(), Vec::<String>::new());
        assert!(!call(&fake, verb).await.is_err_and(|error| error.is_outage()));
        assert_eq!(fake.calls(verb), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_to_a_call_that_was_carried_out() {
    let lost = [Fault::LostAnswer(refused(Verb::Create)), Fault::HangAfter];
    for fault in lost {
        let fake = Fake::running(echo());
        fake.inject(Verb::Create, fault);
        fake.create(&container("a")).await.unwrap_err();
        assert_eq!(fake.containers(), ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_carried_out_also_when_nobody_waits_for_it() {
    let fake = Fake::running(echo());
    fake.inject(Verb::Create, Fault::Late(Duration::from_secs(5)));
    let impatient = Duration::from_secs(1);
    tokio::time::timeout(impatient, fake.create(&container("a"))).await.unwrap_err();
    assert_eq!(fake.containers(), Vec::<String>::new());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(fake.containers(), ["a"]);
}

#[tokio::test]
async fn what_vanishes_is_gone_and_what_dies_is_not() {
    let fake = Fake::running(silent());
    let mut attached = started(&fake).await;
    fake.inject(Verb::Inspect, Fault::Die);
    assert!(fake.inspect("a").await.unwrap().running);
    while attached.output.next().await.is_some() {}
    assert_eq!(fake.wait("a").await.unwrap(), 137);
    fake.inject(Verb::Inspect, Fault::Vanish);
    assert!(matches!(fake.inspect("a").await, Err(EngineError::NotFound { .. })));
}

#[tokio::test]
async fn a_program_is_heard_on_both_streams_until_the_connection_breaks() {
    let fake = Fake::running(program(|stdio| async move {
        stdio.print(b"one").await;
        stdio.print_stderr("two").await;
        stdio.break_connection(refused(Verb::Attach)).await;
        Ended::OUT_OF_MEMORY
    }));
    let mut attached = started(&fake).await;
    let mut heard = async || attached.output.next().await;
    assert_eq!(heard().await.unwrap().unwrap(), OutputChunk::Stdout("one".into()));
    assert_eq!(heard().await.unwrap().unwrap(), OutputChunk::Stderr("two".into()));
    heard().await.unwrap().unwrap_err();
    assert_eq!(fake.wait("a").await.unwrap(), 137);
    assert!(fake.inspect("a").await.unwrap().out_of_memory);
}

#[tokio::test]
async fn what_the_contract_forbids_is_recorded() {
    let fake = Fake::running(after_go(|_, _| async { Ended::with(0) }));
    let _attached = started(&fake).await;
    fake.attach("a").await.err().unwrap();
    fake.start("a").await.unwrap_err();
    fake.kill("a").await.unwrap();
    fake.wait("a").await.unwrap();
    fake.start("a").await.unwrap_err();
    fake.create(&container("b")).await.unwrap();
    fake.start("b").await.unwrap();
    fake.attach("b").await.unwrap();
    let violations = fake.take_violations();
    let expected = [
        "a was attached to after its start",
        "a was attached to twice",
        "a was started again when it was Running",
        "a was started again when it was Ended(",
        "b was started before anybody attached",
        "b was attached to after its start",
    ];
    assert_eq!(violations.len(), expected.len(), "{violations:#?}");
    for (violation, expected) in violations.iter().zip(expected) {
        assert!(violation.starts_with(expected), "{violation}");
    }
}

#[tokio::test]
#[should_panic(expected = "a was started again")]
async fn a_test_that_starts_twice_fails() {
    let fake = Fake::running(echo());
    let _attached = started(&fake).await;
    let _ = fake.start("a").await;
}

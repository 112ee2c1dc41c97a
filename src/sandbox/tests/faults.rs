//! The fault matrix: every verb of the engine, and all that can go wrong with
//! it, while a sandbox starts and while it runs.

use tokio::time::Instant;

use super::*;
use crate::engine::deadline;
use crate::engine::fake::{Ended, Fault, program};

const VERBS: [Verb; 10] = [
    Verb::Create,
    Verb::Attach,
    Verb::Start,
    Verb::Wait,
    Verb::Inspect,
    Verb::Replay,
    Verb::Terminate,
    Verb::Kill,
    Verb::Remove,
    Verb::List,
];

/// The most that a start may take: each of its calls to the deadline, and the
/// wait for Hello.
const START_AT_MOST: Duration = Duration::from_secs(30 + 15 + 60 + 20);

/// The most that it may take to find out about a container that vanished, when one
/// call about it goes wrong.
const FIND_OUT_AT_MOST: Duration = Duration::from_secs(15 + 1);

fn faults(verb: Verb) -> [Fault; 9] {
    [
        Fault::Error(refused(verb)),
        Fault::Error(unreachable()),
        Fault::LostAnswer(refused(verb)),
        Fault::LostAnswer(unreachable()),
        Fault::Hang,
        Fault::HangAfter,
        Fault::Late(Duration::from_secs(1)),
        Fault::Vanish,
        Fault::Die,
    ]
}

/// Result of a start.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Up,
    Refused,
    Unreachable,
    TimedOut(Verb),
    NotFound(Verb),
    NotReady,
}

impl Seen {
    fn of(started: &Result<Sandbox, SandboxError>) -> Self {
        match started {
            Ok(_) => Self::Up,
            Err(SandboxError::NotReady(_)) => Self::NotReady,
            Err(SandboxError::Engine(error)) => match error {
                EngineError::Refused { .. } => Self::Refused,
                EngineError::Unreachable { .. } => Self::Unreachable,
                EngineError::TimedOut { verb, .. } => Self::TimedOut(*verb),
                EngineError::NotFound { verb, .. } => Self::NotFound(*verb),
                other => panic!("{other}"),
            },
            Err(other) => panic!("{other}"),
        }
    }

    fn expected(verb: Verb, fault: &Fault) -> Self {
        match (verb, fault) {
            (Verb::Create | Verb::Attach | Verb::Start, fault) => match (fault, verb) {
                (Fault::Error(error) | Fault::LostAnswer(error), _) if error.is_outage() => {
                    Self::Unreachable
                }
                (Fault::Error(_) | Fault::LostAnswer(_), _) => Self::Refused,
                (Fault::Hang | Fault::HangAfter, verb) => Self::TimedOut(verb),
                (Fault::Vanish, Verb::Create) => Self::NotFound(Verb::Attach),
                (Fault::Vanish, verb) => Self::NotFound(verb),
                (Fault::Die, Verb::Start) => Self::NotReady,
                // Late is not too late, and what does not run can't die.
                (Fault::Late(_) | Fault::Die, _) => Self::Up,
            },
            // The others are not needed to start one.
            _ => Self::Up,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_under_every_fault() {
    for verb in VERBS {
        for fault in faults(verb) {
            let bench = Bench::running(program::echo());
            bench.engine.inject(verb, fault.clone());
            let begun = Instant::now();
            let started = bench.start().await;
            let context = format!("{verb:?}, {fault:?}");
            assert_eq!(Seen::of(&started), Seen::expected(verb, &fault), "{context}");
            assert!(begun.elapsed() <= START_AT_MOST, "{context}: {:?}", begun.elapsed());
            drop(started);
            bench.assert_nothing_is_left().await;
        }
    }
}

async fn run(sandbox: Sandbox) -> Result<Ending, SandboxError> {
    let cancel = Cancel::new();
    load(sandbox, b"{}", &cancel).await?.run_to_end(&mut Kept::default(), &cancel).await
}

#[tokio::test(start_paused = true)]
async fn a_run_that_answers_under_every_fault_that_comes_after_its_start() {
    for verb in VERBS {
        for fault in faults(verb) {
            let bench = Bench::running(program::echo());
            let sandbox = bench.start().await.unwrap();
            bench.engine.inject(verb, fault.clone());
            let begun = Instant::now();
            let ending = run(sandbox).await;
            let context = format!("{verb:?}, {fault:?}: {ending:?}");
            assert!(matches!(ending, Ok(Ending::Reported(_))), "{context}");
            // It asks the engine for nothing, and waits for no removal.
            assert_eq!(begun.elapsed(), Duration::ZERO, "{context}");
            bench.assert_nothing_is_left().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_vanishes_under_every_fault() {
    for verb in VERBS {
        for fault in faults(verb) {
            let bench = Bench::running(program::dies_after_started(Ended::OUT_OF_MEMORY));
            let sandbox = bench.start().await.unwrap();
            bench.engine.inject(verb, fault.clone());
            let begun = Instant::now();
            let ending = run(sandbox).await;
            let context = format!("{verb:?}, {fault:?}");
            assert_eq!(ending.unwrap(), vanished(verb, &fault), "{context}");
            assert!(begun.elapsed() <= FIND_OUT_AT_MOST, "{context}: {:?}", begun.elapsed());
            bench.assert_nothing_is_left().await;
        }
    }
}

/// Ending of a container that ran out of memory, when one call about it fails: everything
/// is known unless the container is gone.
fn vanished(verb: Verb, fault: &Fault) -> Ending {
    let is_gone = matches!((verb, fault), (Verb::Inspect, Fault::Vanish));
    let exit_code = Some(137).filter(|_| !is_gone);
    Ending::Vanished { exit_code, out_of_memory: !is_gone }
}

#[tokio::test(start_paused = true)]
async fn a_container_that_is_removed_while_its_script_runs_has_vanished() {
    let bench = Bench::running(program::silent());
    let mut kept = Kept::default();
    let cancel = Cancel::new();
    let run = bench.run(b"{}", &mut kept, &cancel);
    let removal = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.engine.remove(NAME).await.unwrap();
    };
    let (ending, ()) = tokio::join!(run, removal);
    let unknown = Ending::Vanished { exit_code: None, out_of_memory: false };
    assert_eq!(ending.unwrap(), unknown);
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_creation_that_comes_after_its_deadline() {
    for late in [1, 3, 4] {
        let bench = Bench::running(program::echo());
        let late = deadline::CREATE + Duration::from_secs(late);
        bench.engine.inject(Verb::Create, Fault::Late(late));
        let started = bench.start().await;
        assert_eq!(Seen::of(&started), Seen::TimedOut(Verb::Create));
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_after_its_deadline_finds_nothing_to_start() {
    let bench = Bench::running(program::echo());
    bench.engine.inject(Verb::Start, Fault::Late(deadline::START + Duration::from_secs(1)));
    let started = bench.start().await;
    assert_eq!(Seen::of(&started), Seen::TimedOut(Verb::Start));
    tokio::time::sleep(Duration::from_secs(2)).await;
    bench.assert_nothing_is_left().await;
}

//! Scripts whose ending is read from the engine's log, because their first reader lost
//! the connection, or because another process started them.

use gantry_init::frame::Kind;
use gantry_init::message::{Exit, Stopped};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;
use crate::engine::deadline;
use crate::engine::fake::{Ended, Fault, program};
use crate::sandbox::{OutputLimits, RunResult, RunSignals, Running};

/// Longest outage of the engine after a script's deadline.
const OUTAGE: Duration = Duration::from_secs(10 * 60);

/// Time for one call to an unreachable engine, and a pause.
const ONE_RETRY: Duration = Duration::from_secs(60);

/// Prints `first`, waits for `go`, prints the rest and exits with 3.
fn says_the_rest_later(go: &Arc<Notify>) -> Program {
    let go = Arc::clone(go);
    program::started(move |stdio, _| {
        let go = Arc::clone(&go);
        async move {
            stdio.send_frame(Kind::Stdout, b"first").await;
            go.notified().await;
            stdio.send_frame(Kind::Stderr, b"and").await;
            stdio.send_frame(Kind::Stdout, b" last").await;
            stdio.send_message(Kind::Exit, &program::exit(3)).await;
            Ended::with(0)
        }
    })
}

/// Starts a script and detaches from it; returns the output read until then.
async fn left(bench: &Bench) -> Kept {
    let (cancel, leave) = (Cancel::new(), Cancel::new());
    let loaded = load(bench.start().await.unwrap(), b"{}", &cancel).await.unwrap();
    let mut kept = Kept::default();
    let run = loaded.run(&mut kept, RunSignals { cancel: &cancel, detach: &leave });
    let launch = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        leave.cancel();
    };
    let (RunResult { ending, container }, ()) = tokio::join!(run, launch);
    assert!(matches!(ending, Ok(None)));
    drop(container);
    bench.remover.drain().await;
    assert_eq!(bench.engine.containers(), [NAME], "what is left is not removed");
    kept
}

fn adopt(bench: &Bench, time_left: Duration) -> Running {
    let engine = Arc::clone(&bench.engine) as Arc<dyn Engine>;
    let limits = OutputLimits::from(&request(0));
    Running::adopt(engine, &bench.remover, NAME.to_owned(), limits, time_left)
}

/// Adopts a script and reads its output to the end.
async fn adopted(bench: &Bench, kept: &mut Kept, cancel: &Cancel) -> Result<Ending, SandboxError> {
    adopt(bench, TIMEOUT).follow_to_end(kept, cancel).await
}

fn whole() -> Kept {
    let (stdout, stderr) = (b"first last".to_vec(), b"and".to_vec());
    Kept { started: 1, stdout, stderr, ..Kept::default() }
}

#[tokio::test(start_paused = true)]
async fn what_was_left_is_adopted_with_all_that_it_said_and_says() {
    let go = Arc::new(Notify::new());
    let bench = Bench::running(says_the_rest_later(&go));
    assert_eq!(left(&bench).await.stdout, b"first");
    let (mut kept, cancel) = (Kept::default(), Cancel::new());
    let adoption = adopted(&bench, &mut kept, &cancel);
    let later = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        go.notify_one();
    };
    let (ending, ()) = tokio::join!(adoption, later);
    assert_eq!(ending.unwrap(), Ending::Reported(program::exit(3)));
    assert_eq!(kept, whole());
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_ended_while_nobody_listened_is_read_from_its_log() {
    let go = Arc::new(Notify::new());
    let bench = Bench::running(says_the_rest_later(&go));
    left(&bench).await;
    go.notify_one();
    bench.engine.wait(NAME).await.unwrap();
    let mut kept = Kept::default();
    let ending = adopted(&bench, &mut kept, &Cancel::new()).await.unwrap();
    assert_eq!(ending, Ending::Reported(program::exit(3)));
    assert_eq!(kept, whole());
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_costs_nothing() {
    let bench = Bench::running(program::started(|stdio, _| async move {
        stdio.send_frame(Kind::Stdout, b"first").await;
        stdio.break_connection(unreachable()).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        stdio.send_frame(Kind::Stderr, b"and").await;
        stdio.send_frame(Kind::Stdout, b" last").await;
        stdio.send_message(Kind::Exit, &program::exit(3)).await;
        Ended::with(0)
    }));
    let mut kept = Kept::default();
    let ending = bench.run(b"", &mut kept, &Cancel::new()).await.unwrap();
    assert_eq!(ending, Ending::Reported(program::exit(3)));
    assert_eq!(kept, whole());
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_for_a_while_costs_nothing() {
    for fault in [Fault::Error(unreachable()), Fault::Hang, Fault::LostAnswer(unreachable())] {
        let go = Arc::new(Notify::new());
        let bench = Bench::running(says_the_rest_later(&go));
        left(&bench).await;
        go.notify_one();
        for verb in [Verb::Inspect, Verb::Replay, Verb::Inspect, Verb::Inspect, Verb::Replay] {
            bench.engine.inject(verb, fault.clone());
        }
        let mut kept = Kept::default();
        let ending = adopted(&bench, &mut kept, &Cancel::new()).await.unwrap();
        assert_eq!((ending, kept), (Ending::Reported(program::exit(3)), whole()), "{fault:?}");
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_heard_the_word_to_start_has_not_started() {
    let bench = Bench::running(program::echo());
    let loaded = load(bench.start().await.unwrap(), b"{}", &Cancel::new()).await.unwrap();
    // As when a process is killed: nothing is removed, and PID 1's stdin ends.
    loaded.detach();
    let error = adopted(&bench, &mut Kept::default(), &Cancel::new()).await.unwrap_err();
    assert!(matches!(error, SandboxError::NotStarted), "{error}");
    bench.assert_nothing_is_left().await;
}

/// As with an engine that was killed, and whose containers live.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_word_that_nobody_can_say_is_ended_and_has_not_started() {
    let bench = Bench::running(program::after_request(|stdio| async move {
        stdio.send_frame(Kind::Loaded, &[]).await;
        stdio.terminated().cancelled().await;
        Ended::NO_REQUEST
    }));
    let loaded = load(bench.start().await.unwrap(), b"{}", &Cancel::new()).await.unwrap();
    let mut sandbox = loaded.sandbox;
    sandbox.container.detach();
    drop(sandbox);
    let begun = Instant::now();
    let error = adopted(&bench, &mut Kept::default(), &Cancel::new()).await.unwrap_err();
    assert!(matches!(error, SandboxError::NotStarted), "{error}");
    assert_about(begun.elapsed(), Duration::from_secs(10));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_or_was_killed_before_its_last_word_has_vanished() {
    let vanished = |exit_code| Ending::Vanished { exit_code, out_of_memory: false };
    for (remove, expected) in [(true, vanished(None)), (false, vanished(Some(137)))] {
        let bench = Bench::running(says_the_rest_later(&Arc::default()));
        left(&bench).await;
        if remove {
            bench.engine.remove(NAME).await.unwrap();
        } else {
            bench.engine.kill(NAME).await.unwrap();
        }
        let mut kept = Kept::default();
        let ending = adopted(&bench, &mut kept, &Cancel::new()).await.unwrap();
        assert_eq!(ending, expected);
        assert_eq!(kept.stdout, if remove { b"".as_slice() } else { b"first" });
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_adopted_script_is_cancelled_by_a_signal() {
    let bench = Bench::running(program::obeys_cancel());
    left(&bench).await;
    let cancel = Cancel::new();
    cancel.cancel();
    bench.engine.inject(Verb::Terminate, Fault::Error(unreachable()));
    let ending = adopted(&bench, &mut Kept::default(), &cancel).await.unwrap();
    assert!(
        matches!(&ending, Ending::Reported(Exit { stopped: Some(Stopped::Cancelled), .. })),
        "{ending:?}"
    );
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_told_to_end_by_somebody_else_was_not_cancelled() {
    let bench = Bench::running(program::obeys_cancel());
    let (mut kept, cancel) = (Kept::default(), Cancel::new());
    let run = bench.run(b"{}", &mut kept, &cancel);
    let somebody = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.engine.terminate(NAME).await.unwrap();
    };
    let (ending, ()) = tokio::join!(run, somebody);
    assert!(matches!(ending.unwrap(), Ending::StoppedFromOutside(_)));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn an_adopted_script_that_does_not_obey_is_removed_on_a_cancel() {
    let bench = Bench::running(program::silent());
    left(&bench).await;
    let (begun, cancel) = (Instant::now(), Cancel::new());
    cancel.cancel();
    let ending = adopted(&bench, &mut Kept::default(), &cancel).await.unwrap();
    assert_eq!(ending, Ending::RemovedOnCancel);
    assert!(
        begun.elapsed() <= GRACE + INIT_OVERHEAD + Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn an_adopted_script_has_the_time_that_it_had_left() {
    let bench = Bench::running(program::silent());
    left(&bench).await;
    let (begun, time_left) = (Instant::now(), Duration::from_secs(7));
    let running = adopt(&bench, time_left);
    let ending = running.follow_to_end(&mut Kept::default(), &Cancel::new()).await.unwrap();
    assert_eq!(ending, Ending::Overdue);
    assert!(
        begun.elapsed() <= time_left + INIT_OVERHEAD + Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    bench.assert_nothing_is_left().await;
}

/// PID 1 has ended it in time and has said so; only nobody could hear it.
#[tokio::test(start_paused = true)]
async fn what_is_over_its_time_ends_as_its_log_says() {
    let bench = Bench::running(program::started(|stdio, _| async move {
        stdio.break_connection(unreachable()).await;
        stdio.send_message(Kind::Exit, &program::exit(3)).await;
        Ended::with(0)
    }));
    // Each look takes until these calls are given up.
    let look = deadline::INSPECT + deadline::REPLAY;
    let away = TIMEOUT + GRACE + INIT_OVERHEAD + Duration::from_secs(60);
    for _ in 0..away.as_secs() / look.as_secs() {
        bench.engine.inject(Verb::Inspect, Fault::Hang);
        bench.engine.inject(Verb::Replay, Fault::Hang);
    }
    let begun = Instant::now();
    assert_eq!(bench.ending().await.unwrap(), Ending::Reported(program::exit(3)));
    assert!(begun.elapsed() > TIMEOUT, "{:?}", begun.elapsed());
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stays_away_is_not_waited_for_without_end() {
    let bench = Bench::running(program::silent());
    left(&bench).await;
    let begun = Instant::now();
    for _ in 0..10_000 {
        bench.engine.inject(Verb::Inspect, Fault::Hang);
        bench.engine.inject(Verb::Replay, Fault::Hang);
        bench.engine.inject(Verb::Kill, Fault::Hang);
    }
    let unknown = Ending::Vanished { exit_code: None, out_of_memory: false };
    let time_left = Duration::from_secs(60);
    let running = adopt(&bench, time_left);
    let ending = running.follow_to_end(&mut Kept::default(), &Cancel::new()).await.unwrap();
    assert_eq!(ending, unknown);
    assert!(begun.elapsed() >= time_left + OUTAGE, "{:?}", begun.elapsed());
    assert!(begun.elapsed() <= time_left + OUTAGE + 2 * ONE_RETRY, "{:?}", begun.elapsed());
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_script_can_be_left_and_adopted_any_number_of_times() {
    let go = Arc::new(Notify::new());
    let bench = Bench::running(says_the_rest_later(&go));
    left(&bench).await;
    for _ in 0..3 {
        let (cancel, leave) = (Cancel::new(), Cancel::new());
        let mut kept = Kept::default();
        let listening = adopt(&bench, TIMEOUT)
            .follow(&mut kept, RunSignals { cancel: &cancel, detach: &leave });
        let launch = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            leave.cancel();
        };
        let (RunResult { ending, .. }, ()) = tokio::join!(listening, launch);
        assert!(matches!(ending, Ok(None)));
        assert_eq!(kept.stdout, b"first");
    }
    go.notify_one();
    let mut kept = Kept::default();
    adopted(&bench, &mut kept, &Cancel::new()).await.unwrap();
    assert_eq!(kept, whole());
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_container_stays_until_the_end_is_stored() {
    let bench = Bench::running(program::echo());
    let (cancel, leave) = (Cancel::new(), Cancel::new());
    let loaded = load(bench.start().await.unwrap(), b"{}", &cancel).await.unwrap();
    let mut kept = Kept::default();
    let ran = loaded.run(&mut kept, RunSignals { cancel: &cancel, detach: &leave }).await;
    assert!(matches!(ran.ending, Ok(Some(Ending::Reported(_)))));
    bench.remover.drain().await;
    assert_eq!(bench.engine.containers(), [NAME]);
    assert!(bench.remover.tracks(NAME));
    drop(ran.container);
    bench.remover.drain().await;
    assert!(!bench.remover.tracks(NAME));
    bench.assert_nothing_is_left().await;
}

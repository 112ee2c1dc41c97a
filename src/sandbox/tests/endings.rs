//! Programs in the container, and the endings that follow.

use gantry_init::frame::{FrameError, Header, Kind};
use gantry_init::message::RefusedReason;
use tokio::time::Instant;

use super::*;
use crate::engine::fake::{Ended, program};
use crate::sandbox::conversation::ProtocolError;

#[tokio::test(start_paused = true)]
async fn a_script_answers() {
    let bench = Bench::running(program::echo());
    let mut kept = Kept::default();
    let stdin = vec![b'x'; 1024 * 1024];
    let ending = bench.run(&stdin, &mut kept, &Cancel::new()).await.unwrap();
    let reported = program::exit(0);
    assert!(matches!(ending, Ending::Reported(exit) if exit.end == reported.end));
    assert_eq!((kept.started, kept.stdout == stdin), (1, true));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn all_that_a_script_leaves_is_kept() {
    let bench = Bench::running(program::leaves_everything());
    let mut kept = Kept::default();
    let ending = bench.run(b"", &mut kept, &Cancel::new()).await.unwrap();
    assert_eq!(ending, Ending::Reported(program::exit(3)));
    let artifact = ArtifactBegin { name: "a/b".to_owned(), size: 2 };
    let expected = Kept {
        started: 1,
        stdout: b"out".to_vec(),
        stderr: b"err".to_vec(),
        output_file: b"{}".to_vec(),
        artifacts: vec![(artifact, b"xy".to_vec())],
        no_room_for: None,
    };
    assert_eq!(kept, expected);
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_kept_ends_the_run() {
    for what in ["stdout", "stderr", "output file", "artifact", "artifact data"] {
        let bench = Bench::running(program::leaves_everything());
        let mut kept = Kept { no_room_for: Some(what), ..Kept::default() };
        let error = bench.run(b"", &mut kept, &Cancel::new()).await.unwrap_err();
        assert!(matches!(error, SandboxError::Sink(_)), "{what}: {error}");
        assert_eq!(error.hint(), Some("free some disk space"));
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_can_not_start_is_refused() {
    for program in [program::refuses(), program::refuses_to_load()] {
        let bench = Bench::running(program);
        let ending = bench.ending().await.unwrap();
        assert!(matches!(ending, Ending::Refused(it) if it.reason == RefusedReason::NotFound));
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_heard_is_not_ready_after_a_while() {
    let bench = Bench::running(program::never_says_hello());
    let begun = Instant::now();
    let error = bench.ending().await.unwrap_err();
    let expected = "the sandbox did not become ready: PID 1 did not say Hello within 20 s: loading";
    assert_eq!(error.to_string(), expected);
    assert_eq!(begun.elapsed(), Duration::from_secs(20));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn an_end_before_hello_is_not_ready_in_its_own_words() {
    let bench = Bench::running(program::dies_before_hello());
    let error = bench.ending().await.unwrap_err();
    let expected = "the sandbox did not become ready: PID 1 exited: no such library";
    assert_eq!(error.to_string(), expected);
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_without_a_word_has_vanished() {
    let vanished =
        |exit_code, out_of_memory| Ending::Vanished { exit_code: Some(exit_code), out_of_memory };
    let after_started = program::dies_after_started;
    let cases = [
        // It was to start the script, and nobody knows whether it did.
        (program::dies_before_started(), vanished(70, false)),
        (after_started(Ended::KILLED), vanished(137, false)),
        (after_started(Ended::OUT_OF_MEMORY), vanished(137, true)),
        (after_started(Ended::with(0)), vanished(0, false)),
    ];
    for (program, expected) in cases {
        let bench = Bench::running(program);
        assert_eq!(bench.ending().await.unwrap(), expected);
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_pid_1_would_never_say_is_a_violation() {
    let garbage = ProtocolError::Frame(FrameError::Magic(b'S'));
    let cases = [
        (program::prints_garbage(), garbage),
        (program::speaks_out_of_turn(), ProtocolError::Unexpected(Kind::Started)),
        (program::floods(), ProtocolError::LimitExceeded("stdout")),
    ];
    for (program, expected) in cases {
        let bench = Bench::running(program);
        let mut kept = Kept::default();
        let error = bench.run(b"", &mut kept, &Cancel::new()).await.unwrap_err();
        assert!(matches!(&error, SandboxError::Protocol(it) if *it == expected), "{error}");
        assert!(kept.stdout.len() as u64 <= request(0).stream_cap);
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_the_end_has_cut_is_not_delivered() {
    let bench = Bench::running(program::started(|stdio, _| async move {
        let header = Header::encode(Kind::Stdout, 100).unwrap();
        stdio.print(&[header.as_slice(), b"only this"].concat()).await;
        Ended::KILLED
    }));
    let mut kept = Kept::default();
    let ending = bench.run(b"", &mut kept, &Cancel::new()).await.unwrap();
    assert!(matches!(ending, Ending::Vanished { exit_code: Some(137), .. }));
    assert_eq!(kept.stdout, b"");
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_sandbox_is_overdue() {
    for program in [program::silent(), program::never_reads_and_says_it_has()] {
        let bench = Bench::running(program);
        let begun = Instant::now();
        assert_eq!(bench.ending().await.unwrap(), Ending::Overdue);
        assert_about(begun.elapsed(), TIMEOUT + GRACE + INIT_OVERHEAD);
        bench.assert_nothing_is_left().await;
    }
}

/// A script runs on when nobody hears it, and has its whole time.
#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_not_the_end() {
    let before_started = program::after_go(|stdio, _| async move {
        stdio.break_connection(unreachable()).await;
        std::future::pending().await
    });
    for program in [before_started, program::loses_its_connection(unreachable())] {
        let bench = Bench::running(program);
        let begun = Instant::now();
        assert_eq!(bench.ending().await.unwrap(), Ending::Overdue);
        assert_about(begun.elapsed(), TIMEOUT + GRACE + INIT_OVERHEAD);
        bench.assert_nothing_is_left().await;
    }
}

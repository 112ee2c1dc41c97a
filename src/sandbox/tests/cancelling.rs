//! An execution that somebody ends before its time.

use gantry_init::message::Stopped;
use tokio::time::Instant;

use super::*;
use crate::engine::fake::program;

/// The size of a fake container's stdin, in bytes.
const PIPE: usize = 64 * 1024;

/// Cancels after a second; how the run ended, and how long that took from then.
async fn cancelled(bench: &Bench, stdin: &[u8]) -> (Ending, Duration) {
    let (cancel, after) = (Cancel::new(), Duration::from_secs(1));
    let begun = Instant::now();
    let mut kept = Kept::default();
    let run = bench.run(stdin, &mut kept, &cancel);
    let launch = async {
        tokio::time::sleep(after).await;
        cancel.cancel();
    };
    let (ending, ()) = tokio::join!(run, launch);
    (ending.unwrap(), begun.elapsed() - after)
}

#[tokio::test(start_paused = true)]
async fn a_script_that_obeys_says_so_itself() {
    let bench = Bench::running(program::obeys_cancel());
    let (ending, took) = cancelled(&bench, b"{}").await;
    assert!(
        matches!(&ending, Ending::Reported(exit) if exit.stopped == Some(Stopped::Cancelled)),
        "{ending:?}"
    );
    assert_eq!(took, Duration::ZERO);
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_sandbox_is_removed_at_once_while_the_request_is_not_complete() {
    let bench = Bench::running(program::never_reads());
    let ended = cancelled(&bench, &[b'x'; 2 * PIPE]).await;
    assert_eq!(ended, (Ending::RemovedOnCancel, Duration::ZERO));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_sandbox_is_removed_at_once_when_it_was_cancelled_before_it_began() {
    let bench = Bench::running(program::never_reads());
    let cancel = Cancel::new();
    cancel.cancel();
    let begun = Instant::now();
    let ending = bench.run(&[b'x'; 2 * PIPE], &mut Kept::default(), &cancel).await.unwrap();
    assert_eq!((ending, begun.elapsed()), (Ending::RemovedOnCancel, Duration::ZERO));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_sandbox_is_removed_at_once_while_nothing_has_been_started() {
    let bench = Bench::running(program::echo());
    let cancel = Cancel::new();
    let loaded = load(bench.start().await.unwrap(), b"{}", &cancel).await.unwrap();
    cancel.cancel();
    let (begun, mut kept) = (Instant::now(), Kept::default());
    let ending = loaded.run_to_end(&mut kept, &cancel).await.unwrap();
    assert_eq!((ending, begun.elapsed()), (Ending::RemovedOnCancel, Duration::ZERO));
    assert_eq!(kept, Kept::default());
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_pid_1_that_does_not_obey_gets_its_grace_and_no_more() {
    for program in [program::silent(), program::never_reads_and_says_it_has()] {
        let bench = Bench::running(program);
        let (ending, took) = cancelled(&bench, b"{}").await;
        assert_eq!(ending, Ending::RemovedOnCancel);
        assert_about(took, GRACE + INIT_OVERHEAD);
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_does_not_get_through_waits_no_longer() {
    let bench = Bench::running(program::never_reads_and_says_it_has());
    // The request fills the pipe to the last byte, so that not even Go gets through.
    let headers = 3 * gantry_init::frame::HEADER_BYTES;
    let head = serde_json::to_vec(&request(PIPE - 1)).unwrap().len();
    let stdin = vec![b'x'; PIPE - headers - head - SCRIPT.len()];
    let (ending, took) = cancelled(&bench, &stdin).await;
    assert_eq!(ending, Ending::RemovedOnCancel);
    assert_about(took, GRACE + INIT_OVERHEAD);
    bench.assert_nothing_is_left().await;
}

//! A sandbox that has its request runs nothing until it is told to, and up to then
//! whatever becomes of it can be made good by another.

use gantry_init::frame::Kind;
use tokio::time::Instant;

use super::*;
use crate::engine::fake::{Ended, Fault, program};
use crate::sandbox::conversation::ProtocolError;

/// More than the stdin of a fake container holds.
const LARGE: usize = 4 * 1024 * 1024;

/// Starts a sandbox and loads a request.
async fn loaded(bench: &Bench, stdin: &[u8]) -> Result<Loaded, SandboxError> {
    load(bench.start().await?, stdin, &Cancel::new()).await
}

#[tokio::test(start_paused = true)]
async fn a_loaded_request_waits_as_long_as_it_has_to() {
    let bench = Bench::running(program::echo());
    let stdin = vec![b'x'; 1024 * 1024];
    let loaded = loaded(&bench, &stdin).await.unwrap();
    tokio::time::sleep(TIMEOUT * 2).await;
    let mut kept = Kept::default();
    let ending = loaded.run_to_end(&mut kept, &Cancel::new()).await.unwrap();
    assert!(matches!(ending, Ending::Reported(_)), "{ending:?}");
    assert_eq!((kept.started, kept.stdout == stdin), (1, true));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_told_to_start_ends_with_nothing_run() {
    let bench = Bench::running(program::echo());
    let loaded = loaded(&bench, b"{}").await.unwrap();
    bench.engine.inject(Verb::Remove, Fault::Hang);
    drop(loaded);
    assert_eq!(bench.engine.wait(NAME).await.unwrap(), Ended::NO_REQUEST.exit_code);
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_script_begins_with_its_start() {
    let bench = Bench::running(program::silent());
    let loaded = loaded(&bench, b"{}").await.unwrap();
    tokio::time::sleep(TIMEOUT).await;
    let begun = Instant::now();
    let ending = loaded.run_to_end(&mut Kept::default(), &Cancel::new()).await.unwrap();
    assert_eq!((ending, begun.elapsed()), (Ending::Overdue, TIMEOUT + GRACE + INIT_OVERHEAD));
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn an_end_before_it_is_loaded_was_no_run() {
    for ended in [Ended::KILLED, Ended::with(70)] {
        let bench = Bench::running(program::dies_before_loaded(ended));
        let error = loaded(&bench, b"{}").await.err().unwrap();
        let code = ended.exit_code;
        let expected = format!(
            "the sandbox did not become ready: the container exited before its script started \
             (exit code {code})"
        );
        assert!(matches!(error, SandboxError::NotReady(_)));
        assert_eq!(error.to_string(), expected);
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_while_it_waits_was_no_run() {
    let bench = Bench::running(program::dies_while_it_waits(Ended::KILLED));
    let loaded = loaded(&bench, b"{}").await.unwrap();
    bench.engine.wait(NAME).await.unwrap();
    let mut kept = Kept::default();
    let error = loaded.run_to_end(&mut kept, &Cancel::new()).await.unwrap_err();
    assert!(matches!(error, SandboxError::NotReady(_)), "{error}");
    assert_eq!(kept, Kept::default());
    bench.assert_nothing_is_left().await;
}

/// Another one would have no more memory.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_more_than_the_memory_has_met_the_limit() {
    let unused = Ended::OUT_OF_MEMORY;
    for program in [program::dies_before_loaded(unused), program::dies_while_it_waits(unused)] {
        let bench = Bench::running(program);
        let mut kept = Kept::default();
        let loaded = loaded(&bench, b"{}").await.unwrap();
        bench.engine.wait(NAME).await.unwrap();
        let ending = loaded.run_to_end(&mut kept, &Cancel::new()).await.unwrap();
        let expected = Ending::Vanished { exit_code: Some(137), out_of_memory: true };
        assert_eq!((ending, kept), (expected, Kept::default()));
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_not_taken_is_given_up_in_the_end() {
    for stdin in [b"{}".to_vec(), vec![b'x'; LARGE]] {
        let bench = Bench::running(program::never_reads());
        let begun = Instant::now();
        let error = loaded(&bench, &stdin).await.err().unwrap();
        let expected =
            "the sandbox did not become ready: PID 1 did not accept the request within 60 s"
                .to_owned();
        assert_eq!((error.to_string(), begun.elapsed()), (expected, LOAD_TIMEOUT));
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_before_the_start_is_the_engine_s_fault() {
    let before_the_request = program::program(|stdio| async move {
        program::hello(&stdio).await;
        stdio.break_connection(unreachable()).await;
        std::future::pending().await
    });
    let before_loaded = program::after_request(|stdio| async move {
        stdio.break_connection(unreachable()).await;
        std::future::pending().await
    });
    let while_it_waits = program::after_request(|stdio| async move {
        stdio.send_frame(Kind::Loaded, &[]).await;
        stdio.break_connection(unreachable()).await;
        std::future::pending().await
    });
    for program in [before_the_request, before_loaded, while_it_waits] {
        let bench = Bench::running(program);
        let mut kept = Kept::default();
        let ended = async {
            let loaded = loaded(&bench, &vec![b' '; LARGE]).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            loaded.run_to_end(&mut kept, &Cancel::new()).await
        };
        let error = ended.await.unwrap_err();
        assert!(matches!(error, SandboxError::Engine(error) if error.is_outage()));
        assert_eq!(kept, Kept::default());
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_starts_by_itself_is_a_violation() {
    let unasked = program::after_request(|stdio| async move {
        stdio.send_frame(Kind::Started, &[]).await;
        std::future::pending().await
    });
    let untold = program::after_request(|stdio| async move {
        stdio.send_frame(Kind::Loaded, &[]).await;
        stdio.send_frame(Kind::Started, &[]).await;
        std::future::pending().await
    });
    for program in [unasked, untold] {
        let bench = Bench::running(program);
        let ended = async {
            let loaded = loaded(&bench, b"{}").await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            loaded.run_to_end(&mut Kept::default(), &Cancel::new()).await
        };
        let error = ended.await.unwrap_err();
        let expected = ProtocolError::Unexpected(Kind::Started);
        assert!(matches!(&error, SandboxError::Protocol(it) if *it == expected), "{error}");
        bench.assert_nothing_is_left().await;
    }
}

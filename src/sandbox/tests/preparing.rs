//! Preparation of a waiting sandbox.

use gantry_init::frame::Kind;
use gantry_init::message::{Preparation, Prepared};

use super::*;
use crate::engine::fake::program::Ended;
use crate::engine::fake::program::{
    self, after_request, echo, hello, never_reads, never_reads_and_says_it_has,
};
use crate::sandbox::PrepareError;

/// PID 1's own limits, and some time.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(75);

fn preparation() -> Preparation {
    Preparation { rehearsal: vec!["/bin/true".to_owned()], stand_by: None }
}

async fn prepared(bench: &Bench) -> Result<Sandbox, PrepareError> {
    bench.start().await.unwrap().prepare(&preparation()).await
}

/// Answers a preparation with this.
fn answers(kind: Kind, payload: &'static [u8]) -> Program {
    program::program(move |mut stdio| async move {
        hello(&stdio).await;
        assert_eq!(stdio.next_frame().await.unwrap().kind, Kind::Prepare);
        stdio.send_frame(kind, payload).await;
        std::future::pending().await
    })
}

#[tokio::test(start_paused = true)]
async fn a_prepared_sandbox_runs_its_request() {
    let bench = Bench::running(echo());
    let sandbox = prepared(&bench).await.unwrap();
    let loaded = load(sandbox, b"{}", &Cancel::new()).await.unwrap();
    let mut kept = Kept::default();
    loaded.run_to_end(&mut kept, &Cancel::new()).await.unwrap();
    assert_eq!(kept.stdout, b"{}");
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn why_nobody_stands_by_is_short_printable_text() {
    let reason = format!("\u{1b}[31m{}", "x".repeat(10_000));
    let unfit = Prepared { unfit: Some(reason), remark: None };
    let payload: &'static [u8] = serde_json::to_vec(&unfit).unwrap().leak();
    let bench = Bench::running(answers(Kind::Prepared, payload));
    let Err(PrepareError::Unsupported(reason)) = prepared(&bench).await else {
        panic!("it is fit")
    };
    assert!(reason.starts_with("\\u{1b}[31mx") && reason.len() < 1000, "{reason}");
    bench.assert_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn what_pid_1_would_never_answer_is_a_violation() {
    for (kind, payload) in
        [(Kind::Prepared, b"[".as_slice()), (Kind::Loaded, b""), (Kind::Started, b"")]
    {
        let bench = Bench::running(answers(kind, payload));
        let Err(PrepareError::Sandbox(SandboxError::Protocol(_))) = prepared(&bench).await else {
            panic!("{kind:?}")
        };
        bench.assert_nothing_is_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_not_waited_for_without_end() {
    let dies = after_request(|_| async { Ended::with(1) });
    for program in [never_reads(), program::dies_before_hello(), dies] {
        let bench = Bench::running(program);
        let begun = tokio::time::Instant::now();
        if let Ok(sandbox) = bench.start().await {
            let ended = sandbox.prepare(&preparation()).await.map(|_| ());
            let is_fine = ended.is_ok() || matches!(ended, Err(PrepareError::Sandbox(_)));
            assert!(is_fine && begun.elapsed() <= PREPARE_TIMEOUT);
        }
        bench.assert_nothing_is_left().await;
    }
    let bench = Bench::running(never_reads_and_says_it_has());
    assert!(matches!(prepared(&bench).await, Err(PrepareError::Sandbox(_))));
    bench.assert_nothing_is_left().await;
}

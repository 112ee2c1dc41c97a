//! What can run in a fake container, in place of PID 1.

use std::future::{Future, pending};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use gantry_init::frame::{Kind, MAX_REPLY_PAYLOAD};
use gantry_init::message::{
    ArtifactBegin, End, Exit, Hello, Refused, RefusedReason, Stopped, Usage,
};

use super::stdio::Stdio;
use crate::engine::EngineError;

/// What a container runs.
pub(crate) type Program = Arc<dyn Fn(Stdio) -> BoxFuture<'static, Ended> + Send + Sync>;

/// How a container's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit_code: i64,
    pub(crate) out_of_memory: bool,
}

impl Ended {
    /// By KILL.
    pub(crate) const KILLED: Self = Self::with(137);

    /// By KILL, because the memory was used up.
    pub(crate) const OUT_OF_MEMORY: Self = Self { exit_code: 137, out_of_memory: true };

    /// As gantry-init does when its stdin ends before it is told to start a script.
    pub(crate) const NO_REQUEST: Self = Self::with(gantry_init::message::NO_REQUEST as i64);

    /// By itself.
    pub(crate) const fn with(exit_code: i64) -> Self {
        Self { exit_code, out_of_memory: false }
    }
}

/// A program of one's own.
pub(crate) fn program<F, R>(run: F) -> Program
where
    F: Fn(Stdio) -> R + Send + Sync + 'static,
    R: Future<Output = Ended> + Send + 'static,
{
    Arc::new(move |stdio| run(stdio).boxed())
}

/// One that is up, has its whole request and is to start it before `run` goes on;
/// without this word it ends as PID 1 does.
pub(crate) fn asked<F, R>(run: F) -> Program
where
    F: Fn(Stdio, Vec<u8>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Ended> + Send + 'static,
{
    program(move |mut stdio| {
        let run = run.clone();
        async move {
            hello(&stdio).await;
            let terminated = stdio.terminated();
            let asked = tokio::select! {
                asked = stdio.asked() => asked,
                () = terminated.cancelled() => None,
            };
            match asked {
                Some(stdin) => run(stdio, stdin).await,
                None => Ended::NO_REQUEST,
            }
        }
    })
}

/// One that is up and has its whole request, and has not said so, before `run`
/// goes on.
pub(crate) fn requested<F, R>(run: F) -> Program
where
    F: Fn(Stdio) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Ended> + Send + 'static,
{
    program(move |mut stdio| {
        let run = run.clone();
        async move {
            hello(&stdio).await;
            match stdio.request().await {
                Some(_) => run(stdio).await,
                None => Ended::NO_REQUEST,
            }
        }
    })
}

/// One whose script exists before `run` goes on.
pub(crate) fn started<F, R>(run: F) -> Program
where
    F: Fn(Stdio, Vec<u8>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Ended> + Send + 'static,
{
    asked(move |stdio, stdin| {
        let run = run.clone();
        async move {
            stdio.say(Kind::Started, &[]).await;
            run(stdio, stdin).await
        }
    })
}

/// Says Hello.
pub(crate) async fn hello(stdio: &Stdio) {
    stdio.tell(Kind::Hello, &Hello { init: "fake".to_owned() }).await;
}

/// A script that ended by itself with this code.
pub(crate) fn exit(code: i32) -> Exit {
    Exit {
        end: End::Code(code),
        stopped: None,
        duration_us: 1000,
        stdout_bytes: 0,
        stderr_bytes: 0,
        usage: Usage::default(),
        output_file: None,
        artifacts_skipped: Vec::new(),
        artifacts_unlisted: 0,
        artifacts_sent: 0,
        places: Vec::new(),
        stood_by: None,
    }
}

/// Answers with what it reads from stdin.
pub(crate) fn echo() -> Program {
    started(|stdio, stdin| async move {
        for piece in stdin.chunks(MAX_REPLY_PAYLOAD) {
            stdio.say(Kind::Stdout, piece).await;
        }
        stdio.tell(Kind::Exit, &Exit { stdout_bytes: stdin.len() as u64, ..exit(0) }).await;
        Ended::with(0)
    })
}

/// Leaves something of everything, and exits with 3.
pub(crate) fn leaves_everything() -> Program {
    started(|stdio, _| async move {
        stdio.say(Kind::Stdout, b"out").await;
        stdio.say(Kind::Stderr, b"err").await;
        stdio.say(Kind::OutputFile, b"{}").await;
        let artifact = ArtifactBegin { name: "a/b".to_owned(), size: 2 };
        stdio.tell(Kind::ArtifactBegin, &artifact).await;
        stdio.say(Kind::ArtifactData, b"xy").await;
        stdio.tell(Kind::Exit, &exit(3)).await;
        Ended::with(0)
    })
}

/// Is up and says so, and has no interpreter.
pub(crate) fn refuses() -> Program {
    asked(|stdio, _| async move { refuse(&stdio).await })
}

/// Is up and says so, and can't write the script.
pub(crate) fn refuses_to_load() -> Program {
    requested(|stdio| async move { refuse(&stdio).await })
}

async fn refuse(stdio: &Stdio) -> Ended {
    let (reason, detail) = (RefusedReason::NotFound, "no such file".to_owned());
    stdio.tell(Kind::Refused, &Refused { reason, detail }).await;
    Ended::with(0)
}

/// Never says that it is up.
pub(crate) fn never_says_hello() -> Program {
    program(|stdio| async move {
        stdio.complain("loading").await;
        pending().await
    })
}

/// Ends before it says that it is up.
pub(crate) fn dies_before_hello() -> Program {
    program(|stdio| async move {
        stdio.complain("no such library\n").await;
        Ended::with(127)
    })
}

/// Ends when it has its request and has not said so.
pub(crate) fn dies_before_loaded(ended: Ended) -> Program {
    requested(move |_| async move { ended })
}

/// Ends when it has said that it has its request, and waits.
pub(crate) fn dies_while_it_waits(ended: Ended) -> Program {
    requested(move |stdio| async move {
        stdio.say(Kind::Loaded, &[]).await;
        ended
    })
}

/// Ends when it is to start the script, which does not exist yet.
pub(crate) fn dies_before_started() -> Program {
    asked(|_, _| async { Ended::with(70) })
}

/// Is killed while the script runs.
pub(crate) fn dies_after_started(ended: Ended) -> Program {
    started(move |stdio, _| async move {
        stdio.say(Kind::Stdout, b"half").await;
        ended
    })
}

/// Says that it is up and never reads its stdin.
pub(crate) fn never_reads() -> Program {
    program(|stdio| async move {
        hello(&stdio).await;
        pending().await
    })
}

/// Says that it has its request, and never reads its stdin.
pub(crate) fn never_reads_and_says_it_has() -> Program {
    program(|stdio| async move {
        hello(&stdio).await;
        stdio.say(Kind::Loaded, &[]).await;
        pending().await
    })
}

/// Its script runs for ever, and it never says a word.
pub(crate) fn silent() -> Program {
    started(|stdio, _| async move {
        // As long as it lives its stdio is open.
        let _stdio = stdio;
        pending().await
    })
}

/// Its script runs until it is cancelled.
pub(crate) fn obeys_cancel() -> Program {
    started(|mut stdio, _| async move {
        stdio.asked_to_end().await;
        let stopped = Exit { end: End::Signal(15), stopped: Some(Stopped::Cancelled), ..exit(0) };
        stdio.tell(Kind::Exit, &stopped).await;
        Ended::with(0)
    })
}

/// Prints what is no frame instead of Hello.
pub(crate) fn prints_garbage() -> Program {
    program(|stdio| async move {
        stdio.print(b"Segmentation fault\n").await;
        pending().await
    })
}

/// Says Started before Hello.
pub(crate) fn speaks_out_of_turn() -> Program {
    program(|stdio| async move {
        stdio.say(Kind::Started, &[]).await;
        pending().await
    })
}

/// Its script prints and never stops.
pub(crate) fn floods() -> Program {
    started(|stdio, _| async move {
        loop {
            stdio.say(Kind::Stdout, &[b'x'; MAX_REPLY_PAYLOAD]).await;
        }
    })
}

/// The connection to it breaks while its script runs.
pub(crate) fn loses_its_connection(error: EngineError) -> Program {
    started(move |stdio, _| {
        let error = error.clone();
        async move {
            stdio.break_connection(error).await;
            pending().await
        }
    })
}

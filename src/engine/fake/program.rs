//! Programs that run in a fake container in place of PID 1.

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

/// Program of a container.
pub(crate) type Program = Arc<dyn Fn(Stdio) -> BoxFuture<'static, Ended> + Send + Sync>;

/// Exit of a container's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) exit_code: i64,
    pub(crate) out_of_memory: bool,
}

impl Ended {
    /// Killed.
    pub(crate) const KILLED: Self = Self::with(137);

    /// Killed for lack of memory.
    pub(crate) const OUT_OF_MEMORY: Self = Self { exit_code: 137, out_of_memory: true };

    /// Exit of gantry-init when its stdin ends before Go.
    pub(crate) const NO_REQUEST: Self = Self::with(gantry_init::message::NO_REQUEST as i64);

    /// Exited by itself.
    pub(crate) const fn with(exit_code: i64) -> Self {
        Self { exit_code, out_of_memory: false }
    }
}

/// Makes a program of a function.
pub(crate) fn program<F, R>(run: F) -> Program
where
    F: Fn(Stdio) -> R + Send + Sync + 'static,
    R: Future<Output = Ended> + Send + 'static,
{
    Arc::new(move |stdio| run(stdio).boxed())
}

/// Calls `run` with the script's stdin after Go; without Go it exits as PID 1 does.
pub(crate) fn after_go<F, R>(run: F) -> Program
where
    F: Fn(Stdio, Vec<u8>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Ended> + Send + 'static,
{
    program(move |mut stdio| {
        let run = run.clone();
        async move {
            hello(&stdio).await;
            let terminated = stdio.terminated();
            let stdin = tokio::select! {
                stdin = stdio.wait_for_go() => stdin,
                () = terminated.cancelled() => None,
            };
            match stdin {
                Some(stdin) => run(stdio, stdin).await,
                None => Ended::NO_REQUEST,
            }
        }
    })
}

/// Calls `run` after reading the whole request, before confirming it.
pub(crate) fn after_request<F, R>(run: F) -> Program
where
    F: Fn(Stdio) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Ended> + Send + 'static,
{
    program(move |mut stdio| {
        let run = run.clone();
        async move {
            hello(&stdio).await;
            match stdio.read_request().await {
                Some(_) => run(stdio).await,
                None => Ended::NO_REQUEST,
            }
        }
    })
}

/// Calls `run` with the script's stdin after sending Started.
pub(crate) fn started<F, R>(run: F) -> Program
where
    F: Fn(Stdio, Vec<u8>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Ended> + Send + 'static,
{
    after_go(move |stdio, stdin| {
        let run = run.clone();
        async move {
            stdio.send_frame(Kind::Started, &[]).await;
            run(stdio, stdin).await
        }
    })
}

/// Sends Hello.
pub(crate) async fn hello(stdio: &Stdio) {
    stdio.send_message(Kind::Hello, &Hello { init: "fake".to_owned() }).await;
}

/// Exit message of a script that exited with this code.
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
        disk: None,
        stood_by: None,
    }
}

/// Echoes its stdin.
pub(crate) fn echo() -> Program {
    started(|stdio, stdin| async move {
        for piece in stdin.chunks(MAX_REPLY_PAYLOAD) {
            stdio.send_frame(Kind::Stdout, piece).await;
        }
        stdio.send_message(Kind::Exit, &Exit { stdout_bytes: stdin.len() as u64, ..exit(0) }).await;
        Ended::with(0)
    })
}

/// Produces every kind of output and exits with 3.
pub(crate) fn leaves_everything() -> Program {
    started(|stdio, _| async move {
        stdio.send_frame(Kind::Stdout, b"out").await;
        stdio.send_frame(Kind::Stderr, b"err").await;
        stdio.send_frame(Kind::OutputFile, b"{}").await;
        let artifact = ArtifactBegin { name: "a/b".to_owned(), size: 2 };
        stdio.send_message(Kind::ArtifactBegin, &artifact).await;
        stdio.send_frame(Kind::ArtifactData, b"xy").await;
        stdio.send_message(Kind::Exit, &exit(3)).await;
        Ended::with(0)
    })
}

/// Says Hello, then refuses to start the script for lack of an interpreter.
pub(crate) fn refuses() -> Program {
    after_go(|stdio, _| async move { refuse(&stdio).await })
}

/// Says Hello, then refuses the request because it can't write the script.
pub(crate) fn refuses_to_load() -> Program {
    after_request(|stdio| async move { refuse(&stdio).await })
}

async fn refuse(stdio: &Stdio) -> Ended {
    let (reason, detail) = (RefusedReason::NotFound, "no such file".to_owned());
    stdio.send_message(Kind::Refused, &Refused { reason, detail }).await;
    Ended::with(0)
}

/// Never says Hello.
pub(crate) fn never_says_hello() -> Program {
    program(|stdio| async move {
        stdio.print_stderr("loading").await;
        pending().await
    })
}

/// Exits before Hello.
pub(crate) fn dies_before_hello() -> Program {
    program(|stdio| async move {
        stdio.print_stderr("no such library\n").await;
        Ended::with(127)
    })
}

/// Exits after reading its request, before confirming it.
pub(crate) fn dies_before_loaded(ended: Ended) -> Program {
    after_request(move |_| async move { ended })
}

/// Exits after confirming its request, while it waits for Go.
pub(crate) fn dies_while_it_waits(ended: Ended) -> Program {
    after_request(move |stdio| async move {
        stdio.send_frame(Kind::Loaded, &[]).await;
        ended
    })
}

/// Exits after Go, before the script exists.
pub(crate) fn dies_before_started() -> Program {
    after_go(|_, _| async { Ended::with(70) })
}

/// Exits while the script runs.
pub(crate) fn dies_after_started(ended: Ended) -> Program {
    started(move |stdio, _| async move {
        stdio.send_frame(Kind::Stdout, b"half").await;
        ended
    })
}

/// Says Hello and never reads its stdin.
pub(crate) fn never_reads() -> Program {
    program(|stdio| async move {
        hello(&stdio).await;
        pending().await
    })
}

/// Confirms its request without ever reading its stdin.
pub(crate) fn never_reads_and_says_it_has() -> Program {
    program(|stdio| async move {
        hello(&stdio).await;
        stdio.send_frame(Kind::Loaded, &[]).await;
        pending().await
    })
}

/// Runs a script that never ends and prints nothing.
pub(crate) fn silent() -> Program {
    started(|stdio, _| async move {
        // The stdio stays open while the script runs.
        let _stdio = stdio;
        pending().await
    })
}

/// Runs a script until it is cancelled.
pub(crate) fn obeys_cancel() -> Program {
    started(|mut stdio, _| async move {
        stdio.wait_for_stop().await;
        let stopped = Exit { end: End::Signal(15), stopped: Some(Stopped::Cancelled), ..exit(0) };
        stdio.send_message(Kind::Exit, &stopped).await;
        Ended::with(0)
    })
}

/// Prints bytes that are no frame instead of Hello.
pub(crate) fn prints_garbage() -> Program {
    program(|stdio| async move {
        stdio.print(b"Segmentation fault\n").await;
        pending().await
    })
}

/// Sends Started before Hello.
pub(crate) fn speaks_out_of_turn() -> Program {
    program(|stdio| async move {
        stdio.send_frame(Kind::Started, &[]).await;
        pending().await
    })
}

/// Runs a script that prints without end.
pub(crate) fn floods() -> Program {
    started(|stdio, _| async move {
        loop {
            stdio.send_frame(Kind::Stdout, &[b'x'; MAX_REPLY_PAYLOAD]).await;
        }
    })
}

/// Loses its connection while the script runs.
pub(crate) fn loses_its_connection(error: EngineError) -> Program {
    started(move |stdio, _| {
        let error = error.clone();
        async move {
            stdio.break_connection(error).await;
            pending().await
        }
    })
}

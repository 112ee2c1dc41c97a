//! Reads a script's ending from the engine's log, also while the engine is unreliable.
//!
//! The log has the same bytes as the attached output, so the same conversation reads it
//! and skips what was read before. A log without a final frame (Exit or Refused) proves
//! something only if it was read after the container had exited.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use gantry_init::message::NO_REQUEST;
use tokio::time::Instant;

use super::running::{ReadDeadlines, ReadOutcome, Running, StreamEnd};
use super::{Cancel, SandboxError, Sink};
use crate::domain::outcome::Ending;
use crate::engine::{ContainerState, EngineError};

/// Pause before a failed call to the engine is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Time for a script to start after Go, which takes milliseconds. If the engine was
/// killed, PID 1 may wait for a Go frame that no process can send any more.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for reading the log of an exited container. The longest, of two streams and
/// artifacts at their limits, takes a second or two.
const LOG_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest outage of the engine after a script's deadline before the script counts as
/// lost. Longer than any restart of the engine takes.
const OUTAGE: Duration = Duration::from_secs(10 * 60);

/// State of a container just before its log is read.
enum Inspection {
    /// It has exited, so the log is complete.
    Ended(ContainerState),
    /// The engine has no such container.
    Gone,
    /// It runs, or the engine did not answer.
    Unknown,
}

/// Decision to kill a script that does not end by itself.
#[derive(Clone, Copy)]
struct ForcedEnd {
    /// Ending of the script, unless its log has a final frame.
    ending: fn() -> Ending,
    since: Instant,
}

impl Running {
    /// Reads the log until its final frame, or until there can't be one.
    pub(super) async fn find_ending_in_log(
        &mut self,
        mut stream_end: StreamEnd,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        let mut forced_end: Option<ForcedEnd> = None;
        let mut start_by = Some(Instant::now() + START_TIMEOUT);
        loop {
            if stream_end == StreamEnd::NotStarted {
                start_by = match self.terminate_unstarted().await {
                    Ok(()) => None,
                    Err(_) => Some(Instant::now() + START_TIMEOUT),
                };
            }
            if let Some(ending) = stream_end.ending() {
                forced_end.get_or_insert(ForcedEnd { ending, since: Instant::now() });
                self.kill().await;
            }
            let inspection = self.inspect().await;
            if matches!(inspection, Inspection::Gone) {
                return Ok(final_ending(forced_end, None, false));
            }
            let is_over = forced_end.is_some() || matches!(inspection, Inspection::Ended(_));
            stream_end = match self.read_log(is_over, start_by, sink, cancel).await? {
                ReadOutcome::Ended(ending) => return Ok(*ending),
                ReadOutcome::Stopped(stream_end) => stream_end,
            };
            if let (StreamEnd::Finished, Inspection::Ended(state)) = (stream_end, &inspection) {
                return self.ending_of_complete_log(forced_end, state);
            }
            if forced_end.is_some_and(|it| it.since.elapsed() >= OUTAGE) {
                tracing::error!(
                    container = self.name(),
                    "gave up reading a script's ending: the engine is away"
                );
                return Ok(final_ending(None, None, false));
            }
            if stream_end.ending().is_none() {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Ends a PID 1 that still waits for Go. Its exit code then says that nothing has
    /// run.
    async fn terminate_unstarted(&mut self) -> Result<(), EngineError> {
        tracing::warn!(
            container = self.name(),
            "the script of a sandbox has not started in time; ending the sandbox"
        );
        self.engine.terminate(self.name()).await
    }

    async fn kill(&mut self) {
        if let Err(error) = self.engine.kill(self.name()).await {
            let container = self.name();
            tracing::warn!(%error, container, "failed to kill a sandbox; retrying");
        }
    }

    async fn inspect(&mut self) -> Inspection {
        match self.engine.inspect(self.name()).await {
            Ok(state) if !state.running => Inspection::Ended(state),
            Err(EngineError::NotFound { .. }) => Inspection::Gone,
            Ok(_) | Err(_) => Inspection::Unknown,
        }
    }

    /// Reads the log from where reading stopped. Once the script has exited or is being
    /// killed, only the rest of the log is read.
    async fn read_log(
        &mut self,
        is_over: bool,
        start_by: Option<Instant>,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<ReadOutcome, SandboxError> {
        match self.engine.replay(self.name()).await {
            Ok(output) => self.frames.replay(output),
            Err(error) => {
                tracing::warn!(%error, container = self.name(), "failed to read a sandbox's log");
                let is_overdue = !is_over && Instant::now() >= self.deadline;
                return Ok(ReadOutcome::Stopped(match error.is_outage() {
                    _ if is_overdue => StreamEnd::DeadlinePassed,
                    true => StreamEnd::Disconnected,
                    // There is no log, or it is damaged.
                    false => StreamEnd::Finished,
                }));
            }
        }
        if is_over {
            let deadlines = ReadDeadlines { until: Instant::now() + LOG_TIMEOUT, start_by: None };
            return self.read_frames(std::future::pending(), sink, &Cancel::new(), deadlines).await;
        }
        let (engine, name) = (Arc::clone(&self.engine), self.name().to_owned());
        let terminate = async {
            cancel.cancelled().await;
            while let Err(error) = engine.terminate(&name).await {
                tracing::warn!(%error, container = name, "failed to terminate a sandbox; retrying");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            std::future::pending::<Infallible>().await
        };
        let deadlines = ReadDeadlines { until: self.deadline, start_by };
        self.read_frames(terminate, sink, cancel, deadlines).await
    }

    /// Result of a complete log without a final frame.
    fn ending_of_complete_log(
        &self,
        forced_end: Option<ForcedEnd>,
        state: &ContainerState,
    ) -> Result<Ending, SandboxError> {
        // PID 1 exits like this only without a Go frame; without an exit code it never ran.
        let is_unused = state.exit_code.is_none_or(|code| code == i64::from(NO_REQUEST));
        if is_unused && !self.conversation.has_started() {
            return Err(SandboxError::NotStarted);
        }
        Ok(final_ending(forced_end, state.exit_code, state.out_of_memory))
    }
}

impl StreamEnd {
    /// Ending of a script that has to be killed for this reason.
    fn ending(self) -> Option<fn() -> Ending> {
        match self {
            Self::Finished | Self::Disconnected | Self::NotStarted => None,
            Self::DeadlinePassed => Some(|| Ending::Overdue),
            Self::CancelIgnored => Some(|| Ending::RemovedOnCancel),
        }
    }
}

fn final_ending(
    forced_end: Option<ForcedEnd>,
    exit_code: Option<i64>,
    out_of_memory: bool,
) -> Ending {
    match forced_end {
        Some(forced_end) => (forced_end.ending)(),
        None => Ending::Vanished { exit_code, out_of_memory },
    }
}

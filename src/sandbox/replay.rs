//! Finding a script's end in the engine's log, however the engine is.
//!
//! The log has the same bytes as the attached output, so it is read by the same
//! conversation, and what was heard before is skipped. That there is no last word in
//! it means something only when it was read after the container had ended.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use gantry_init::message::NO_REQUEST;
use tokio::time::Instant;

use super::running::{ReadOutcome, Running, StreamEnd, Times};
use super::{Cancel, SandboxError, Sink};
use crate::domain::outcome::Ending;
use crate::engine::{ContainerState, EngineError};

/// Waits between two looks at an engine that is not as it should be.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a script that may have been told to start may take until it is heard to: it
/// takes milliseconds. An engine that was killed may have left PID 1 waiting for a word
/// that nobody can say any more.
const START_WITHIN: Duration = Duration::from_secs(10);

/// How long it may take to read the log of a container that has ended. The longest, of
/// two streams and artifacts at their caps, takes a second or two.
const WHOLE_LOG: Duration = Duration::from_secs(60);

/// How long after a script's time an engine may be away before its end counts as
/// lost. Longer than any restart takes.
const OUTAGE: Duration = Duration::from_secs(10 * 60);

/// What is known of a container when its log is about to be read.
enum Look {
    /// It has ended: the log that is read now is whole.
    Ended(ContainerState),
    /// The engine does not have it any more.
    Gone,
    /// It runs, or the engine does not say.
    Unknown,
}

/// A script that does not end by itself.
#[derive(Clone, Copy)]
struct GivenUp {
    /// What it ends as, unless its log says something else.
    ending: fn() -> Ending,
    since: Instant,
}

impl Running {
    /// Reads the log until there is a last word in it, or none will come.
    pub(super) async fn find_ending_in_log(
        &mut self,
        mut silence: StreamEnd,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<Ending, SandboxError> {
        let mut given_up: Option<GivenUp> = None;
        let mut start_by = Some(Instant::now() + START_WITHIN);
        loop {
            if silence == StreamEnd::Unstarted {
                start_by = match self.dismiss().await {
                    Ok(()) => None,
                    Err(_) => Some(Instant::now() + START_WITHIN),
                };
            }
            if let Some(ending) = silence.ending() {
                given_up.get_or_insert(GivenUp { ending, since: Instant::now() });
                self.kill().await;
            }
            let look = self.look().await;
            if matches!(look, Look::Gone) {
                return Ok(concluded(given_up, None, false));
            }
            let is_over = given_up.is_some() || matches!(look, Look::Ended(_));
            silence = match self.hear_log(is_over, start_by, sink, cancel).await? {
                ReadOutcome::Ended(ending) => return Ok(ending),
                ReadOutcome::StreamEnd(silence) => silence,
            };
            if let (StreamEnd::Over, Look::Ended(state)) = (silence, &look) {
                return self.conclude(given_up, state);
            }
            if given_up.is_some_and(|it| it.since.elapsed() >= OUTAGE) {
                tracing::error!(container = self.name(), "the engine does not say how it ended");
                return Ok(concluded(None, None, false));
            }
            if silence.ending().is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Tells a PID 1 that waits for the word to start that it will not come: it says by
    /// its exit code that nothing has run.
    async fn dismiss(&mut self) -> Result<(), EngineError> {
        tracing::warn!(container = self.name(), "it was not heard to start");
        self.engine.terminate(self.name()).await
    }

    async fn kill(&mut self) {
        if let Err(error) = self.engine.kill(self.name()).await {
            tracing::warn!(%error, "a sandbox that does not end can't be killed for now");
        }
    }

    async fn look(&mut self) -> Look {
        match self.engine.inspect(self.name()).await {
            Ok(state) if !state.running => Look::Ended(state),
            Err(EngineError::NotFound { .. }) => Look::Gone,
            Ok(_) | Err(_) => Look::Unknown,
        }
    }

    /// Listens to the log, from where it was heard before. Of a script that is over, or
    /// was given up, only the end of the log is waited for.
    async fn hear_log(
        &mut self,
        is_over: bool,
        start_by: Option<Instant>,
        sink: &mut dyn Sink,
        cancel: &Cancel,
    ) -> Result<ReadOutcome, SandboxError> {
        match self.engine.replay(self.name()).await {
            Ok(output) => self.frames.replay(output),
            Err(error) => {
                tracing::warn!(%error, "the log of a running script can't be read");
                let is_overdue = !is_over && Instant::now() >= self.deadline;
                return Ok(ReadOutcome::StreamEnd(match error.is_outage() {
                    _ if is_overdue => StreamEnd::Overdue,
                    true => StreamEnd::Broken,
                    // There is none, or it is damaged.
                    false => StreamEnd::Over,
                }));
            }
        }
        if is_over {
            let times = Times { until: Instant::now() + WHOLE_LOG, start_by: None };
            return self.hear(std::future::pending(), sink, &Cancel::new(), times).await;
        }
        let (engine, name) = (Arc::clone(&self.engine), self.name().to_owned());
        let terminate = async {
            cancel.cancelled().await;
            while let Err(error) = engine.terminate(&name).await {
                tracing::warn!(%error, "a script can't be told to end for now");
                tokio::time::sleep(PAUSE).await;
            }
            std::future::pending::<Infallible>().await
        };
        let times = Times { until: self.deadline, start_by };
        self.hear(terminate, sink, cancel, times).await
    }

    /// What a whole log without a last word means.
    fn conclude(
        &self,
        given_up: Option<GivenUp>,
        state: &ContainerState,
    ) -> Result<Ending, SandboxError> {
        // Only PID 1 itself ends like this, or else it was never started.
        let is_unused = state.exit_code.is_none_or(|code| code == i64::from(NO_REQUEST));
        if is_unused && !self.conversation.has_started() {
            return Err(SandboxError::NotStarted);
        }
        Ok(concluded(given_up, state.exit_code, state.out_of_memory))
    }
}

impl StreamEnd {
    /// What a script ends as that has to be killed because of it.
    fn ending(self) -> Option<fn() -> Ending> {
        match self {
            Self::Over | Self::Broken | Self::Unstarted => None,
            Self::Overdue => Some(|| Ending::Overdue),
            Self::Disobedient => Some(|| Ending::Withdrawn),
        }
    }
}

fn concluded(given_up: Option<GivenUp>, exit_code: Option<i64>, out_of_memory: bool) -> Ending {
    match given_up {
        Some(given_up) => (given_up.ending)(),
        None => Ending::Vanished { exit_code, out_of_memory },
    }
}

//! One execution from its turn to its stored end. One task owns it all the way;
//! others ask it through its entry in the live registry.
//!
//! ```text
//! turn ─▶ image there? ─ no ─▶ set aside until it is, or can't be built
//!              │ yes
//!              ▼
//!          begin: sandbox started ─▶ claimed (running) ─▶ carry out ─▶ finish
//!              │ engine out
//!              └─▶ a pause, and again
//! ```

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;
use uuid::Uuid;

use super::Executions;
use super::begin::StartError;
use super::dispatch::Slot;
use crate::domain::outcome::{ErrorKind, Outcome};
use crate::domain::runtime::Runtime;
use crate::orchestrator::LiveExecution;
use crate::orchestrator::queue::Waiting;
use crate::sandbox::Cancel;
use crate::store::Runnable;

/// Attempts at an execution whose script has not started. The pauses between them are
/// 66 s together: so long an engine may refuse everything before anything fails. One that
/// hangs is waited for besides, each time (`engine::deadline`).
const MAX_ATTEMPTS: u32 = 12;

/// Attempts when the engine is well and sandboxes do not come up: the image or the
/// engine's runtime may be broken, and one that somebody killed is no reason to fail.
const MAX_ATTEMPTS_AT_SANDBOXES: u32 = 4;

/// How long an execution waits between two attempts, times the number of the
/// attempt that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest pause between two attempts.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// What became of an attempt.
pub(super) enum AttemptOutcome {
    /// Its end is stored, or it is not to be run any more, or not by this process.
    Over,
    /// Its image is not there.
    Unbuilt(Box<Runnable>),
    /// Its script has not started, and may yet; this is the end if it never does.
    Again(String, Outcome),
}

impl Executions {
    pub(super) async fn work(self, waiting: Waiting, slot: Slot) {
        let span = tracing::info_span!("work", execution = %waiting.id);
        async {
            let id = waiting.id;
            let live = self.inner.live.entry(id);
            // Ended by whoever cancels it, or by the server that gives it up.
            let end = live.cancel.child_token();
            {
                let attempts = self.attempts(waiting, slot, &live, &end);
                tokio::pin!(attempts);
                tokio::select! {
                    () = &mut attempts => {}
                    () = self.inner.giving_up.cancelled() => {
                        end.cancel();
                        attempts.await;
                    }
                }
            }
            self.inner.live.leave(id, live);
        }
        .instrument(span)
        .await;
    }

    /// The slot is kept between attempts: an engine that is out has no use for
    /// others.
    async fn attempts(
        &self,
        waiting: Waiting,
        slot: Slot,
        live: &Arc<LiveExecution>,
        end: &Cancel,
    ) {
        let mut number = 1;
        loop {
            let (script, outcome) = match self.attempt(waiting.id, live, end).await {
                AttemptOutcome::Over => return,
                AttemptOutcome::Unbuilt(runnable) => {
                    return self.wait_for_image(waiting, slot, &runnable, live, end).await;
                }
                AttemptOutcome::Again(script, outcome) => (script, outcome),
            };
            let is_of_engine = outcome.error_kind == Some(ErrorKind::EngineUnavailable);
            let most = if is_of_engine { MAX_ATTEMPTS } else { MAX_ATTEMPTS_AT_SANDBOXES };
            if number >= most {
                return self.end_unstarted(waiting.id, &script, outcome).await;
            }
            let reason = outcome.error_message.as_deref().unwrap_or_default();
            let pause = (PAUSE * number).min(MAX_PAUSE);
            tracing::warn!(reason, pause_ms = pause.as_millis(), "the execution is tried again");
            if !self.pauses(pause, end).await {
                return;
            }
            number += 1;
        }
    }

    /// False when it was cut short: what waits is left to the next process, or was
    /// cancelled.
    async fn pauses(&self, pause: Duration, end: &Cancel) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.inner.stopping.cancelled() => false,
            () = end.cancelled() => false,
        }
    }

    /// Waits without a slot: whoever needs no image that is being built goes on.
    async fn wait_for_image(
        &self,
        waiting: Waiting,
        slot: Slot,
        runnable: &Runnable,
        live: &LiveExecution,
        end: &Cancel,
    ) {
        let id = waiting.id;
        let (key, runtime) = needed(runnable);
        let until = key.unwrap_or(runtime.name());
        self.queue().park(waiting, until);
        drop(slot);
        let built = tokio::select! {
            built = self.inner.environments.image(key, runtime) => built,
            () = self.inner.stopping.cancelled() => return,
            () = end.cancelled() => {
                self.queue().cancel(id);
                // One that is only given up waits for the next process.
                if live.cancel.is_cancelled() {
                    let outcome = Self::cancelled_outcome();
                    self.end_unstarted(id, &runnable.script_name, outcome).await;
                }
                return;
            }
        };
        if let Err(error) = built {
            let outcome = error.outcome();
            if outcome.error_kind == Some(ErrorKind::EngineUnavailable) {
                if !error.is_of_database() {
                    self.engine_failed(&error.public_message());
                }
                tracing::warn!(?error, "its image can't be had for now");
                self.pauses(MAX_PAUSE, end).await;
            } else {
                self.queue().cancel(id);
                return self.end_unstarted(id, &runnable.script_name, outcome).await;
            }
        }
        self.queue().resume(until);
        self.inner.nudge.notify_one();
    }

    async fn attempt(&self, id: Uuid, live: &Arc<LiveExecution>, end: &Cancel) -> AttemptOutcome {
        let Some(runnable) = self.runnable(id, live).await else { return AttemptOutcome::Over };
        let (key, runtime) = needed(&runnable);
        let Some(image) = self.inner.environments.known(key, runtime) else {
            return AttemptOutcome::Unbuilt(Box::new(runnable));
        };
        match self.begin(&runnable, &image, live, end).await {
            Ok(Some(begun)) => self.run_claimed(&runnable, begun, live, end).await,
            Ok(None) => AttemptOutcome::Over,
            Err(error) => self.not_begun(runnable, &image, error, live).await,
        }
    }

    /// What is to be run, if it still is. Whether it still waits is said by its
    /// claim; to look before only spares a sandbox, so what was just stored is not
    /// read back.
    async fn runnable(&self, id: Uuid, live: &LiveExecution) -> Option<Runnable> {
        if let Some(brought) = live.take_brought() {
            return Some(*brought);
        }
        let read = || self.inner.store.runnable(id);
        match self.retry_while_unavailable("an execution is read", read).await? {
            Ok(runnable) => runnable,
            Err(error) => {
                tracing::error!(?error, "the execution can't be read");
                let outcome = Outcome::failed(ErrorKind::SandboxFailed, error.to_string());
                self.end_unstarted(id, "", outcome).await;
                None
            }
        }
    }

    async fn not_begun(
        &self,
        runnable: Runnable,
        image: &str,
        error: StartError,
        live: &LiveExecution,
    ) -> AttemptOutcome {
        if error.is_cancelled() {
            // One that is only given up waits for the next process.
            if live.cancel.is_cancelled() {
                let outcome = Self::cancelled_outcome();
                self.end_unstarted(runnable.id, &runnable.script_name, outcome).await;
            }
            return AttemptOutcome::Over;
        }
        tracing::warn!(?error, "the execution did not begin");
        if error.is_missing_image() {
            self.inner.environments.forget(image);
            self.inner.runner.forget_image(image);
        }
        let outcome = error.outcome();
        if error.is_engine_outage() {
            self.engine_failed(outcome.error_message.as_deref().unwrap_or_default());
        }
        if error.is_worth_another_attempt() {
            return AttemptOutcome::Again(runnable.script_name, outcome);
        }
        self.end_unstarted(runnable.id, &runnable.script_name, outcome).await;
        AttemptOutcome::Over
    }
}

/// What its image is of.
fn needed(runnable: &Runnable) -> (Option<&str>, Runtime) {
    (runnable.environment_key.as_deref(), runnable.definition.script_type)
}

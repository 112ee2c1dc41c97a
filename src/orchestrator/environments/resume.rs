//! Builds that nobody waits for: what a process has left unbuilt, and what an
//! outage has put off, is built all the same.

use std::time::Duration;

use tracing::Instrument;

use super::Environments;
use crate::clock;
use crate::domain::registry::{EnvironmentRecord, EnvironmentStatus};
use crate::store::StoreError;

/// Before the first look.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// Longest pause between two looks, while the engine stays out.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Silence after which a build counts as abandoned: longer than any build is silent.
const ABANDONED: chrono::TimeDelta = chrono::TimeDelta::minutes(60);

impl Environments {
    /// Has everything built that was left unbuilt when a process ended, and from
    /// then on, until this process is to end, what an outage has put off.
    pub async fn resume(&self) {
        self.activate_ready().await;
        match self.inner.store.unbuilt_environments().await {
            Ok(unbuilt) => unbuilt.iter().for_each(|it| self.request(&it.key)),
            Err(error) => tracing::warn!(%error, "unbuilt environments could not be found"),
        }
        self.inner.tasks.spawn(self.clone().look_after().in_current_span());
    }

    async fn look_after(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.inner.stop.cancelled() => return,
            }
            // Another node may have built it.
            self.activate_ready().await;
            pause = match self.resume_put_off().await {
                Ok(0) => FIRST_PAUSE,
                Ok(_) => next(pause),
                Err(error) => {
                    tracing::warn!(%error, "unbuilt environments could not be found");
                    next(pause)
                }
            };
        }
    }

    /// Has built what is queued without being on its way; answers how many those
    /// were.
    async fn resume_put_off(&self) -> Result<usize, StoreError> {
        let mut unbuilt = self.inner.store.unbuilt_environments().await?;
        unbuilt.retain(|it| is_put_off(it) && !self.inner.flights.has(&it.key));
        for environment in &unbuilt {
            tracing::info!(environment = environment.key, "the environment's build is tried again");
            self.request(&environment.key);
        }
        Ok(unbuilt.len())
    }
}

fn next(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// Another process may be building it, for an engine of its own.
fn is_put_off(environment: &EnvironmentRecord) -> bool {
    environment.status == EnvironmentStatus::Queued
        || clock::now() - environment.updated_at > ABANDONED
}

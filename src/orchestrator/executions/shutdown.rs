//! The two steps in which the service stops, and the tasks that it waits for.
//!
//! First it is **stopping**: nothing more is accepted or started, and running scripts
//! may end. Then it is **leaving**: scripts that still run go on by themselves, and the
//! next process adopts them.

use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::sandbox::Cancel;
use crate::store::StoreError;

/// Bound of the second step: as long as an engine that is unwell needs to answer.
const LEAVING_WITHIN: Duration = Duration::from_secs(20);

/// Pauses between two questions to a store that is unavailable.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The service's stop, as its parts see it.
#[derive(Clone, Default)]
pub(super) struct Shutdown {
    /// Nothing more is accepted or started.
    pub(super) stopping: Cancel,
    /// Running scripts are left to the next process, and waiting executions too.
    pub(super) leaving: Cancel,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Runs a task that the stop waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Refuses new work from now on.
    pub(super) fn begin(&self) {
        self.stopping.cancel();
        self.tasks.close();
    }

    /// Waits for the tasks, and has them leave after `at_most`. `running` counts the
    /// executions that run, for the log.
    pub(super) async fn finish(&self, at_most: Duration, running: impl Fn() -> usize) {
        if tokio::time::timeout(at_most, self.tasks.wait()).await.is_ok() {
            return;
        }
        tracing::warn!(running = running(), "running executions are left to the next process");
        self.leaving.cancel();
        if tokio::time::timeout(LEAVING_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::error!(
                running = running(),
                "executions still running after the shutdown grace"
            );
        }
    }

    /// Asks the store until it is available; `None` when this process leaves first.
    /// `goal` completes "retrying until …" in the log.
    pub(super) async fn retry_while_unavailable<T, F>(
        &self,
        goal: &str,
        mut ask: impl FnMut() -> F,
    ) -> Option<Result<T, StoreError>>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match ask().await {
                Err(error) if error.is_outage() => {
                    tracing::warn!(?error, "the database is unavailable; retrying until {goal}");
                }
                answer => return Some(answer),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                () = self.leaving.cancelled() => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage() -> StoreError {
        StoreError::Unavailable(None)
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_out_and_another_error_is_not() {
        let shutdown = Shutdown::default();
        let mut answers = vec![Ok(1), Err(outage()), Err(outage())];
        let asked = shutdown.retry_while_unavailable("it is stored", || {
            let answer = answers.pop().unwrap();
            async { answer }
        });
        assert!(matches!(asked.await, Some(Ok(1))));
        let refused = || async { Err::<(), _>(StoreError::Refused(None)) };
        let asked = shutdown.retry_while_unavailable("it is stored", refused).await;
        assert!(matches!(asked, Some(Err(StoreError::Refused(_)))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_leaves_does_not_wait_for_the_store() {
        let shutdown = Shutdown::default();
        shutdown.leaving.cancel();
        let down = || async { Err::<(), _>(outage()) };
        assert!(shutdown.retry_while_unavailable("it is stored", down).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_do_not_end_in_time_are_asked_to_leave() {
        let shutdown = Shutdown::default();
        let leaving = shutdown.leaving.clone();
        shutdown.spawn(async move { leaving.cancelled().await });
        shutdown.begin();
        assert!(shutdown.stopping.is_cancelled() && !shutdown.leaving.is_cancelled());
        shutdown.finish(Duration::from_secs(1), || 1).await;
        assert!(shutdown.leaving.is_cancelled());
    }
}

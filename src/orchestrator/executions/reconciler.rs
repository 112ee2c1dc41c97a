//! Bringing the store, the engine and this process into step. Its jobs take no input
//! and are idempotent: run twice, each does nothing more than once. They run at the
//! start, periodically, and when something nudges them, so a failure is repaired by the
//! same code that runs all the time.
//!
//! | job | period | nudged by |
//! |---|---|---|
//! | [`Adopter`]: running executions that lack a task are adopted | 10 s | |
//! | [`OrphanRemover`]: containers that nobody uses are removed | 10 s | |
//! | [`PendingFinder`]: stored executions that wait are queued | 10 s | |
//! | [`Prewarm`]: the pool holds what scripts ask for | 10 s | a changed script or image |
//! | [`EngineWatch`]: a broken engine is tried | 0.5 to 10 s | a failed start |
//! | [`Retention`]: old executions are deleted | 600 s | |
//!
//! It never touches what another installation, or a living process of this one, has
//! made.

mod adopter;
mod engine_watch;
mod orphan_remover;
mod pending_finder;
mod prewarm;
mod reading_schedule;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::settings::ExecutionsSettings;
use super::task::TaskContext;
use crate::store::Store;
use adopter::Adopter;
use engine_watch::EngineWatch;
use orphan_remover::OrphanRemover;
use pending_finder::PendingFinder;
use prewarm::Prewarm;
use retention::Retention;

/// Period of the jobs that look for what nobody reports: executions that another
/// process has accepted or could not give back, and containers that were left.
const PERIOD: Duration = Duration::from_secs(10);

/// Starts the background work.
pub(super) fn start(
    store: &Store,
    settings: &ExecutionsSettings,
    context: &Arc<TaskContext>,
    scripts_changed: Arc<Notify>,
) -> oneshot::Receiver<()> {
    let TaskContext { shutdown, runner, environments, .. } = &**context;
    let stopping = || shutdown.stopping.clone();
    let (recovered, has_recovered) = oneshot::channel();
    let reconciler = Reconciler {
        adopter: Adopter::new(store.clone(), settings.node.clone(), Arc::clone(context)),
        orphans: OrphanRemover::new(runner.clone(), settings.data_dir.clone()),
        pending: PendingFinder::new(store.clone(), Arc::clone(&context.queue)),
        context: Arc::clone(context),
    };
    shutdown.spawn(reconciler.run(recovered));
    if let Some(kept) = settings.retention {
        let artifacts = Arc::clone(&context.artifacts);
        shutdown.spawn(Retention::new(store.clone(), artifacts, kept, stopping()).run());
    }
    let prewarm = Prewarm::new(
        store.clone(),
        runner.clone(),
        environments.clone(),
        Arc::clone(&context.jobs),
        scripts_changed,
        stopping(),
    );
    shutdown.spawn(prewarm.run());
    let gate = Arc::clone(&context.engine);
    let watch = EngineWatch::new(gate, environments.clone(), runner.clone(), stopping());
    shutdown.spawn(watch.run());
    has_recovered
}

/// Reconciles executions and containers.
struct Reconciler {
    adopter: Adopter,
    orphans: OrphanRemover,
    pending: PendingFinder,
    context: Arc<TaskContext>,
}

impl Reconciler {
    /// Reconciles until the service stops. At the start it says when executions of an
    /// earlier process are `recovered`.
    async fn run(self, recovered: oneshot::Sender<()>) {
        self.recover().await;
        self.context.environments.resume().await;
        self.pending.find().await;
        // A dispatcher that has stopped needs no answer.
        let _ = recovered.send(());
        let stopping = &self.context.shutdown.stopping;
        let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {
                    self.pending.find().await;
                    self.reconcile().await;
                }
            }
        }
    }

    /// The first time: executions of an earlier process go on before anything new
    /// starts, and no container of theirs is removed.
    async fn recover(&self) {
        let adopt = || self.adopter.take_over();
        let goal = "the executions of an earlier process are adopted";
        match self.context.shutdown.retry_while_unavailable(goal, adopt).await {
            None => {}
            Some(Ok(taken)) => self.orphans.remove(&taken).await,
            Some(Err(error)) => {
                tracing::error!(?error, "the executions of an earlier process can't be read");
            }
        }
    }

    /// Every other time.
    async fn reconcile(&self) {
        match self.adopter.adopt_all().await {
            Ok(taken) => self.orphans.remove(&taken).await,
            // Containers are not judged without them.
            Err(error) => tracing::warn!(?error, "this node's running executions can't be read"),
        }
    }
}

//! All that it takes to run one script in every way.

use gantry::sandbox::Sandbox;

use super::POOL;
use super::way::{WAYS, Way};
use crate::harness::host::Host;
use crate::harness::served::{AFTERMATH, Ran, Served};
use crate::harness::server::Database;
use crate::harness::subject::{Subject, Task};
use crate::harness::workload::Workload;
use crate::harness::{docker_cli, floor};
use crate::{Failure, timed};

pub(crate) struct Bed<'a> {
    pub(crate) task: Task,
    subject: &'a Subject,
    host: &'a Host,
    warm: Served,
    not_preloaded: Option<Served>,
    cold: Served,
}

impl<'a> Bed<'a> {
    pub(crate) async fn start(
        subject: &'a Subject,
        host: &'a Host,
        workload: &'static Workload,
    ) -> Result<Self, Failure> {
        let task = subject.task(workload).await?;
        let sqlite = Database::Sqlite;
        let not_preloaded = match Way::NotPreloaded.is_known(workload) {
            true => Some(Served::start(&sqlite, workload, POOL, &[("preload", false)]).await?),
            false => None,
        };
        Ok(Self {
            task,
            subject,
            host,
            warm: Served::start(&sqlite, workload, POOL, &[]).await?,
            not_preloaded,
            cold: Served::start(&sqlite, workload, 0, &[]).await?,
        })
    }

    /// The ways that are possible here.
    pub(crate) fn ways(&self) -> impl Iterator<Item = Way> {
        let workload = self.task.workload;
        let has_host = self.host.obstacle(workload).is_none();
        WAYS.into_iter()
            .filter(|way| way.is_known(workload))
            .filter(move |way| *way != Way::ForkExec || has_host)
    }

    /// The server with a pool that this way goes through.
    fn pooled(&self, way: Way) -> Option<&Served> {
        match way {
            Way::Warm => Some(&self.warm),
            Way::NotPreloaded => self.not_preloaded.as_ref(),
            _ => None,
        }
    }

    /// Waits until nothing is left of what ran before, and so many sandboxes wait for
    /// what runs next.
    pub(crate) async fn settle(&self, next: Way, at_least: usize) -> Result<(), Failure> {
        self.subject.settle().await;
        self.cold.settle(0).await?;
        for way in [Way::Warm, Way::NotPreloaded] {
            if let Some(served) = self.pooled(way) {
                served.settle(if way == next { at_least } else { 0 }).await?;
            }
        }
        tokio::time::sleep(AFTERMATH).await;
        Ok(())
    }

    /// Sees to it that so many sandboxes wait in this way, if it has a pool.
    pub(crate) async fn bring_up(&self, way: Way, count: usize) -> Result<(), Failure> {
        match self.pooled(way) {
            Some(served) => served.bring_up(count).await,
            None => Ok(()),
        }
    }

    /// Waits until no container is left of what was executed in this way.
    pub(crate) async fn used_are_gone(&self, way: Way) -> Result<(), Failure> {
        match (way, self.pooled(way)) {
            (_, Some(served)) => served.used_are_gone().await,
            (Way::Cold, _) => self.cold.used_are_gone().await,
            _ => {
                self.subject.settle().await;
                Ok(())
            }
        }
    }

    /// A sandbox that waits, where the engine layer is to have one.
    pub(crate) async fn prepare(&self, way: Way) -> Result<Option<Sandbox>, Failure> {
        match way {
            Way::WarmEngine => {
                let sandbox = self.subject.prepare(&self.task).await?;
                tokio::time::sleep(AFTERMATH).await;
                Ok(Some(sandbox))
            }
            _ => Ok(None),
        }
    }

    /// One execution.
    pub(crate) async fn execute(&self, way: Way, ready: Option<Sandbox>) -> Result<Ran, Failure> {
        let warm = ready.is_some();
        let took = match (way, ready) {
            (Way::Cold, _) => return self.cold.execute().await,
            (Way::Floor, _) => timed(floor::execute(&self.task)).await?,
            (Way::DockerRun, _) => timed(docker_cli::execute(&self.task)).await?,
            (Way::ForkExec, _) => self.host.execute(self.task.workload).await?,
            (_, Some(sandbox)) => timed(self.subject.run(sandbox, &self.task)).await?,
            (_, None) => match self.pooled(way) {
                Some(served) => return served.execute().await,
                None => timed(self.subject.execute(&self.task)).await?,
            },
        };
        Ok(Ran { took, warm })
    }

    pub(crate) async fn stop(self) -> Result<(), Failure> {
        for served in [Some(self.warm), self.not_preloaded, Some(self.cold)].into_iter().flatten() {
            served.stop().await?;
        }
        self.subject.forget(self.task).await
    }
}

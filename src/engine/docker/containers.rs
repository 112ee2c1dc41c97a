//! The lifecycle of containers on a real engine.

use std::time::Duration;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, KillContainerOptionsBuilder,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures::{StreamExt, stream};
use tokio::sync::SemaphorePermit;

use super::error::is_already_done;
use super::{Docker, confinement, hardening};
use crate::domain::confinement::Confinement;
use crate::domain::mount::Mount;
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::SandboxSpec;
use crate::engine::deadline::{self, within};
use crate::engine::{
    Attached, ContainerState, Engine, EngineError, LABEL_INSTALLATION, Labels, ListedContainer,
    NewContainer, OutputChunk, OutputStream, Verb,
};

#[async_trait]
impl Engine for Docker {
    async fn create(&self, container: &NewContainer) -> Result<(), EngineError> {
        let options = CreateContainerOptionsBuilder::default().name(&container.name).build();
        let (user, labels) = self.user_for(container).await?;
        let own = self.own_mounts(&container.name, &container.spec);
        let body = hardening::container_body(&container.spec, user, &labels, &own);
        within(Verb::Create, deadline::CREATE, async {
            let _slot = self.start_slot().await;
            let created = self.client.create_container(Some(options), body).await;
            let answer = created.map_err(|error| self.error(Verb::Create, error))?;
            // An engine that can't set a limit only warns and creates the container
            // without it.
            if answer.warnings.is_empty() { Ok(()) } else { self.check_limits().await }
        })
        .await
    }

    fn requested_confinement(&self, name: &str, spec: &SandboxSpec) -> Confinement {
        let own = self.own_mounts(name, spec);
        confinement::requested_confinement(spec, self.users.user_of(name, spec), &own)
    }

    async fn attach(&self, name: &str) -> Result<Attached, EngineError> {
        let options = AttachContainerOptionsBuilder::default()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let attached = within(Verb::Attach, deadline::ATTACH, async {
            let attaching = self.client.attach_container(name, Some(options)).await;
            attaching.map_err(|error| self.error(Verb::Attach, error))
        })
        .await?;
        let docker = self.clone();
        let output = attached.output.map(move |piece| docker.printed(Verb::Attach, piece));
        Ok(Attached { input: attached.input, output: output.boxed() })
    }

    async fn start(&self, name: &str) -> Result<(), EngineError> {
        // The wait for a slot counts: behind starts that hang, this start hangs as well.
        let started = within(Verb::Start, self.start_within, async {
            let _slot = self.start_slot().await;
            let starting = self.client.start_container(name, None).await;
            starting.map_err(|error| self.error(Verb::Start, error))
        })
        .await;
        match started {
            Err(EngineError::TimedOut { after, .. }) if self.describe().await.is_ok() => {
                Err(EngineError::Wedged { after })
            }
            other => other,
        }
    }

    async fn wait(&self, name: &str) -> Result<i64, EngineError> {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        within(Verb::Wait, deadline::WAIT, async {
            match self.client.wait_container(name, Some(options)).next().await {
                Some(Ok(answer)) => Ok(answer.status_code),
                // Any exit code but 0 is an error to bollard.
                Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
                Some(Err(error)) => Err(self.error(Verb::Wait, error)),
                None => Err(EngineError::Answer {
                    verb: Verb::Wait,
                    message: "the connection ended before the answer".to_owned(),
                }),
            }
        })
        .await
    }

    async fn inspect(&self, name: &str) -> Result<ContainerState, EngineError> {
        within(Verb::Inspect, deadline::INSPECT, async {
            let inspected = self.client.inspect_container(name, None).await;
            let inspected = inspected.map_err(|error| self.error(Verb::Inspect, error))?;
            let state = inspected.state.unwrap_or_default();
            let labels = inspected.config.and_then(|it| it.labels);
            let running = state.running.unwrap_or_default();
            // A container that was never started has exit code 0 as well.
            let ended = !running && state.finished_at.is_some_and(|at| !at.starts_with("0001-"));
            Ok(ContainerState {
                running,
                exit_code: state.exit_code.filter(|_| ended),
                out_of_memory: state.oom_killed.unwrap_or_default(),
                error: state.error.unwrap_or_default(),
                installation: labels.and_then(|mut it| it.remove(LABEL_INSTALLATION)),
            })
        })
        .await
    }

    async fn replay(&self, name: &str) -> Result<OutputStream, EngineError> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        let mut log = self.client.logs(name, Some(options));
        // PID 1's Hello comes first; it shows whether the engine has a log at all.
        let first = within(Verb::Replay, deadline::REPLAY, async { Ok(log.next().await) }).await?;
        let first = first.map(|piece| self.printed(Verb::Replay, piece)).transpose()?;
        let docker = self.clone();
        let rest = log.map(move |piece| docker.printed(Verb::Replay, piece));
        Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
    }

    async fn terminate(&self, name: &str) -> Result<(), EngineError> {
        self.signal(Verb::Terminate, deadline::TERMINATE, name, "TERM").await
    }

    async fn confinement(&self, name: &str) -> Result<Confinement, EngineError> {
        within(Verb::InspectConfinement, deadline::INSPECT, async {
            let inspected = self.client.inspect_container(name, None).await;
            let inspected =
                inspected.map_err(|error| self.error(Verb::InspectConfinement, error))?;
            // Those that a container does not have are not found in it.
            let own = self
                .folders
                .as_ref()
                .map(|it| it.mounts(name, RunFolder::Scratch { disk_bytes: 0 }));
            Ok(confinement::reported_confinement(inspected, &own.unwrap_or_default()))
        })
        .await
    }

    async fn kill(&self, name: &str) -> Result<(), EngineError> {
        self.signal(Verb::Kill, deadline::KILL, name, "KILL").await
    }

    async fn remove(&self, name: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = within(Verb::Remove, deadline::REMOVE, async {
            let removing = self.client.remove_container(name, Some(options)).await;
            removing.map_err(|error| self.error(Verb::Remove, error))
        })
        .await;
        match removed {
            Err(EngineError::NotFound { .. }) => {}
            // "Removal in progress": another call removes it; wait until it is gone.
            Err(error) if is_already_done(&error) => self.await_removal(name, error).await?,
            other => other?,
        }
        self.users.release(name);
        Ok(())
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<ListedContainer>, EngineError> {
        let wanted = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let filters = std::collections::HashMap::from([("label".to_owned(), wanted)]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        within(Verb::List, deadline::LIST, async {
            let listed = self.client.list_containers(Some(options)).await;
            let containers = listed.map_err(|error| self.error(Verb::List, error))?;
            Ok(containers.into_iter().map(listed_container).collect())
        })
        .await
    }
}

impl Docker {
    /// Parts of a container's own folder that it sees.
    fn own_mounts(&self, name: &str, spec: &SandboxSpec) -> Vec<Mount> {
        self.folders.as_ref().map(|it| it.mounts(name, spec.folder)).unwrap_or_default()
    }

    /// Converts a chunk of output.
    fn printed(
        &self,
        verb: Verb,
        piece: Result<LogOutput, Error>,
    ) -> Result<OutputChunk, EngineError> {
        match piece {
            Ok(LogOutput::StdOut { message }) => Ok(OutputChunk::Stdout(message)),
            Ok(LogOutput::StdErr { message }) => Ok(OutputChunk::Stderr(message)),
            // bollard reports a frame cut by the end of the connection as Console; its
            // stream is unknown.
            Ok(LogOutput::StdIn { .. } | LogOutput::Console { .. }) => Err(EngineError::Answer {
                verb,
                message: "the output ended within a chunk".to_owned(),
            }),
            Err(error) => Err(self.error(verb, error)),
        }
    }

    /// Sends a signal to PID 1. Succeeds if it has exited or does not exist.
    async fn signal(
        &self,
        verb: Verb,
        limit: Duration,
        name: &str,
        signal: &str,
    ) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        let signalled = within(verb, limit, async {
            let signalling = self.client.kill_container(name, Some(options)).await;
            signalling.map_err(|error| self.error(verb, error))
        })
        .await;
        signalled.or_else(|error| if is_already_done(&error) { Ok(()) } else { Err(error) })
    }

    /// Waits for a slot for a create or start. The semaphore is never closed, so there
    /// always comes one.
    async fn start_slot(&self) -> Option<SemaphorePermit<'_>> {
        self.starts.acquire().await.ok()
    }

    /// Fails if the engine can't enforce a limit. Swap accounting may be missing: the
    /// sandbox's memory is limited all the same.
    async fn check_limits(&self) -> Result<(), EngineError> {
        let mut missing = self.describe().await?.missing_limits;
        missing.retain(|name| *name != "swap");
        if missing.is_empty() { Ok(()) } else { Err(EngineError::NoLimits { missing }) }
    }

    async fn await_removal(&self, name: &str, refusal: EngineError) -> Result<(), EngineError> {
        let options = WaitContainerOptionsBuilder::default().condition("removed").build();
        let gone = within(Verb::Remove, deadline::REMOVE, async {
            self.client.wait_container(name, Some(options)).next().await;
            Ok(())
        })
        .await;
        match (gone, self.inspect(name).await) {
            (_, Err(EngineError::NotFound { .. })) => Ok(()),
            (Err(late), _) => Err(late),
            (Ok(()), _) => Err(refusal),
        }
    }
}

fn listed_container(summary: bollard::models::ContainerSummary) -> ListedContainer {
    use bollard::models::ContainerSummaryStateEnum::{PAUSED, RESTARTING, RUNNING};
    let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    ListedContainer {
        name: name.trim_start_matches('/').to_owned(),
        running: matches!(summary.state, Some(RUNNING | PAUSED | RESTARTING)),
        labels: summary.labels.unwrap_or_default().into_iter().collect(),
        created: summary.created.unwrap_or_default(),
    }
}

//! A server's reconciliation as seen from outside: containers in use, unused containers,
//! and executions without one. The actions taken here are only removals, and only those
//! that no living process is about to do itself.

use serde::Serialize;
use uuid::Uuid;

use super::database;
use crate::clock;
use crate::config::{DatabaseSettings, Settings};
use crate::engine::{Engine, EngineError, LABEL_PROCESS, LABEL_ROLE, ListedContainer};
use crate::orchestrator::{ReconcileContext, find_orphans};
use crate::pool::UNUSED;
use crate::process;
use crate::services::Services;
use crate::store::{RunningContainer, StoreError};

/// An action, and who takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is in use, or about to be: nothing.
    Keep,
    /// Unused: `gantry doctor --reconcile`, or a server, removes it.
    Remove,
    /// Its execution is running and its server is gone: the next server adopts it.
    Adopt,
    /// An execution without a container: a server ends it as lost.
    End,
}

/// One container, or an execution that has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The action.
    pub action: Action,
    /// The container's name.
    pub container: Option<String>,
    /// The execution that it belongs to, as far as the database knows.
    pub execution: Option<Uuid>,
    /// The reason.
    pub reason: &'static str,
}

/// Errors that prevent a plan.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The engine does not say what there is.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The database can't list the running executions, and so nothing may be removed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting that can't be used.
    #[error("{0}")]
    Setting(String),
}

impl ReconcileError {
    /// Advice about what to do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Setting(_) => None,
        }
    }
}

/// Plans the reconciliation of this installation's containers and running executions.
///
/// # Errors
/// [`ReconcileError`] when one of them does not answer.
pub async fn plan(
    services: &Services,
    settings: &Settings,
    database: &DatabaseSettings,
) -> Result<Vec<Step>, ReconcileError> {
    let data_dir = settings.data_dir().map_err(ReconcileError::Setting)?;
    // Read before the containers: an execution that starts later gets its container
    // later.
    let begun = database::begun(settings, database).await?;
    let listed = services.docker.list(&services.library.installation_labels()).await?;
    let is_alive = |process: &str| process::is_alive(&data_dir, process);
    let of = |name: &str| begun.iter().find(|it| it.container.as_deref() == Some(name));
    let known = ReconcileContext {
        this_process: services.process.id(),
        is_alive: &is_alive,
        is_used: &|name| of(name).is_some(),
        now: clock::now(),
    };
    let left = find_orphans(&listed, &known);
    let step = |container: &ListedContainer| {
        let process = container.labels.get(LABEL_PROCESS);
        let lives = process.is_some_and(|process| is_alive(process));
        let (action, reason) = match (of(&container.name), lives) {
            (Some(_), true) => (Action::Keep, "its execution runs"),
            (Some(_), false) => (Action::Adopt, "the next server goes on with it"),
            (None, _) if left.contains(&container) => (Action::Remove, "who made it is gone"),
            (None, _) if is_unused(container) => (Action::Keep, "it waits in the pool"),
            (None, _) => (Action::Keep, "who made it lives"),
        };
        let execution = of(&container.name).map(|it| it.id);
        Step { action, container: Some(container.name.clone()), execution, reason }
    };
    let has_none = |it: &&RunningContainer| {
        !listed.iter().any(|container| Some(container.name.as_str()) == it.container.as_deref())
    };
    let lost = begun.iter().filter(has_none).map(|it| Step {
        action: Action::End,
        container: it.container.clone(),
        execution: Some(it.id),
        reason: "its container is gone, on another machine, or another installation's: its \
                 server ends it",
    });
    Ok(listed.iter().map(step).chain(lost).collect())
}

/// Removes unused containers; everything else is left to a server. The containers are
/// gone when the remover is drained.
pub fn remove(services: &Services, steps: &[Step]) {
    let to_remove = steps.iter().filter(|it| it.action == Action::Remove);
    for container in to_remove.filter_map(|it| it.container.clone()) {
        services.remover.remove(container);
    }
}

fn is_unused(container: &ListedContainer) -> bool {
    container.labels.get(LABEL_ROLE).is_some_and(|role| role == UNUSED)
}

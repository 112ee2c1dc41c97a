//! Containers of a [`Fake`](super::Fake) and their states.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::program::{Ended, Program};
use super::stdio::{Journal, Stdio, pipes};
use super::{Attached, ContainerState, EngineError, IMAGE, Labels, ListedContainer, NewContainer};
use crate::domain::confinement::Confinement;
use crate::domain::user::User;
use crate::engine::docker::requested_confinement;
use crate::engine::{LABEL_INSTALLATION, OutputStream, Verb};

/// State of a container's process.
#[derive(Debug, Clone, Copy)]
pub(super) enum Life {
    Created,
    Running,
    Ended(Ended),
}

impl Life {
    pub(super) fn exit_code(self) -> Option<i64> {
        match self {
            Self::Ended(ended) => Some(ended.exit_code),
            Self::Created | Self::Running => None,
        }
    }
}

/// True once the container's process has ended.
pub(super) fn has_ended(life: &Life) -> bool {
    matches!(life, Life::Ended(_))
}

struct Container {
    labels: Labels,
    confinement: Confinement,
    created: i64,
    life: Arc<watch::Sender<Life>>,
    killed: CancellationToken,
    terminated: CancellationToken,
    journal: Journal,
    /// Container's side of its stdio, until it is started.
    inside: Option<Stdio>,
    /// Client's side of the stdio, until a client attaches.
    outside: Option<Attached>,
}

/// All containers of one engine.
pub(super) struct World {
    program: Program,
    containers: BTreeMap<String, Container>,
    created: i64,
    /// Change to the requested confinement, if any.
    pub(super) weakening: Option<fn(&mut Confinement)>,
    pub(super) violations: Vec<String>,
}

impl World {
    pub(super) fn new(program: Program) -> Self {
        Self {
            program,
            containers: BTreeMap::new(),
            created: 0,
            weakening: None,
            violations: Vec::new(),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.containers.keys().cloned().collect()
    }

    pub(super) fn create(&mut self, new: NewContainer) -> Result<(), EngineError> {
        if new.spec.image != IMAGE {
            return Err(not_found(Verb::Create, "image", &new.spec.image));
        }
        if self.containers.contains_key(&new.name) {
            let message = format!("the name {:?} is in use", new.name);
            return Err(EngineError::Refused { verb: Verb::Create, status: 409, message });
        }
        let journal = Journal::default();
        let (inside, outside) = pipes(journal.clone());
        let mut confinement = requested_confinement(&new.spec, User::SHARED, &[]);
        if let Some(weaken) = self.weakening {
            weaken(&mut confinement);
        }
        self.created += 1;
        let container = Container {
            labels: new.labels,
            confinement,
            created: self.created,
            life: Arc::new(watch::Sender::new(Life::Created)),
            killed: CancellationToken::new(),
            terminated: inside.terminated(),
            journal,
            inside: Some(inside),
            outside: Some(outside),
        };
        self.containers.insert(new.name, container);
        Ok(())
    }

    pub(super) fn attach(&mut self, name: &str) -> Result<Attached, EngineError> {
        let container = self.container(Verb::Attach, name)?;
        let is_late = container.inside.is_none();
        let outside = container.outside.take();
        if is_late {
            self.violations.push(format!("{name} was attached to after its start"));
        }
        outside.ok_or_else(|| {
            self.violations.push(format!("{name} was attached to twice"));
            refused(Verb::Attach)
        })
    }

    pub(super) fn start(&mut self, name: &str) -> Result<(), EngineError> {
        let program = Arc::clone(&self.program);
        let container = self.container(Verb::Start, name)?;
        let is_attached = container.outside.is_none();
        let Some(inside) = container.inside.take() else {
            let life = *container.life.borrow();
            self.violations.push(format!("{name} was started again when it was {life:?}"));
            return Err(refused(Verb::Start));
        };
        container.life.send_replace(Life::Running);
        let (life, killed) = (Arc::clone(&container.life), container.killed.clone());
        tokio::spawn(async move {
            let ended = tokio::select! {
                biased;
                () = killed.cancelled() => Ended::KILLED,
                ended = program(inside) => ended,
            };
            life.send_replace(Life::Ended(ended));
        });
        if !is_attached {
            self.violations.push(format!("{name} was started before anybody attached"));
        }
        Ok(())
    }

    pub(super) fn watch(&mut self, name: &str) -> Result<watch::Receiver<Life>, EngineError> {
        self.container(Verb::Wait, name).map(|container| container.life.subscribe())
    }

    pub(super) fn inspect(&mut self, name: &str) -> Result<ContainerState, EngineError> {
        let container = self.container(Verb::Inspect, name)?;
        let life = *container.life.borrow();
        Ok(ContainerState {
            running: matches!(life, Life::Running),
            exit_code: life.exit_code(),
            out_of_memory: matches!(life, Life::Ended(Ended { out_of_memory: true, .. })),
            error: String::new(),
            installation: container.labels.get(LABEL_INSTALLATION).cloned(),
        })
    }

    pub(super) fn replay(&mut self, name: &str) -> Result<OutputStream, EngineError> {
        let container = self.container(Verb::Replay, name)?;
        Ok(container.journal.replay(container.life.subscribe()))
    }

    pub(super) fn terminate(&mut self, name: &str) {
        if let Some(container) = self.containers.get(name) {
            container.terminated.cancel();
        }
    }

    pub(super) fn confinement(&mut self, name: &str) -> Result<Confinement, EngineError> {
        self.container(Verb::InspectConfinement, name)
            .map(|container| container.confinement.clone())
    }

    /// Kills a running container; does nothing to others.
    pub(super) fn kill(&mut self, name: &str) {
        let running = self.containers.get(name).filter(|container| container.inside.is_none());
        if let Some(container) = running {
            container.killed.cancel();
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.kill(name);
        self.containers.remove(name);
    }

    pub(super) fn list(&self, labels: &Labels) -> Vec<ListedContainer> {
        let has_all = |container: &Container| {
            labels.iter().all(|(name, value)| container.labels.get(name) == Some(value))
        };
        let found = self.containers.iter().filter(|(_, container)| has_all(container));
        found
            .map(|(name, container)| ListedContainer {
                name: name.clone(),
                running: matches!(*container.life.borrow(), Life::Running),
                labels: container.labels.clone(),
                created: container.created,
            })
            .collect()
    }

    fn container(&mut self, verb: Verb, name: &str) -> Result<&mut Container, EngineError> {
        self.containers.get_mut(name).ok_or_else(|| not_found(verb, "container", name))
    }
}

pub(super) fn not_found(verb: Verb, what: &str, name: &str) -> EngineError {
    EngineError::NotFound { verb, message: format!("no such {what}: {name}") }
}

fn refused(verb: Verb) -> EngineError {
    EngineError::Refused { verb, status: 304, message: "not modified".to_owned() }
}

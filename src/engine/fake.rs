//! An engine in memory that fails on command.
//!
//! A [`Fake`] has one image. A [`Program`] runs in its containers in place of PID 1 and
//! communicates over pipes. [`Fault`]s are queued per verb, and each is used by one call.
//! As with a real engine, a call that was sent takes effect even if its caller stops
//! waiting. A call without an answer ends at its deadline, which takes no time under
//! tokio's paused clock.
//!
//! Violations of the [contract](super) are recorded and fail the test when the fake is
//! dropped: a second start, a start before attaching, a late or second attach.

pub(crate) mod program;
mod stdio;
mod tests;
mod world;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

pub(crate) use program::{Ended, Program};
pub(crate) use stdio::RUNS_ON;

use super::deadline::{self, within};
use super::docker::requested_confinement;
use super::{
    Attached, ContainerState, Engine, EngineError, Labels, ListedContainer, NewContainer,
    OutputStream, Verb,
};
use crate::domain::confinement::Confinement;
use crate::domain::sandbox_spec::SandboxSpec;
use crate::domain::user::User;
use world::{World, has_ended, not_found};

/// Id of the only image.
pub(crate) const IMAGE: &str = "sha256:fake";

/// Fault in one call.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The call returns this error and has no effect.
    Error(EngineError),
    /// The call takes effect but returns this error.
    LostAnswer(EngineError),
    /// The call has no effect and never returns.
    Hang,
    /// The call takes effect and never returns.
    HangAfter,
    /// The call takes effect after this time, even if the caller has stopped waiting.
    Late(Duration),
    /// The container is removed at that moment.
    Vanish,
    /// The call takes effect, and the container's process is killed at that moment.
    Die,
}

/// An engine in memory.
pub(crate) struct Fake {
    world: Arc<Mutex<World>>,
    faults: Mutex<HashMap<Verb, VecDeque<Fault>>>,
    calls: Mutex<Vec<(Verb, String)>>,
}

impl Fake {
    /// Creates an engine whose containers run `program`.
    pub(crate) fn running(program: Program) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::new(Mutex::new(World::new(program))),
            faults: Mutex::default(),
            calls: Mutex::default(),
        })
    }

    /// Queues a fault for a call of `verb`, after those that are queued already.
    pub(crate) fn inject(&self, verb: Verb, fault: Fault) {
        self.faults.lock().unwrap().entry(verb).or_default().push_back(fault);
    }

    /// Weakens the confinement of all containers that are created from now on.
    pub(crate) fn weaken_confinement(&self, how: fn(&mut Confinement)) {
        self.world().weakening = Some(how);
    }

    /// Names of all containers.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.world().names()
    }

    /// Number of calls of a verb.
    pub(crate) fn calls(&self, verb: Verb) -> usize {
        self.calls.lock().unwrap().iter().filter(|(called, _)| *called == verb).count()
    }

    /// Takes the violations of the contract recorded so far.
    pub(crate) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.world().violations)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Sends a call to the engine and waits for its answer, for at most `limit`.
    async fn call<T: Send + 'static>(
        &self,
        verb: Verb,
        limit: Duration,
        name: &str,
        effect: impl FnOnce(&mut World, &str) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        self.calls.lock().unwrap().push((verb, name.to_owned()));
        let fault = self.faults.lock().unwrap().get_mut(&verb).and_then(VecDeque::pop_front);
        let (world, name) = (Arc::clone(&self.world), name.to_owned());
        let answer_task = tokio::spawn(async move {
            // Models the way to the engine.
            tokio::task::yield_now().await;
            let answer = apply(&world, verb, fault, |world| effect(world, &name), &name).await;
            // Models the way back.
            tokio::task::yield_now().await;
            answer
        });
        within(verb, limit, async { answer_task.await.unwrap() }).await
    }
}

async fn apply<T>(
    world: &Mutex<World>,
    verb: Verb,
    fault: Option<Fault>,
    effect: impl FnOnce(&mut World) -> Result<T, EngineError>,
    name: &str,
) -> Result<T, EngineError> {
    let locked = || world.lock().unwrap();
    match fault {
        None => effect(&mut locked()),
        Some(Fault::Error(error)) => Err(error),
        Some(Fault::LostAnswer(error)) => effect(&mut locked()).and(Err(error)),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::HangAfter) => {
            let _ = effect(&mut locked());
            std::future::pending().await
        }
        Some(Fault::Late(delay)) => {
            tokio::time::sleep(delay).await;
            effect(&mut locked())
        }
        // Only an existing container can vanish.
        Some(Fault::Vanish) if verb == Verb::Create => {
            let answer = effect(&mut locked());
            locked().remove(name);
            answer
        }
        Some(Fault::Vanish) => {
            locked().remove(name);
            effect(&mut locked())
        }
        Some(Fault::Die) => {
            let answer = effect(&mut locked());
            locked().kill(name);
            answer
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.take_violations(), Vec::<String>::new(), "violations of the contract");
        }
    }
}

#[async_trait]
impl Engine for Fake {
    async fn create(&self, container: &NewContainer) -> Result<(), EngineError> {
        let new = container.clone();
        let effect = move |world: &mut World, _: &str| world.create(new);
        self.call(Verb::Create, deadline::CREATE, &container.name, effect).await
    }

    async fn attach(&self, name: &str) -> Result<Attached, EngineError> {
        self.call(Verb::Attach, deadline::ATTACH, name, World::attach).await
    }

    async fn start(&self, name: &str) -> Result<(), EngineError> {
        self.call(Verb::Start, deadline::START, name, World::start).await
    }

    async fn wait(&self, name: &str) -> Result<i64, EngineError> {
        within(Verb::Wait, deadline::WAIT, async {
            let mut life = self.call(Verb::Wait, deadline::WAIT, name, World::watch).await?;
            match life.wait_for(has_ended).await {
                Ok(life) => Ok(life.exit_code().unwrap()),
                // It was removed before it was started.
                Err(_) => Err(not_found(Verb::Wait, "container", name)),
            }
        })
        .await
    }

    async fn inspect(&self, name: &str) -> Result<ContainerState, EngineError> {
        self.call(Verb::Inspect, deadline::INSPECT, name, World::inspect).await
    }

    async fn replay(&self, name: &str) -> Result<OutputStream, EngineError> {
        self.call(Verb::Replay, deadline::REPLAY, name, World::replay).await
    }

    async fn terminate(&self, name: &str) -> Result<(), EngineError> {
        let effect = |world: &mut World, name: &str| {
            world.terminate(name);
            Ok(())
        };
        self.call(Verb::Terminate, deadline::TERMINATE, name, effect).await
    }

    fn requested_confinement(&self, _name: &str, spec: &SandboxSpec) -> Confinement {
        requested_confinement(spec, User::SHARED, &[])
    }

    async fn confinement(&self, name: &str) -> Result<Confinement, EngineError> {
        self.call(Verb::InspectConfinement, deadline::INSPECT, name, World::confinement).await
    }

    async fn kill(&self, name: &str) -> Result<(), EngineError> {
        let effect = |world: &mut World, name: &str| {
            world.kill(name);
            Ok(())
        };
        self.call(Verb::Kill, deadline::KILL, name, effect).await
    }

    async fn remove(&self, name: &str) -> Result<(), EngineError> {
        let effect = |world: &mut World, name: &str| {
            world.remove(name);
            Ok(())
        };
        self.call(Verb::Remove, deadline::REMOVE, name, effect).await
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<ListedContainer>, EngineError> {
        let labels = labels.clone();
        let effect = move |world: &mut World, _: &str| Ok(world.list(&labels));
        self.call(Verb::List, deadline::LIST, "", effect).await
    }
}

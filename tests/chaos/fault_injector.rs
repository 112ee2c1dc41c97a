//! Breaks things, one after the other, in the order that the seed says. Two of
//! them work at the same time: one on the server's process, one on what it stands
//! on. So faults meet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use rustix::process::Signal;

use crate::disk::Disk;
use crate::faults::{Fault, Injected};
use crate::plan::Deck;
use crate::proxy::{Proxy, Traffic};
use crate::testkit::private_engine::PrivateEngine;
use crate::world::World;

/// Milliseconds between two faults of one injector.
const BETWEEN: (u64, u64) = (500, 3_000);

/// Milliseconds that things stand still, or are out.
const LASTS: (u64, u64) = (300, 3_000);

/// Milliseconds from the word that the server is about to be killed until it is.
const KILLED_AFTER: (u64, u64) = (1, 40);

/// Breaks the server, until the run is over.
pub(crate) fn inject_server_faults(world: &Arc<World>, seed: u64) {
    let mut deck = Deck::new(seed, 1, Fault::OF_SERVER.to_vec());
    while waited(world, &mut deck) {
        let fault = deck.next();
        let from = Instant::now();
        match fault {
            Fault::ServerKilled => {
                world.kill_nears.notify_waiters();
                std::thread::sleep(deck.milliseconds(KILLED_AFTER.0, KILLED_AFTER.1));
                world.served.kill();
            }
            Fault::ServerStopped => {
                if let Err(what) = world.served.stop() {
                    world.violated(what);
                }
            }
            _ => {
                world.served.signal(Signal::STOP);
                std::thread::sleep(deck.milliseconds(LASTS.0, LASTS.1));
                world.served.signal(Signal::CONT);
            }
        }
        if !world.served.is_running()
            && let Err(what) = world.served.start()
        {
            world.violated(what);
            return;
        }
        note(world, fault, from, Vec::new());
    }
}

/// What the server stands on.
pub(crate) struct Ground {
    pub(crate) engine: PrivateEngine,
    pub(crate) disk: Disk,
    pub(crate) proxy: Option<Proxy>,
}

/// Breaks what the server stands on, until the run is over.
pub(crate) fn inject_other_faults(world: &Arc<World>, seed: u64, ground: &mut Ground) {
    let faults = Fault::of_others(ground.proxy.is_some());
    let mut deck = Deck::new(seed, 2, faults);
    while waited(world, &mut deck) {
        let fault = deck.next();
        let from = Instant::now();
        let lasts = deck.milliseconds(LASTS.0, LASTS.1);
        if let Some(target) = break_it(fault, ground, &mut deck, lasts) {
            note(world, fault, from, target);
        }
    }
}

/// Answers the names of the containers that it concerned, if it concerned some;
/// `None` when there was nothing to break.
fn break_it(
    fault: Fault,
    ground: &mut Ground,
    deck: &mut Deck,
    lasts: Duration,
) -> Option<Vec<String>> {
    let engine = &mut ground.engine;
    match fault {
        Fault::DockerdKilled => {
            return Some(ended_without(engine, |engine| {
                engine.kill();
                std::thread::sleep(lasts / 4);
                BTreeMap::new()
            }));
        }
        Fault::DockerdRestarted => return Some(ended_without(engine, PrivateEngine::stop_watched)),
        Fault::DockerdPaused => {
            engine.pause();
            std::thread::sleep(lasts);
            engine.resume();
        }
        Fault::ContainerdPaused => {
            engine.pause_containerd();
            std::thread::sleep(lasts);
            engine.resume_containerd();
        }
        Fault::ShimKilled => {
            let (id, names) = a_container(engine, deck)?;
            return engine.kill_shim(&id).then_some(names);
        }
        Fault::ContainerKilled => {
            let (id, names) = a_container(engine, deck)?;
            return engine.kill_container(&id).then_some(names);
        }
        Fault::DatabaseCut => pass_through(ground, Traffic::Breaks, lasts),
        Fault::DatabaseStalled => pass_through(ground, Traffic::Stalls, lasts),
        Fault::DiskFull => {
            let filler = ground.disk.fill();
            std::thread::sleep(lasts);
            drop(filler);
        }
        Fault::ServerKilled | Fault::ServerStopped | Fault::ServerPaused => {
            unreachable!("{fault:?} is not of what the server stands on")
        }
    }
    Some(Vec::new())
}

fn pass_through(ground: &Ground, traffic: Traffic, lasts: Duration) {
    if let Some(proxy) = &ground.proxy {
        proxy.set(traffic);
        std::thread::sleep(lasts);
        proxy.set(Traffic::Flows);
    }
}

/// Has dockerd end, which answers what ran then, and starts the next one. Answers the
/// names of the containers that ran before and do not run any more.
fn ended_without(
    engine: &mut PrivateEngine,
    end: impl FnOnce(&mut PrivateEngine) -> BTreeMap<String, String>,
) -> Vec<String> {
    let before = containers(engine, false);
    let meanwhile = end(engine);
    let left = engine.shims();
    engine.start();
    let (after, known) = (containers(engine, false), containers(engine, true));
    // What was started in the last moment is in no list of before.
    let late = known.into_iter().filter(|(id, _)| left.contains(id));
    let meanwhile = meanwhile.into_iter().map(|(id, name)| (id.clone(), vec![name, id]));
    let all: BTreeMap<_, _> = before.into_iter().chain(late).chain(meanwhile).collect();
    let ended = all.into_iter().filter(|(id, _)| !after.contains_key(id));
    ended.flat_map(|(_, names)| names).collect()
}

/// The id and the names of some container that runs.
fn a_container(engine: &PrivateEngine, deck: &mut Deck) -> Option<(String, Vec<String>)> {
    deck.choose(containers(engine, false).into_iter().collect())
}

/// The ids of the containers that run, or of all, each with its names.
fn containers(engine: &PrivateEngine, also_ended: bool) -> BTreeMap<String, Vec<String>> {
    let options = ListContainersOptionsBuilder::default().all(also_ended).build();
    let listed = engine.ask(async |docker| docker.list_containers(Some(options)).await);
    let of = |container: ContainerSummary| {
        let id = container.id?;
        let names = container.names.unwrap_or_default();
        let names = names.iter().map(|name| name.trim_start_matches('/').to_owned());
        Some((id.clone(), names.chain([id]).collect()))
    };
    listed.unwrap_or_default().into_iter().filter_map(of).collect()
}

/// Waits for the next fault; answers whether there is to be one.
fn waited(world: &World, deck: &mut Deck) -> bool {
    let until = Instant::now() + deck.milliseconds(BETWEEN.0, BETWEEN.1);
    while !world.is_over() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    !world.is_over()
}

fn note(world: &World, fault: Fault, from: Instant, target: Vec<String>) {
    world.injected.lock().unwrap().push(Injected { fault, from, to: Instant::now(), target });
}

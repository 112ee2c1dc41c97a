//! The engine of a test's own does what tests ask of it, and leaves nothing.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, StartContainerOptions};

use crate::testkit::home::image_tags;
use crate::testkit::private_engine::{LiveRestore, PrivateEngine};
use crate::testkit::running::eventually;

/// Longer than a start takes, and shorter than anybody wants to wait.
const WEDGED_FOR: Duration = Duration::from_secs(3);

#[test]
fn without_live_restore_a_killed_daemon_takes_its_containers_with_it() {
    let Some(mut engine) = PrivateEngine::start_new(LiveRestore::Off) else { return };
    let container = sleeping(&engine);
    engine.kill();
    engine.start();
    eventually("it has ended", || engine.is_running(&container) == Some(false));
    let container = sleeping(&engine);
    engine.restart();
    eventually("it has ended", || engine.is_running(&container) == Some(false));
}

#[test]
fn with_live_restore_containers_outlive_their_daemon() {
    let Some(mut engine) = PrivateEngine::start_new(LiveRestore::On) else { return };
    let container = sleeping(&engine);
    engine.kill();
    engine.start();
    assert_eq!(engine.is_running(&container), Some(true));
    engine.restart();
    assert_eq!(engine.is_running(&container), Some(true));
    assert!(engine.kill_shim(&container));
    eventually("it has ended", || engine.is_running(&container) == Some(false));
    assert!(!engine.kill_shim(&container));
}

#[test]
fn a_wedged_engine_answers_but_starts_nothing() {
    let Some(engine) = PrivateEngine::start_new(LiveRestore::Off) else { return };
    let running = sleeping(&engine);
    engine.pause_containerd();
    let is_started = engine.ask(async |docker| {
        docker.ping().await.unwrap();
        tokio::time::timeout(WEDGED_FOR, start(&docker)).await.is_ok()
    });
    assert!(!is_started);
    engine.resume_containerd();
    sleeping(&engine);
    engine.pause();
    let is_answered =
        engine.ask(async |docker| tokio::time::timeout(WEDGED_FOR, docker.ping()).await.is_ok());
    assert!(!is_answered);
    engine.resume();
    assert!(engine.kill_container(&running));
    eventually("it has ended", || engine.is_running(&running) == Some(false));
}

#[test]
fn whatever_state_it_is_in_nothing_is_left_of_it() {
    let Some(mut engine) = PrivateEngine::start_new(LiveRestore::On) else { return };
    sleeping(&engine);
    let name = engine.name().to_owned();
    assert!(!traces(&name).is_empty());
    engine.kill();
    engine.start();
    engine.pause();
    engine.pause_containerd();
    let begun = Instant::now();
    drop(engine);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(traces(&name), [""; 0]);
}

/// What there is of an engine: processes, mounts, cgroups.
fn traces(name: &str) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(name)).map(str::to_owned);
    let commands = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let command = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).into_owned())
    });
    let commands = commands.filter(|command| command.contains(name));
    let cgroups = fs::read_dir("/sys/fs/cgroup").unwrap().filter_map(|entry| {
        let cgroup = entry.ok()?.path().join(name);
        cgroup.exists().then(|| cgroup.display().to_string())
    });
    let own = Path::new("/sys/fs/cgroup").join(name);
    let own = own.exists().then(|| own.display().to_string());
    mounts.chain(commands).chain(cgroups).chain(own).collect()
}

/// The id of a container that sleeps.
fn sleeping(engine: &PrivateEngine) -> String {
    engine.ask(async |docker| start(&docker).await)
}

async fn start(docker: &bollard::Docker) -> String {
    let shell = image_tags().into_iter().find(|tag| tag.contains("shell")).unwrap();
    let body = ContainerCreateBody {
        image: Some(shell),
        entrypoint: Some(vec!["/bin/sleep".to_owned(), "600".to_owned()]),
        network_disabled: Some(true),
        stop_timeout: Some(1),
        ..ContainerCreateBody::default()
    };
    let created = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
    docker.start_container(&created.id, None::<StartContainerOptions>).await.unwrap();
    created.id
}

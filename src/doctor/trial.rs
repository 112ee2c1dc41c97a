//! Tries what can only be tried: an engine is healthy only if it starts
//! containers, whatever else it answers.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Finding;
use crate::domain::limits::Limits;
use crate::domain::quantities::show_duration;
use crate::domain::runtime::Runtime;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::engine::{Engine, LABEL_ROLE, ListedContainer, NewContainer};
use crate::pool::UNUSED;
use crate::sandbox::{Sandbox, SandboxError};
use crate::services::Services;

/// Slower than this and something is wrong with the engine or the machine.
const SLOW: Duration = Duration::from_secs(2);

/// A younger container that is not running may be about to start, or to be
/// removed by whoever made it.
const SETTLED: Duration = Duration::from_secs(60);

const IMAGES: &str = "images";
const LEFTOVERS: &str = "leftovers";
const START: &str = "start";

/// Which images are there.
pub(super) async fn images(services: &Services) -> Option<Finding> {
    let mut missing = Vec::new();
    for runtime in Runtime::ALL {
        match services.library.find_runtime(runtime).await {
            Ok(Some(_)) => {}
            Ok(None) => missing.push(runtime.name()),
            Err(error) => return Some(Finding::error(IMAGES, error.to_string(), "see above")),
        }
    }
    if missing.is_empty() {
        return Some(Finding::ok(IMAGES, "all runtimes are built"));
    }
    let seen = format!("not built: {}", missing.join(", "));
    let advice = "`gantry images build` builds them now; otherwise the first script that needs one \
                  does";
    Some(Finding::warning(IMAGES, seen, advice))
}

/// Containers of this installation that nobody waits for.
pub(super) async fn leftovers(services: &Services) -> Option<Finding> {
    let labels = services.library.installation_labels();
    let listed = match services.docker.list(&labels).await {
        Ok(listed) => listed,
        Err(error) => return Some(Finding::error(LEFTOVERS, error.to_string(), "see above")),
    };
    let now = SystemTime::now();
    let left: Vec<_> = listed.iter().filter(|it| is_left(it, now)).collect();
    if left.is_empty() {
        let waits =
            |it: &&ListedContainer| it.labels.get(LABEL_ROLE).is_some_and(|it| it == UNUSED);
        let seen = match listed.iter().filter(waits).count() {
            0 => "no ended container is left".to_owned(),
            count => format!("no ended container is left; unused ones wait in the pool: {count}"),
        };
        return Some(Finding::ok(LEFTOVERS, seen));
    }
    let names: Vec<_> = left.iter().map(|it| it.name.as_str()).collect();
    let containers = if names.len() == 1 { "container" } else { "containers" };
    let seen = format!("{} ended {containers}", names.len());
    Some(Finding::warning(LEFTOVERS, seen, format!("docker rm {}", names.join(" "))))
}

/// Whether nobody will start this container any more, nor remove it.
fn is_left(container: &ListedContainer, now: SystemTime) -> bool {
    let created = Duration::from_secs(u64::try_from(container.created).unwrap_or_default());
    let age = now.duration_since(SystemTime::UNIX_EPOCH + created).unwrap_or_default();
    !container.running && age > SETTLED
}

/// Starts a sandbox, if there is an image for one.
pub(super) async fn start(services: &Services, oci_runtime: Option<String>) -> Option<Finding> {
    let image = services.library.find_runtime(Runtime::Shell).await.ok().flatten()?;
    let container = NewContainer {
        name: format!("gantry-doctor-{}", uuid::Uuid::now_v7()),
        spec: SandboxSpec {
            image: image.id,
            limits: Limits::default(),
            network: Network::None,
            mounts: Vec::new(),
            oci_runtime,
            purpose: Purpose::Execution,
        },
        labels: services.library.installation_labels(),
    };
    let engine = Arc::new(services.docker.clone());
    let begun = Instant::now();
    let started = Sandbox::start(engine, &services.remover, &container).await;
    let took = begun.elapsed();
    Some(match started {
        Ok(_) if took > SLOW => {
            let seen = format!("a sandbox took {} to start", show_duration(took));
            Finding::warning(START, seen, "the machine is overloaded, or the engine is unwell")
        }
        Ok(_) => Finding::ok(START, format!("a sandbox started in {}", show_duration(took))),
        Err(error) => Finding::error(START, error.to_string(), advice(&error)),
    })
}

fn advice(error: &SandboxError) -> String {
    error.hint().unwrap_or("look at the engine's own log").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_or_was_made_just_now_is_not_left() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let container = |created, running| ListedContainer {
            name: "gantry-x".to_owned(),
            running,
            labels: crate::engine::Labels::new(),
            created,
        };
        assert!(is_left(&container(900, false), now));
        assert!(!is_left(&container(900, true), now));
        assert!(!is_left(&container(950, false), now));
        // The engine's clock may be ahead.
        assert!(!is_left(&container(1100, false), now));
    }
}

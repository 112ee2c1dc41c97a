//! Tries what can only be tried: an engine is healthy only if it starts
//! containers, whatever else it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Finding;
use crate::domain::limits::{Limits, MIN_DISK_BYTES};
use crate::domain::quantities::show_duration;
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::domain::script_type::ScriptType;
use crate::engine::NewContainer;
use crate::sandbox::{Sandbox, SandboxError};
use crate::services::Services;

/// Slower than this and something is wrong with the engine or the machine.
const SLOW: Duration = Duration::from_secs(2);

const IMAGES: &str = "images";
const START: &str = "start";
const SCRATCH: &str = "scratch";

/// Checks that the script types' images are there.
pub(super) async fn images(services: &Services) -> Option<Finding> {
    let mut missing = Vec::new();
    for script_type in ScriptType::ALL {
        match services.library.find_type_image(script_type).await {
            Ok(Some(_)) => {}
            Ok(None) => missing.push(script_type.name()),
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

/// Starts a sandbox, if there is an image for one.
pub(super) async fn start(services: &Services, oci_runtime: Option<String>) -> Option<Finding> {
    let container = container(services, oci_runtime, RunFolder::None).await?;
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

/// Starts a sandbox with scratch on disk: only the engine can tell whether it sees the folder.
/// Without it other scripts run all the same.
pub(super) async fn scratch(services: &Services, oci_runtime: Option<String>) -> Option<Finding> {
    let folder = RunFolder::Scratch { disk_bytes: MIN_DISK_BYTES };
    let container = container(services, oci_runtime, folder).await?;
    let engine = Arc::new(services.docker.clone());
    Some(match Sandbox::start(engine, &services.remover, &container).await {
        Ok(_) => Finding::ok(SCRATCH, "sandboxes have scratch on disk"),
        Err(error) => {
            let seen = format!("no script can have scratch on disk: {error}");
            Finding::warning(SCRATCH, seen, advice(&error))
        }
    })
}

/// A container of nobody's, if there is an image for one.
async fn container(
    services: &Services,
    oci_runtime: Option<String>,
    folder: RunFolder,
) -> Option<NewContainer> {
    let image = services.library.find_type_image(ScriptType::default()).await.ok().flatten()?;
    let limits = Limits::default();
    let spec = SandboxSpec {
        image: image.id,
        limits,
        network: Network::None,
        mounts: Vec::new(),
        owner: None,
        folder,
        oci_runtime,
        exec: true,
        purpose: Purpose::Execution,
    };
    let name = format!("gantry-doctor-{}", uuid::Uuid::now_v7());
    Some(NewContainer { name, spec, labels: services.library.installation_labels() })
}

fn advice(error: &SandboxError) -> String {
    error.hint().unwrap_or("look at the engine's own log").to_owned()
}

//! The unused sandboxes that the pool holds for scripts: it is told the floor of each
//! enabled script, and the kinds that no enabled script's current version needs any
//! more.
//!
//! All scripts are read each time, and the pool is told everything at once: at the
//! start, after a change of a script or an image, and from time to time, because another
//! node may have changed something. Nothing here can fail an execution.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use uuid::Uuid;

use super::reading_schedule::{LOOK, ReadingSchedule};
use crate::domain::execution::{ExecutionSnapshot, FilesSnapshot};
use crate::domain::file_fields;
use crate::domain::json_input::JsonInput;
use crate::domain::registry::{EnvironmentStatus, RegisteredScript};
use crate::domain::run_folder::RunFolder;
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::domain::script::code_digest;
use crate::domain::variables::Variables;
use crate::orchestrator::environments::Environments;
use crate::orchestrator::executions::job_loader::{JobLoadError, JobLoader};
use crate::orchestrator::runner::{Runner, template};
use crate::pool::{Floors, Template};
use crate::sandbox::Cancel;
use crate::store::{Runnable, ScriptFilter, Store, StoreError};

/// Pause before a change is acted on: changes often come together.
const SETTLE: Duration = Duration::from_millis(20);

/// Rest after a reading, as a multiple of the time that it took; at most [`LOOK`].
const REST: u32 = 10;

/// Scripts that are read at once.
const PAGE: u32 = 500;

/// The features by which a kind of sandbox is known to be needed: the sandbox, and the
/// code of the only script that its interpreter waits for.
type Needed = (SandboxSpec, Option<String>);

/// Result of one reading of all scripts.
struct Reading {
    floors: Floors,
    unneeded: HashMap<Needed, Vec<Arc<Template>>>,
    needs_egress: bool,
    is_pool_off: bool,
    /// An image is not known yet that a floor needs.
    is_incomplete: bool,
}

/// Keeps the pool's floors.
pub(super) struct Prewarm {
    store: Store,
    runner: Runner,
    environments: Environments,
    jobs: Arc<JobLoader>,
    scripts_changed: Arc<Notify>,
    stopping: Cancel,
}

impl Prewarm {
    /// `scripts_changed` nudges it.
    pub(super) fn new(
        store: Store,
        runner: Runner,
        environments: Environments,
        jobs: Arc<JobLoader>,
        scripts_changed: Arc<Notify>,
        stopping: Cancel,
    ) -> Self {
        Self { store, runner, environments, jobs, scripts_changed, stopping }
    }

    /// Keeps the floors until the service stops.
    pub(super) async fn run(self) {
        let mut schedule = ReadingSchedule::new();
        loop {
            let begun = Instant::now();
            let looked = tokio::select! {
                looked = self.look_at_scripts(&mut schedule) => looked,
                () = self.stopping.cancelled() => return,
            };
            if let Err(error) = looked {
                schedule.failed();
                tracing::warn!(%error, "the scripts could not be read for the pool's floors");
            }
            tokio::select! {
                () = tokio::time::sleep((begun.elapsed() * REST).clamp(SETTLE, LOOK)) => {}
                () = self.stopping.cancelled() => return,
            }
            tokio::select! {
                () = self.scripts_changed.notified() => schedule.reset(),
                () = self.environments.changed() => schedule.reset(),
                () = tokio::time::sleep(LOOK) => {}
                () = self.stopping.cancelled() => return,
            }
        }
    }

    /// Reads all scripts if they may be others than those of the last reading.
    async fn look_at_scripts(&self, schedule: &mut ReadingSchedule) -> Result<(), StoreError> {
        // The stamp comes first: a change meanwhile is read the next time.
        let stamp = self.store.scripts_stamp().await?;
        let now = Instant::now();
        if schedule.is_due(&stamp, now) {
            let is_complete = self.hold_floors().await?;
            schedule.read(stamp, now, is_complete);
        }
        Ok(())
    }

    /// Reads all scripts and tells the pool. True if all images that floors need are
    /// known.
    async fn hold_floors(&self) -> Result<bool, StoreError> {
        let pool = self.runner.pool();
        let mut reading = Reading {
            floors: Floors::default(),
            unneeded: by_need(pool.kinds()),
            needs_egress: false,
            is_pool_off: pool.status().size == 0,
            is_incomplete: false,
        };
        let filter = ScriptFilter { is_enabled: Some(true), ..ScriptFilter::default() };
        let mut offset = 0;
        loop {
            let scripts = self.store.scripts(&filter, PAGE, offset).await?;
            for script in &scripts {
                self.read(script, &mut reading).await?;
            }
            if scripts.len() < PAGE as usize {
                break;
            }
            offset += u64::from(PAGE);
        }
        // An execution that starts cold makes it, and there may be none.
        if reading.needs_egress
            && let Err(error) = self.runner.ensure_egress_network().await
        {
            tracing::warn!(%error, "the sandboxes' egress network could not be made");
            reading.is_incomplete = true;
        }
        pool.set_floors(reading.floors, &reading.unneeded.into_values().flatten().collect());
        Ok(!reading.is_incomplete)
    }

    async fn read(
        &self,
        script: &RegisteredScript,
        reading: &mut Reading,
    ) -> Result<(), StoreError> {
        let definition = &script.version.definition;
        let warm = script.settings.warm as usize;
        let key = script.version.environment_key.as_deref();
        let Some(image) = self.environments.known(key, definition.script_type) else {
            // Without a floor nobody waits for the image yet.
            if warm > 0 && !reading.is_pool_off {
                reading.is_incomplete = true;
                self.request_image(script).await?;
            }
            return Ok(());
        };
        let spec = self.held_spec(script, image.clone());
        // Sandboxes with mounts are never held, and a script can come to both by
        // going back to an older version.
        if warm > 0 && spec.mounts.is_empty() {
            reading.needs_egress |= spec.network == Network::Egress && !reading.is_pool_off;
            if let Some(template) = self.held_template(script, image).await? {
                reading.floors.add(template, warm, script.name.as_str());
            }
        }
        reading.unneeded.remove(&(spec.clone(), None));
        reading.unneeded.remove(&(spec, Some(definition.digest.clone())));
        Ok(())
    }

    /// The sandbox that an execution of its current version would take from the pool;
    /// `None` if the script can't be run.
    async fn held_template(
        &self,
        script: &RegisteredScript,
        image: String,
    ) -> Result<Option<Template>, StoreError> {
        let version = &script.version;
        // An execution without options of its own.
        let runnable = Runnable {
            id: Uuid::nil(),
            script_id: script.id,
            script_name: script.name.to_string(),
            job_id: None,
            version_id: version.id,
            definition: version.definition.clone(),
            environment_key: version.environment_key.clone(),
            snapshot: ExecutionSnapshot {
                args: Vec::new(),
                env: Variables::default(),
                limits: script.settings.limits,
                timeout_secs: script.settings.timeout_secs,
                files: FilesSnapshot::default(),
            },
            input: JsonInput::null(),
            created_at: script.created_at,
        };
        match self.jobs.load(&runnable).await {
            Ok(job) => Ok(Some(template(&job, image))),
            Err(JobLoadError::Store(error)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, script = %script.name, "the script can't be run, so no sandbox is held for it");
                Ok(None)
            }
        }
    }

    /// The sandbox that an execution of its current version asks for.
    fn held_spec(&self, script: &RegisteredScript, image: String) -> SandboxSpec {
        let definition = &script.version.definition;
        SandboxSpec {
            image,
            limits: script.settings.limits,
            network: definition.network,
            mounts: definition.mounts.clone(),
            owner: definition.owner,
            folder: RunFolder::of(
                &script.settings.limits,
                file_fields::has_files(&definition.argument_schema),
            ),
            oci_runtime: self.jobs.oci_runtime(definition),
            exec: definition.exec,
            purpose: Purpose::Execution,
        }
    }

    /// Has its image looked for, or built. An environment that was never built is on
    /// its way already, and one that can't be built is left alone.
    async fn request_image(&self, script: &RegisteredScript) -> Result<(), StoreError> {
        let environments = &self.environments;
        let Some(key) = &script.version.environment_key else {
            environments.request_type_image(script.version.definition.script_type);
            return Ok(());
        };
        let environment = self.store.environment(key).await?;
        if environment.is_some_and(|it| it.status == EnvironmentStatus::Ready) {
            environments.request(key);
        }
        Ok(())
    }
}

fn by_need(kinds: HashSet<Arc<Template>>) -> HashMap<Needed, Vec<Arc<Template>>> {
    let mut all: HashMap<Needed, Vec<_>> = HashMap::new();
    for kind in kinds {
        let code = kind.preparation.stand_by.as_ref().map(|it| code_digest(it.source.as_bytes()));
        all.entry((kind.spec.clone(), code)).or_default().push(kind);
    }
    all
}

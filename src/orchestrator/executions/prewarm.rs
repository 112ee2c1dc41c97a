//! What the pool holds for scripts: it is told how many unused sandboxes each enabled
//! script wants to be there in any case, and which kinds no enabled script's current
//! version needs any more.
//!
//! All scripts are read each time, and the pool is told everything at once: at the
//! start, after a change of a script or an image, and now and then, because another
//! node may have changed something. Nothing here can fail an execution.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Executions;
use super::job::JobLoadError;
use crate::domain::execution::ExecutionSnapshot;
use crate::domain::json_input::JsonInput;
use crate::domain::registry::{EnvironmentStatus, RegisteredScript};
use crate::domain::sandbox_spec::{Network, Purpose, SandboxSpec};
use crate::domain::script::code_digest;
use crate::domain::variables::Variables;
use crate::orchestrator::runner::template;
use crate::pool::{Floors, Template};
use crate::store::{Runnable, ScriptFilter, ScriptsStamp, StoreError};

/// How often it is asked whether anything has changed.
const LOOK: Duration = Duration::from_secs(10);

/// Everything is read again after this time at the latest: clocks of nodes differ,
/// and a stamp may not show a change.
const LONGEST: Duration = Duration::from_secs(300);

/// Changes often come together.
const SETTLE: Duration = Duration::from_millis(20);

/// After having read everything it rests for this many times as long as that took,
/// and at most for [`LOOK`].
const REST: u32 = 10;

/// Scripts that are read at once.
const PAGE: u32 = 500;

/// What was seen when all scripts were read.
struct Seen {
    stamp: ScriptsStamp,
    /// When they are read again in any case.
    until: Instant,
}

/// By what it is told that a kind is needed: the sandbox, and the code of the only
/// script that its interpreter waits for.
type Needed = (SandboxSpec, Option<String>);

/// What one reading of all scripts has come to.
struct Reading {
    floors: Floors,
    unneeded: HashMap<Needed, Vec<Arc<Template>>>,
    needs_egress: bool,
    is_pool_off: bool,
    /// An image is not known yet that a floor needs.
    is_incomplete: bool,
}

impl Executions {
    /// Tells the pool what it is to hold, until this process is to end.
    pub(super) async fn run_prewarm(self) {
        let mut seen = None;
        let mut pause = LOOK;
        loop {
            let begun = Instant::now();
            let looked = tokio::select! {
                looked = self.look_at_scripts(seen.take(), &mut pause) => looked,
                () = self.inner.stopping.cancelled() => return,
            };
            match looked {
                Ok(now) => seen = Some(now),
                Err(error) => tracing::warn!(%error, "what the pool is to hold could not be read"),
            }
            tokio::select! {
                () = tokio::time::sleep((begun.elapsed() * REST).clamp(SETTLE, LOOK)) => {}
                () = self.inner.stopping.cancelled() => return,
            }
            tokio::select! {
                () = self.inner.scripts.notified() => (seen, pause) = (None, LOOK),
                () = self.inner.environments.changed() => (seen, pause) = (None, LOOK),
                () = tokio::time::sleep(LOOK) => {}
                () = self.inner.stopping.cancelled() => return,
            }
        }
    }

    /// Reads all scripts if they may be others than those that were seen. While an
    /// image is missing it does so after ever longer pauses.
    async fn look_at_scripts(
        &self,
        seen: Option<Seen>,
        pause: &mut Duration,
    ) -> Result<Seen, StoreError> {
        // Before they are read: what changes meanwhile is read the next time.
        let stamp = self.inner.store.scripts_stamp().await?;
        let now = Instant::now();
        if let Some(seen) = seen.filter(|it| it.stamp == stamp && now < it.until) {
            return Ok(seen);
        }
        let is_incomplete = self.hold_floors().await?;
        if !is_incomplete {
            *pause = LOOK;
            return Ok(Seen { stamp, until: now + LONGEST });
        }
        let until = now + *pause;
        *pause = (*pause * 2).min(LONGEST);
        Ok(Seen { stamp, until })
    }

    async fn hold_floors(&self) -> Result<bool, StoreError> {
        let pool = self.inner.runner.pool();
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
            let scripts = self.inner.store.scripts(&filter, PAGE, offset).await?;
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
            && let Err(error) = self.inner.runner.ensure_egress_network().await
        {
            tracing::warn!(%error, "the network of sandboxes could not be made");
            reading.is_incomplete = true;
        }
        pool.set_floors(reading.floors, &reading.unneeded.into_values().flatten().collect());
        Ok(reading.is_incomplete)
    }

    async fn read(
        &self,
        script: &RegisteredScript,
        reading: &mut Reading,
    ) -> Result<(), StoreError> {
        let definition = &script.version.definition;
        let warm = script.run_settings.warm as usize;
        let key = script.version.environment_key.as_deref();
        let Some(image) = self.inner.environments.known(key, definition.script_type) else {
            // Nobody waits for an image that is of no use yet.
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

    /// What an execution of its current version would take from the pool; `None` if
    /// the script can't be run.
    async fn held_template(
        &self,
        script: &RegisteredScript,
        image: String,
    ) -> Result<Option<Template>, StoreError> {
        let version = &script.version;
        // One that asks for nothing of its own.
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
                limits: script.run_settings.limits,
                timeout_secs: script.run_settings.timeout_secs,
            },
            input: JsonInput::null(),
            created_at: script.created_at,
        };
        match self.job(&runnable).await {
            Ok(job) => Ok(Some(template(&job, image))),
            Err(JobLoadError::Store(error)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, script = %script.name, "none is held for it");
                Ok(None)
            }
        }
    }

    /// The sandbox that an execution of its current version asks for.
    fn held_spec(&self, script: &RegisteredScript, image: String) -> SandboxSpec {
        let definition = &script.version.definition;
        SandboxSpec {
            image,
            limits: script.run_settings.limits,
            network: definition.network,
            mounts: definition.mounts.clone(),
            oci_runtime: self.oci_runtime(definition),
            exec: definition.exec,
            purpose: Purpose::Execution,
        }
    }

    /// Has its image looked for, or built. An environment that was never built is on
    /// its way already, and one that can't be built is left alone.
    async fn request_image(&self, script: &RegisteredScript) -> Result<(), StoreError> {
        let environments = &self.inner.environments;
        let Some(key) = &script.version.environment_key else {
            environments.request_runtime(script.version.definition.script_type);
            return Ok(());
        };
        let environment = self.inner.store.environment(key).await?;
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

//! Everything that can be wrong with a submission, found before anything is stored.

use std::num::NonZeroU32;

use uuid::Uuid;

use super::inputs::Inputs;
use super::submission::{Submission, SubmitError};
use crate::clock;
use crate::domain::execution::{ExecutionSnapshot, FilesSnapshot, NewExecution};
use crate::domain::fault::{Fault, pointer_to};
use crate::domain::job::check_arguments;
use crate::domain::limits::{Limits, Timeout};
use crate::domain::quantities::{show_bytes, show_duration};
use crate::domain::registry::ScriptVersion;
use crate::domain::token::Role;
use crate::orchestrator::queue::Demand;
use crate::orchestrator::schemas::Schemas;
use crate::store::Runnable;

/// Most variables of one request that are reported as refused.
const MAX_REFUSED_VARIABLES: usize = 20;

/// Error for a variable that the script does not take from requests.
const NOT_ALLOWED: &str = "the script takes no such variable from a request; call it PARAM_…, or \
     have an admin add its name to the script's env_allowed";

/// A submission without faults, with a snapshot of all that its run depends on.
pub(super) struct Checked {
    pub(super) new: NewExecution,
    pub(super) script_name: String,
    pub(super) version: ScriptVersion,
    pub(super) max_concurrency: Option<NonZeroU32>,
}

/// Checks and freezes a submission. `fits` tells if the node is large enough.
///
/// # Errors
/// [`SubmitError`], with all faults of the first kind that there are.
pub(super) async fn check(
    submission: Submission,
    schemas: &Schemas,
    inputs: &Inputs,
    fits: impl Fn(&Demand) -> bool,
) -> Result<Checked, SubmitError> {
    if !submission.script.settings.is_enabled {
        return Err(SubmitError::Disabled(submission.script.name.to_string()));
    }
    let version = submission.version.as_ref().unwrap_or(&submission.script.version);
    let mut faults = faults(&submission, version, fits);
    if faults.is_empty() {
        faults = schemas.check_input(submission.caller.token_id, version, &submission.input).await;
    }
    if !faults.is_empty() {
        return Err(SubmitError::Invalid(faults));
    }
    let files = inputs.freeze(&submission, version).await?;
    Ok(Checked::freeze(submission, files))
}

/// The faults of a request, except those that its schema finds.
fn faults(
    submission: &Submission,
    version: &ScriptVersion,
    fits: impl Fn(&Demand) -> bool,
) -> Vec<Fault> {
    let settings = &submission.script.settings;
    let mut faults = Vec::new();
    let mut args = version.definition.args.clone();
    args.extend_from_slice(&submission.args);
    if let Err(error) = check_arguments(&args) {
        faults.push(Fault::new("/args", error.to_string()));
    }
    if let Err(error) = version.definition.env.merged(&submission.env) {
        faults.push(Fault::new("/env", error.to_string()));
    }
    if submission.role != Role::Admin {
        let refused = version.definition.env_allowed.refused(&submission.env);
        let refused = refused.take(MAX_REFUSED_VARIABLES);
        faults.extend(refused.map(|name| Fault::new(pointer_to("/env", name), NOT_ALLOWED)));
    }
    if let Some(timeout) = submission.timeout.filter(|it| *it > settings.timeout_secs) {
        faults.push(Fault::new("/timeout_secs", too_long(timeout, settings.timeout_secs)));
    }
    let (input, memory) = (submission.input.as_str().len() as u64, settings.limits.memory_bytes);
    if input > memory / 2 {
        let (input, memory) = (show_bytes(input), show_bytes(memory));
        let detail = format!("{input} are more than half of the memory limit of {memory}");
        faults.push(Fault::new("/input", detail));
    }
    let limits = settings.limits;
    let Limits { memory_bytes, nano_cpus, disk_bytes, .. } = limits;
    if !fits(&Demand { memory_bytes, nano_cpus, disk_bytes: 0 }) {
        faults.push(Fault::new("/script", "its limits are more than this machine has"));
    } else if !fits(&Demand { memory_bytes, nano_cpus, disk_bytes }) {
        let disk = show_bytes(disk_bytes);
        let detail =
            format!("its limits.disk_bytes of {disk} is more than this machine's disk has");
        faults.push(Fault::new("/script", detail));
    }
    faults
}

impl Checked {
    fn freeze(submission: Submission, files: FilesSnapshot) -> Self {
        let script = submission.script;
        let version = submission.version.unwrap_or(script.version);
        let settings = script.settings;
        let new = NewExecution {
            id: Uuid::now_v7(),
            script_id: script.id,
            version_id: version.id,
            caller: submission.caller,
            job_id: submission.job_id,
            idempotency_key: submission.idempotency_key,
            priority: submission.priority,
            snapshot: ExecutionSnapshot {
                args: submission.args,
                env: submission.env,
                limits: settings.limits,
                timeout_secs: submission.timeout.unwrap_or(settings.timeout_secs),
                files,
            },
            input: submission.input,
            created_at: clock::now(),
        };
        let (script_name, max_concurrency) = (script.name.to_string(), settings.max_concurrency);
        Self { new, script_name, version, max_concurrency }
    }

    /// The answer that the store would give to the execution's task.
    pub(super) fn runnable(&self) -> Runnable {
        let (new, version) = (&self.new, &self.version);
        Runnable {
            id: new.id,
            script_id: new.script_id,
            script_name: self.script_name.clone(),
            job_id: new.job_id.clone(),
            version_id: new.version_id,
            definition: version.definition.clone(),
            environment_key: version.environment_key.clone(),
            snapshot: new.snapshot.clone(),
            input: new.input.clone(),
            created_at: new.created_at,
        }
    }
}

fn too_long(asked: Timeout, allowed: Timeout) -> String {
    let (asked, allowed) = (show_duration(asked.duration()), show_duration(allowed.duration()));
    format!("{asked} is more than the script's {allowed}; a request can only lower it")
}

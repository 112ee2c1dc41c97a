//! From what was stored to a job that can be run.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use thiserror::Error;

use super::settings::ExecutionsSettings;
use crate::domain::bundle::BundleLayer;
use crate::domain::environment::EnvironmentSpec;
use crate::domain::execution::{FilesSnapshot, SharedInput};
use crate::domain::file_fields;
use crate::domain::input_files::{INPUT_DIR, Input};
use crate::domain::job::{Job, JobError};
use crate::domain::json_input::JsonInputError;
use crate::domain::mount::{Mount, MountError};
use crate::domain::registry::Definition;
use crate::domain::sanitize::sanitize;
use crate::domain::script::ScriptError;
use crate::domain::script_type::python::requirements::{
    Requirements, RequirementsError, RequirementsPolicy,
};
use crate::domain::share::ShareAccess;
use crate::domain::user::User;
use crate::domain::variables::VariableError;
use crate::domain::warm_up::WarmUp;
use crate::shares::{ShareFault, Shares};
use crate::store::{Runnable, Store, StoreError};

/// Bytes of scripts that are kept in memory; beyond it all are forgotten and
/// read again as they are needed.
const MAX_KEPT: usize = 16 * 1024 * 1024;

/// Failure to make a job of what was stored.
#[derive(Debug, Error)]
pub(super) enum JobLoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the script can't be run: {0}")]
    Script(#[from] ScriptError),
    #[error("the script's variables can't be set: {0}")]
    Variables(#[from] VariableError),
    #[error("the requirements are not allowed any more: {0}")]
    Requirements(#[from] RequirementsError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error("the paths of its files can't be put into the input: {0}")]
    Input(#[from] JsonInputError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("mount source {0:?} is not what it was when the script was registered")]
    Moved(String),
    #[error("scripts may not run as {0} any more: GANTRY_OWNERS does not have it")]
    Owner(User),
    #[error(transparent)]
    Share(#[from] ShareFault),
}

impl JobLoadError {
    /// Message for callers: nothing of the server's own files.
    pub(super) fn public_message(&self) -> String {
        match self {
            Self::Mount(_) | Self::Moved(_) => {
                "a folder that the script mounts is not what it was when it was registered, \
                 or not allowed any more"
                    .to_owned()
            }
            other => other.to_string(),
        }
    }
}

/// Makes jobs of executions.
pub(super) struct JobLoader {
    store: Store,
    policy: RequirementsPolicy,
    mount_roots: Vec<PathBuf>,
    owners: Vec<User>,
    shares: Shares,
    oci_runtime: Option<String>,
    code: CodeCache,
}

impl JobLoader {
    pub(super) fn new(store: Store, settings: &ExecutionsSettings) -> Self {
        Self {
            store,
            policy: settings.policy,
            mount_roots: settings.mount_roots.clone(),
            owners: settings.owners.clone(),
            shares: settings.shares.clone(),
            oci_runtime: settings.oci_runtime.clone(),
            code: CodeCache::default(),
        }
    }

    /// The job of an execution.
    ///
    /// # Errors
    /// [`JobLoadError`].
    pub(super) async fn load(&self, runnable: &Runnable) -> Result<Job, JobLoadError> {
        let definition = &runnable.definition;
        let files = &runnable.snapshot.files;
        let stdin = file_fields::placed(&runnable.input, &files.fields)?;
        let code = self.code(&definition.digest).await?;
        let script = definition.script(code)?;
        let requirements = definition.requirements.as_deref();
        let policy = self.policy.or_sources(definition.sources);
        let requirements = requirements.map(|it| Requirements::parse(it, policy)).transpose()?;
        let job = Job {
            execution_id: runnable.id.to_string(),
            script_id: Some(runnable.script_id),
            script_name: runnable.script_name.clone(),
            job_id: runnable.job_id.clone(),
            environment: EnvironmentSpec {
                script_type: definition.script_type,
                python: definition.python(),
                packages: definition.system_packages.clone(),
                requirements,
                warm_up: WarmUp::of(&definition.warm_up, &script),
                bundle: definition.bundle.map(|digest| BundleLayer { digest, archive: None }),
            },
            script,
            working_directory: definition.working_directory.clone(),
            input: Some(stdin),
            takes_files: !files.inputs.is_empty()
                || !files.shares.is_empty()
                || file_fields::has_files(&definition.argument_schema),
            args: [definition.args.as_slice(), &runnable.snapshot.args].concat(),
            variables: definition.env.merged(&runnable.snapshot.env)?,
            script_variables: definition.env.clone(),
            limits: runnable.snapshot.limits,
            timeout: runnable.snapshot.timeout_secs,
            network: definition.network,
            mounts: definition.mounts.clone(),
            owner: definition.owner,
            oci_runtime: self.oci_runtime(definition),
            exec: definition.exec,
            preload: definition.preload.clone(),
            output_file: definition.output_file.clone(),
            inputs: inputs(files),
            shared: self.shared(&files.shares).await?,
        };
        job.validate()?;
        self.check_mounts(&job.mounts)?;
        self.check_owner(job.owner)?;
        Ok(job)
    }

    /// Mounts of shared files. Whether the caller may read them was decided when the execution
    /// was accepted.
    async fn shared(&self, shares: &[SharedInput]) -> Result<Vec<Mount>, ShareFault> {
        let mut mounts = Vec::with_capacity(shares.len());
        for SharedInput { name, share, path, .. } in shares {
            let found = self.shares.resolve(&ShareAccess::All, share, path).await?;
            mounts.push(found.mounted_at(format!("{INPUT_DIR}/{name}")));
        }
        Ok(mounts)
    }

    /// Checks that mounts lead where they led when the job was made. For after the engine has
    /// looked where that is.
    ///
    /// # Errors
    /// [`JobLoadError`].
    pub(super) async fn check_all_mounts(&self, job: &Job) -> Result<(), JobLoadError> {
        self.check_mounts(&job.mounts)?;
        Ok(self.shares.check(&job.shared).await?)
    }

    /// Checks that the operator still allows what he allowed when it was registered.
    fn check_owner(&self, owner: Option<User>) -> Result<(), JobLoadError> {
        match owner.filter(|owner| !self.owners.contains(owner)) {
            Some(owner) => Err(JobLoadError::Owner(owner)),
            None => Ok(()),
        }
    }

    /// The OCI runtime of a script's sandboxes, when it is not the engine's default.
    pub(super) fn oci_runtime(&self, definition: &Definition) -> Option<String> {
        let own = definition.runtime.as_ref().map(|it| it.as_str().to_owned());
        own.or_else(|| self.oci_runtime.clone())
    }

    /// Checks mounts again. A folder that was below the roots when it was registered
    /// may lead elsewhere by now, and the roots may be others.
    ///
    /// # Errors
    /// [`JobLoadError::Moved`] and [`JobLoadError::Mount`].
    pub(super) fn check_mounts(&self, mounts: &[Mount]) -> Result<(), JobLoadError> {
        for mount in mounts {
            let resolved = mount.source.canonicalize().ok();
            if resolved.as_deref() != Some(mount.source.as_path()) {
                return Err(JobLoadError::Moved(sanitize(&mount.source.to_string_lossy())));
            }
            mount.check_allowed(&mount.source, &self.mount_roots)?;
        }
        Ok(())
    }

    async fn code(&self, digest: &str) -> Result<Bytes, StoreError> {
        if let Some(bytes) = self.code.find(digest) {
            return Ok(bytes);
        }
        let bytes = Bytes::from(self.store.code(digest).await?);
        self.code.keep(digest, &bytes);
        Ok(bytes)
    }
}

/// Inputs as the script's manifest tells of them.
fn inputs(files: &FilesSnapshot) -> Vec<Input> {
    let shared = files.shares.iter().map(|it| Input {
        name: it.name.clone(),
        bytes: it.bytes.unwrap_or_default(),
        digest: None,
        source: None,
    });
    files.inputs.iter().map(Input::from).chain(shared).collect()
}

/// Scripts' bytes by their digest: they never change.
#[derive(Default)]
struct CodeCache {
    kept: Mutex<HashMap<String, Bytes>>,
}

impl CodeCache {
    fn find(&self, digest: &str) -> Option<Bytes> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn keep(&self, digest: &str, bytes: &Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let held: usize = kept.values().map(Bytes::len).sum();
        if held + bytes.len() > MAX_KEPT {
            kept.clear();
        }
        if bytes.len() <= MAX_KEPT {
            kept.insert(digest.to_owned(), bytes.clone());
        }
    }
}
